"""Fits the heads of a pack on frozen embeddings: `python -m workers.slm.train --data DIR`. Needs the extra `train`."""

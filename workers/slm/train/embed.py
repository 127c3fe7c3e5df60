"""Embeds training texts once: later runs read the vectors from the cache."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from workers.slm.encoder import Encoder

CHUNK = 512


def embedded(encoder: Encoder, base_sha256: str, texts: list[str], cache_dir: Path, what: str) -> NDArray[np.float32]:
    """The L2-normalised embeddings (n, d) of `texts`, with a progress bar named `what`."""
    key = hashlib.sha256("\0".join([base_sha256, *texts]).encode("utf-8", "surrogatepass")).hexdigest()
    file = cache_dir / "train" / f"{key}.npy"
    if file.is_file():
        vectors: NDArray[np.float32] = np.load(file)
        return vectors
    starts = range(0, len(texts), CHUNK)
    chunks = [encoder.encode(texts[s : s + CHUNK]).pooled for s in track(starts, description=what)]
    vectors = np.concatenate(chunks).astype(np.float32)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, vectors)
    return vectors

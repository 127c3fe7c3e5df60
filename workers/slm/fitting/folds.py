"""Which rows are learnt from and which are kept. Stratified, and the same for the same rows and seed."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.slm.fitting.figures import Given


def strata(gold: Given) -> NDArray[np.int64]:
    """For each row of (n, labels) the rarest of its labels, -1 for none: what a fold should have its share of."""
    rarity = gold.sum(axis=0)
    weighed = np.where(gold, rarity[None], len(gold) + 1)
    rarest: NDArray[np.int64] = np.where(gold.any(axis=1), weighed.argmin(axis=1), -1)
    return rarest


def folds(groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """A fold in [0, count) for each row; the rows of each group are dealt out evenly, and so are all rows."""
    rng = np.random.default_rng(seed)
    fold = np.zeros(len(groups), np.int64)
    dealt = 0
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        fold[rows] = (dealt + np.arange(len(rows))) % count
        dealt += len(rows)
    return fold


def kept(texts: Sequence[str], groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are the holdout: of each group of three or more, the share of the texts whose seeded hashes are the lowest.

    So a text stays on its side when the file grows: the next version is measured on texts that this one has not learnt.
    """
    order = [hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
    held = np.zeros(len(texts), bool)
    for group in np.unique(groups):
        rows = sorted(np.flatnonzero(groups == group).tolist(), key=lambda row: order[row])
        if len(rows) >= 3:
            held[rows[: min(len(rows) - 2, max(1, round(share * len(rows))))]] = True
    return held

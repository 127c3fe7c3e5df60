"""What a text is about, whatever it thinks of it: a linear layer on mean token states, taught the base's own embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.encoder import normalised

Array = NDArray[np.float32]
TENSORS = ("topic.weight", "topic.bias")
SCALE = 127  # of a stored vector's length: its numbers fit a signed byte, and cosines change by some thousandths


@dataclass(frozen=True)
class Topics:
    """`weight` (d, d), `bias` (d,). Pure arithmetic: threads may share it."""

    weight: Array
    bias: Array

    @classmethod
    def read(cls, tensors: Mapping[str, NDArray[Any]]) -> "Topics | None":
        """From a pack's tensors; None when the pack was not taught topics."""
        if any(name not in tensors for name in TENSORS):
            return None
        return cls(*(tensors[name].astype(np.float32) for name in TENSORS))

    def __call__(self, means: Array) -> Array:
        """L2-normalised mean states (n, d) of texts or spans -> their topics (n, d), L2-normalised: the cosine of two says
        how much they are about the same. Zeros, which stand for no tokens, stay zeros."""
        found = means @ self.weight.T + self.bias
        found[~means.any(axis=1)] = 0
        return normalised(found)


def stored(topics: Array) -> list[tuple[int, ...]]:
    """L2-normalised topics (n, d) as ClickHouse keeps them: each number times SCALE, rounded."""
    return [tuple(row) for row in np.rint(topics * SCALE).astype(np.int8).tolist()]

"""The trained part of an encoder, as a small file that the repository carries: kept pieces and eight-bit layers.

A matrix is stored as int8 with one float32 scale a row, absolute maximum to 127: what CTranslate2 makes of it anyway, so
that its own quantization loses nothing more. Vectors are float32. `pieces` is one bit a piece of the base's vocabulary.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.bert import Bert, Tensor
from workers.slm.prune import pieces_bitmap, pieces_of, with_layers, with_pieces, with_tensors
from workers.slm.safetensors import read_safetensors, write_safetensors

PIECES = "pieces"
SCALE = ".scale"


def write_trained(path: Path, tensors: Mapping[str, Tensor], pieces: NDArray[np.int64], vocabulary: int) -> None:
    """Write `tensors` (by their checkpoint names) and the ids of the kept pieces out of `vocabulary`."""
    stored: dict[str, NDArray[Any]] = {PIECES: pieces_bitmap(pieces, vocabulary)}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            stored[name] = tensor.astype(np.float32)
            continue
        scale = np.abs(tensor).max(axis=1).astype(np.float32) / np.float32(127)
        scale[scale == 0] = 1
        stored[name] = np.rint(tensor / scale[:, None]).astype(np.int8)
        stored[name + SCALE] = scale
    write_safetensors(path, stored)


def with_trained(bert: Bert, path: Path, layers: int | None) -> Bert:
    """`bert` cut to its first `layers`, with the kept pieces and the trained weights of `path`. Raises `PackError`."""
    stored = read_safetensors(path)
    small = with_pieces(with_layers(bert, layers or bert.layers), pieces_of(stored.pop(PIECES)))
    weights = {name: tensor for name, tensor in stored.items() if not name.endswith(SCALE)}
    return with_tensors(small, {name: _decoded(tensor, stored.get(name + SCALE)) for name, tensor in weights.items()})


def _decoded(tensor: NDArray[Any], scale: NDArray[Any] | None) -> Tensor:
    plain: Tensor = tensor.astype(np.float32)
    return plain if scale is None else plain * scale[:, None].astype(np.float32)

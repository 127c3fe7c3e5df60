"""Reads GGUF version 2 and 3, the one-file form of llama.cpp: what the model is, its vocabulary, its tensors.

Little-endian: magic `GGUF`, u32 version, u64 tensors, u64 entries; the entries (string key, u32 type, value); for each
tensor its string name, u32 dimensions, u64 each (the fastest first), u32 type, u64 offset; then, aligned, the tensors. A
string is u64 bytes and UTF-8. See github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.errors import PackError

Tensor = NDArray[np.float32]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

BLOCK = 32  # weights that share a scale
Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("nibbles", "u1", BLOCK // 2)])
Q8_0 = np.dtype([("scale", "<f2"), ("bytes", "i1", BLOCK)])


@dataclass(frozen=True)
class Gguf:
    """A file's entries by key, and its tensors in float32, matrices (out, in)."""

    entries: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


class _Cursor:
    """Reads forward through the bytes of a file. Raises `struct.error` where they end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def string(self) -> str:
        (size,) = self.unpack("Q")
        (data,) = self.unpack(f"{size}s")
        return bytes(data).decode()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.unpack(SCALARS[kind])[0]
        of, count = self.unpack("IQ")
        if of in SCALARS:
            return list(self.unpack(f"{count}{SCALARS[of]}"))
        return [self.value(of) for _ in range(count)]


def read_gguf(path: Path) -> Gguf:
    """The model in `path`. Raises `PackError` when it is no whole GGUF file, or has tensors of a type not known here."""
    try:
        return _read(path.read_bytes())
    except (struct.error, KeyError, ValueError) as error:
        raise PackError(f"{path} is not a GGUF file that can be read ({error}); fetch it again") from error


def _read(data: bytes) -> Gguf:
    cursor = _Cursor(data)
    magic, version, tensors, count = cursor.unpack("4sIQQ")
    if magic != MAGIC or version not in VERSIONS:
        raise ValueError(f"it begins with {magic!r} {version}")
    entries = {}
    for _ in range(count):
        key, (kind,) = cursor.string(), cursor.unpack("I")
        entries[key] = cursor.value(kind)
    places = []
    for _ in range(tensors):
        name, (dimensions,) = cursor.string(), cursor.unpack("I")
        places.append((name, cursor.unpack(f"{dimensions}Q"), *cursor.unpack("IQ")))
    alignment = int(entries.get("general.alignment", ALIGNMENT))
    start = math.ceil(cursor.at / alignment) * alignment
    return Gguf(entries, {n: _tensor(data, start + at, shape[::-1], kind) for n, shape, kind, at in places})


def _tensor(data: bytes, at: int, shape: tuple[int, ...], kind: int) -> Tensor:
    if kind not in _DECODED:
        raise ValueError(f"tensor type {kind} is not one of {', '.join(map(str, _DECODED))}")
    dtype, weights, decode = _DECODED[kind]
    count = math.prod(shape) // weights
    return decode(np.frombuffer(data, dtype, count, at)).astype(np.float32).reshape(shape)


def _q4_1(blocks: NDArray[Any]) -> NDArray[Any]:
    """A weight is scale · nibble + least; the low nibbles hold a block's first half."""
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32)
    return nibbles * blocks["scale"].astype(np.float32)[:, None] + blocks["least"].astype(np.float32)[:, None]


def _q8_0(blocks: NDArray[Any]) -> NDArray[Any]:
    return blocks["bytes"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]


# GGML's type -> what lies there, how many weights each of it holds, and how they are told from it.
_DECODED: Mapping[int, tuple[np.dtype[Any], int, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    0: (np.dtype("<f4"), 1, lambda values: values),
    1: (np.dtype("<f2"), 1, lambda values: values),
    3: (Q4_1, BLOCK, _q4_1),
    8: (Q8_0, BLOCK, _q8_0),
}

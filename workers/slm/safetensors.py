"""Reads and writes safetensors: a u64 header length, a JSON header (name -> dtype, shape, byte range), the bytes.

Written files are canonical (names sorted, no spare fields), so that the same tensors give the same bytes.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.errors import PackError

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Every tensor in `path`, read-only. Raises `PackError` when the file is no safetensors or names other types."""
    data = path.read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        return {name: _tensor(data, 8 + size, entry) for name, entry in header.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackError(f"{path} is not a whole safetensors file ({error}); fetch or build it again") from error


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write `tensors` to `path`. Raises KeyError for a dtype the format has no name for here."""
    header: dict[str, Any] = {}
    at = 0
    for name, tensor in sorted(tensors.items()):
        kind = NAMES[tensor.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    body = b"".join(np.ascontiguousarray(tensor).tobytes() for _, tensor in sorted(tensors.items()))
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def _tensor(data: bytes, body: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    dtype = DTYPES[entry["dtype"]]
    if end - start != math.prod(entry["shape"]) * dtype.itemsize or body + end > len(data):
        raise ValueError("a tensor's bytes do not fit its shape")
    flat: NDArray[Any] = np.frombuffer(data, dtype, (end - start) // dtype.itemsize, body + start)
    return flat.reshape(entry["shape"])

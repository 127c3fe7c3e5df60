"""Compression of bodies: HTTP's Content-Encoding both ways, and ClickHouse's own blocks (`decompress=1`) on the way in.

All of it streams: a decoder and an encoder hold one block, never a body.
"""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]

from workers.embedded.clickhouse_errors import (
    CORRUPTED_DATA,
    UNKNOWN_COMPRESSION_METHOD,
    refusal,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FAST_LEVEL = 1  # the other side is on this machine: time counts, not bytes
_NATIVE_HEADER = 9  # method (1), compressed size with this header (4), uncompressed size (4), after a checksum of 16
_NATIVE_CHECKSUM = 16
_NATIVE_LZ4, _NATIVE_ZSTD, _NATIVE_NONE = 0x82, 0x90, 0x02
_MAX_NATIVE_BLOCK = 1 << 30


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the shape of the others."""

    def __init__(self, window_bits: int) -> None:
        self._decompressor = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes, /) -> bytes:
        return self._decompressor.decompress(data)


_GZIP_WINDOW, _ZLIB_WINDOW = 31, 15
_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: _Zlib(_GZIP_WINDOW),
    "x-gzip": lambda: _Zlib(_GZIP_WINDOW),
    "deflate": lambda: _Zlib(_ZLIB_WINDOW),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
}


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body behind `encoding`, piece by piece. A body may be several frames after one another.

    Raises `ClickHouseError` for an encoding not served here and for data that is damaged or cut off.
    """
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in _DECOMPRESSORS:
        served = ", ".join(_DECOMPRESSORS)
        raise refusal(UNKNOWN_COMPRESSION_METHOD, f"Unknown compression method '{encoding}': send one of {served}")
    decompressor = _DECOMPRESSORS[encoding]()
    begun = False
    for chunk in chunks:
        rest = chunk
        while rest:
            if decompressor.eof:
                decompressor, begun = _DECOMPRESSORS[encoding](), False
            begun = True
            try:
                piece = decompressor.decompress(rest)
            except (zlib.error, RuntimeError, zstd.ZstdError, EOFError) as error:
                raise refusal(CORRUPTED_DATA, f"Cannot decompress the {encoding} body ({error})") from None
            if piece:
                yield piece
            rest = (decompressor.unused_data or b"") if decompressor.eof else b""
    if begun and not decompressor.eof:
        raise refusal(CORRUPTED_DATA, f"Cannot decompress the {encoding} body (it is cut off)")


def decoded_native_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The body behind ClickHouse's own compression (`decompress=1`): checksum, header, block, and again.

    The checksum (a CityHash128) is not verified: the transport already is TCP on one machine.
    """
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _NATIVE_CHECKSUM + _NATIVE_HEADER:
            method = buffer[_NATIVE_CHECKSUM]
            size = int.from_bytes(buffer[_NATIVE_CHECKSUM + 1 : _NATIVE_CHECKSUM + 5], "little")
            raw_size = int.from_bytes(buffer[_NATIVE_CHECKSUM + 5 : _NATIVE_CHECKSUM + 9], "little")
            if size < _NATIVE_HEADER or size > _MAX_NATIVE_BLOCK or raw_size > _MAX_NATIVE_BLOCK:
                raise refusal(CORRUPTED_DATA, "Cannot decompress the body: it is not in ClickHouse's own blocks")
            if len(buffer) < _NATIVE_CHECKSUM + size:
                break
            block = bytes(buffer[_NATIVE_CHECKSUM + _NATIVE_HEADER : _NATIVE_CHECKSUM + size])
            del buffer[: _NATIVE_CHECKSUM + size]
            yield _native_block(method, block, raw_size)
    if buffer:
        raise refusal(CORRUPTED_DATA, "Cannot decompress the body: its last block is cut off")


def _native_block(method: int, block: bytes, raw_size: int) -> bytes:
    try:
        if method == _NATIVE_LZ4:
            return bytes(lz4.block.decompress(block, uncompressed_size=raw_size))
        if method == _NATIVE_ZSTD:
            return zstd.decompress(block)
    except (lz4.block.LZ4BlockError, zstd.ZstdError) as error:
        raise refusal(CORRUPTED_DATA, f"Cannot decompress a block of the body ({error})") from None
    if method == _NATIVE_NONE:
        return block
    raise refusal(UNKNOWN_COMPRESSION_METHOD, f"Unknown compression method 0x{method:02x} in a block of the body")


class Encoder:
    """Compresses an answer in the encoding it was made for; `name` goes into the Content-Encoding header."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._compress, self._finish = _ENCODERS[name]()

    def encode(self, piece: bytes) -> bytes:
        """Compressed bytes, maybe none yet."""
        return self._compress(piece)

    def finish(self) -> bytes:
        """What is left, and the end of the stream."""
        return self._finish()


def _lz4_encoder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    compressor = lz4.frame.LZ4FrameCompressor(auto_flush=True)
    begin: list[bytes] = [compressor.begin()]

    def compress(piece: bytes) -> bytes:
        compressed: bytes = compressor.compress(piece)
        return begin.pop() + compressed if begin else compressed

    def finish() -> bytes:
        end: bytes = compressor.flush()
        return begin.pop() + end if begin else end

    return compress, finish


def _zstd_encoder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    compressor = zstd.ZstdCompressor(level=FAST_LEVEL)
    return compressor.compress, compressor.flush


def _zlib_encoder(window_bits: int) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    compressor = zlib.compressobj(FAST_LEVEL, wbits=window_bits)
    return compressor.compress, compressor.flush


_ENCODERS: dict[str, Callable[[], tuple[Callable[[bytes], bytes], Callable[[], bytes]]]] = {
    "lz4": _lz4_encoder,
    "zstd": _zstd_encoder,
    "gzip": lambda: _zlib_encoder(_GZIP_WINDOW),
    "deflate": lambda: _zlib_encoder(_ZLIB_WINDOW),
}


def chosen_encoder(accept_encoding: str) -> Encoder | None:
    """An encoder for the cheapest encoding the client names (lz4, zstd, gzip, deflate); None for none of them."""
    named = {part.split(";")[0].strip().lower() for part in accept_encoding.split(",")}
    for name in _ENCODERS:
        if name in named:
            return Encoder(name)
    return None

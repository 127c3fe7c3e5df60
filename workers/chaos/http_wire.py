"""HTTP/1.1 as it lies on the wire, for a proxy that passes bytes on unchanged and must know only where a message ends."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from urllib.parse import parse_qs, urlsplit

from workers.embedded.clickhouse_compression import decoded
from workers.embedded.clickhouse_errors import ClickHouseError

PIECE_BYTES = 65_536
_MAX_HEAD_BYTES = 1 << 20
_INSERT = re.compile(rb"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*INSERT\b", re.IGNORECASE | re.DOTALL)
_HEAD_OF_BODY_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its bytes as they came (the body still chunked where it was)."""

    method: str
    head: bytes
    body: bytes
    is_insert: bool


def read_request(reading: BufferedReader, client: socket.socket) -> Request | None:
    """The next request, or None when the client has none left. Raises `ValueError` when it is not HTTP."""
    head = _read_head(reading)
    if not head:
        return None
    line, headers = _parse_head(head)
    method, target = line.split(b" ")[:2]
    if headers.pop(b"expect", b"").lower() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)
    body = b"".join(_read_body(reading, headers, until_end=False))
    in_url = "".join(parse_qs(urlsplit(target.decode("latin-1")).query).get("query", []))
    sql = in_url.encode() + b"\n" + _head_of_body(body, headers)
    return Request(method.decode("ascii"), head, body, _INSERT.match(sql) is not None)


def read_response(reading: BufferedReader, method: str) -> Iterator[tuple[bytes, bool]]:
    head = _read_head(reading)
    if not head:
        raise ConnectionResetError("the server closed the connection without an answer")
    line, headers = _parse_head(head)
    status = int(line.split(b" ")[1])
    has_body = method != "HEAD" and status not in (204, 304)
    framed = b"content-length" in headers or b"transfer-encoding" in headers
    closes = headers.get(b"connection", b"").lower() == b"close" or line.startswith(b"HTTP/1.0")
    reusable = (framed or not has_body) and not closes
    yield head, reusable
    if has_body:
        for piece in _read_body(reading, headers, until_end=True):
            yield piece, reusable


def _read_head(reading: BufferedReader) -> bytes:
    """The first line and the headers with the empty line after them; nothing when the stream has ended."""
    lines: list[bytes] = []
    size = 0
    while not lines or lines[-1] != b"\r\n":
        line = reading.readline(_MAX_HEAD_BYTES)
        size += len(line)
        if not line and not lines:
            return b""
        if not line.endswith(b"\r\n") or size > _MAX_HEAD_BYTES:
            raise ValueError("not the head of an HTTP message")
        lines.append(line)
    return b"".join(lines)


def _parse_head(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The first line, and lower-case name -> value."""
    first, *rest = head.rstrip(b"\r\n").split(b"\r\n")
    return first, {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in rest)}


def _read_body(reading: BufferedReader, headers: dict[bytes, bytes], *, until_end: bool) -> Iterator[bytes]:
    """The body's bytes as they lie on the wire. Without a length it is empty, or `until_end` of the stream."""
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        yield from _read_chunks(reading)
    elif b"content-length" in headers:
        yield from _read_exactly(reading, int(headers[b"content-length"]))
    elif until_end:
        while piece := reading.read1(PIECE_BYTES):
            yield piece


def _read_chunks(reading: BufferedReader) -> Iterator[bytes]:
    while True:
        line = reading.readline(1_024)
        yield line
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        yield from _read_exactly(reading, size + 2)
    while True:  # trailers, and the empty line
        line = reading.readline(_MAX_HEAD_BYTES)
        if not line:
            raise ConnectionResetError("the stream ended inside a body")
        yield line
        if line == b"\r\n":
            return


def _read_exactly(reading: BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        piece = reading.read1(min(size, PIECE_BYTES))
        if not piece:
            raise ConnectionResetError("the stream ended inside a body")
        size -= len(piece)
        yield piece


def _head_of_body(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    """The first bytes of what the body says, where clickhouse-connect puts its INSERT; it compresses that with the data."""
    pieces = _without_chunks(body) if b"chunked" in headers.get(b"transfer-encoding", b"").lower() else iter([body])
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").lower()
    said = b""
    try:
        for piece in decoded(pieces, encoding):
            said += piece
            if len(said) >= _HEAD_OF_BODY_BYTES:
                break
    except ClickHouseError:
        return said  # the server refuses it: it inserts nothing
    return said


def _without_chunks(body: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if not size:
            return
        yield body[end + 2 : end + 2 + size]
        at = end + 2 + size + 2

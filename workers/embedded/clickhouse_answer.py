"""From a request to its answer: read the SQL, run it, send what it gives back. Runs in a thread of its own per request."""

import json
import logging
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Protocol

from workers.embedded.clickhouse_compression import Encoder, chosen_encoder, decoded, decoded_native_blocks
from workers.embedded.clickhouse_engine import Engine, EngineConnection
from workers.embedded.clickhouse_errors import (
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    ClickHouseError,
    refusal,
)
from workers.embedded.clickhouse_request import QueryRequest
from workers.embedded.clickhouse_result import BLOCK_BYTES, Figures, ResultStream
from workers.embedded.clickhouse_statement import Kind, Statement, parse

HELD_BACK_BYTES = 1 << 20  # as the real server: an error before so much output still becomes an HTTP status
SPOOL_MEMORY_BYTES = 8 << 20
_TAG_CHARACTERS = string.ascii_lowercase + string.digits
_TAG_LENGTH = 16
_EMPTY = b"Ok.\n"

log = logging.getLogger("voxpop.embedded.clickhouse")


class Exchange(Protocol):
    """One HTTP exchange as the answering thread sees it. Its methods block."""

    def body(self) -> Iterator[bytes]:
        """The request's body. Raises `ClientGone` when the client leaves before its end."""

    def client_is_gone(self) -> bool:
        """Whether the client has closed the connection. The body has been read to its end before."""

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""

    def send(self, chunk: bytes) -> None:
        """Send a piece of the answer's body."""

    def finish(self) -> None:
        """End the answer. Without this call the connection is cut off, so that nobody takes the answer for a whole one."""


class Answering:
    """Answers queries with one engine."""

    def __init__(self, engine: Engine, spool_directory: Path) -> None:
        """`spool_directory` takes the answers held back whole that are too large for memory."""
        self._engine = engine
        self._spool_directory = spool_directory

    def answer(self, request: QueryRequest, exchange: Exchange) -> None:
        """Run what `request` asks and answer it, an exception of ClickHouse included. Raises `ClientGone`."""
        try:
            if request.native_compression:
                raise refusal(NOT_IMPLEMENTED, "compress=1 is not served here: use Accept-Encoding")
            chunks = decoded(exchange.body(), request.content_encoding)
            if request.native_decompression:
                chunks = decoded_native_blocks(chunks)
            text, rest = _head(request, chunks)
            statement = parse(text)
            if statement is None:
                self._send_whole(request, exchange, _EMPTY, None, Figures())
                return
            with self._engine.connection(request) as connection:
                self._run(request, exchange, connection, statement, text, rest)
        except ClickHouseError as error:
            self.send_error(error, exchange, request.query_id)

    def send_error(self, error: ClickHouseError, exchange: Exchange, query_id: str = "") -> None:
        """Answer with an exception. Nothing has been sent before.

        What the client still sends is read first: many clients look for an answer only when they have sent everything.
        """
        for _ in exchange.body():
            pass
        body = error.body(self._engine.version).encode("utf-8", "surrogateescape")
        headers = self._headers(query_id) | {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Exception-Code": str(error.code),
        }
        exchange.start(error.http_status, headers)
        exchange.send(body)
        exchange.finish()

    def _run(
        self,
        request: QueryRequest,
        exchange: Exchange,
        connection: EngineConnection,
        statement: Statement,
        text: bytes,
        rest: Iterator[bytes],
    ) -> None:
        if statement.data_start is not None and statement.format is not None:
            data = chain([text[statement.data_start :]], rest)
            if statement.kind is Kind.INSERT_SELECT_DATA:
                figures = connection.insert_select(statement, data)
            else:
                figures = connection.insert(statement.head, statement.format, data)
            self._send_whole(request, exchange, b"", None, figures)
            return
        if next(rest, None) is not None:
            raise refusal(SYNTAX_ERROR, f"Syntax error: Max query size exceeded ({request.max_query_bytes} bytes)")
        format_name = statement.format or request.default_format
        if statement.kind is Kind.STREAMED_RESULT:
            stream = connection.streamed(statement, format_name)
            try:
                self._send_stream(request, exchange, stream, format_name)
            finally:
                stream.close()
            return
        result, figures = connection.small(statement, format_name)
        has_result = bool(result) or statement.kind is Kind.SMALL_RESULT
        self._send_whole(request, exchange, result, format_name if has_result else None, figures)

    def _send_whole(
        self, request: QueryRequest, exchange: Exchange, body: bytes, format_name: str | None, figures: Figures
    ) -> None:
        headers = self._headers(request.query_id, format_name) | _summary(figures)
        encoder = chosen_encoder(request.accept_encoding) if body else None
        exchange.start(200, headers | _content_encoding(encoder))
        _send(exchange, [body], encoder)
        exchange.finish()

    def _send_stream(self, request: QueryRequest, exchange: Exchange, stream: ResultStream, format_name: str) -> None:
        """Hold the answer back until it is long or complete, then send it as it comes.

        An error while it is held back is raised. A later one is written into the answer between the marks that
        X-ClickHouse-Exception-Tag announces (WriteBufferFromHTTPServerResponse.cpp), and the answer is cut off.
        """
        chunks = stream.chunks(exchange.client_is_gone)
        with SpooledTemporaryFile(SPOOL_MEMORY_BYTES, dir=str(self._spool_directory)) as held:
            complete = True
            for chunk in chunks:
                held.write(chunk)
                if held.tell() >= HELD_BACK_BYTES and not request.wait_end_of_query:
                    complete = False
                    break
            held.seek(0)
            tag = "".join(secrets.choice(_TAG_CHARACTERS) for _ in range(_TAG_LENGTH))
            encoder = chosen_encoder(request.accept_encoding)
            headers = self._headers(request.query_id, format_name) | _content_encoding(encoder)
            headers["X-ClickHouse-Exception-Tag"] = tag
            exchange.start(200, headers | (_summary(stream.figures) if complete else {}))
            try:
                _send(exchange, chain(iter(lambda: held.read(BLOCK_BYTES), b""), chunks), encoder)
            except ClickHouseError as error:
                log.warning("query %s failed in mid-answer, which is cut off: %s", request.query_id, error.text)
                _send(exchange, [_marked(error.body(self._engine.version), tag)], encoder)
                return
        exchange.finish()

    def _headers(self, query_id: str, format_name: str | None = None) -> dict[str, str]:
        headers = {
            "X-ClickHouse-Server-Display-Name": self._engine.display_name,
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self._engine.timezone,
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if format_name is not None:
            headers["Content-Type"] = self._engine.content_type(format_name)
            headers["X-ClickHouse-Format"] = format_name
        return headers


def _head(request: QueryRequest, chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of the SQL and data, as long as SQL may be, and an iterator over what follows.

    A query in the URL and a body are one text with a newline between them, as the real server joins them.
    """
    text = bytearray(request.query)
    for number, chunk in enumerate(chunks):
        if number == 0 and request.query:
            text += b"\n"
        text += chunk
        if len(text) > request.max_query_bytes:
            break
    return bytes(text), chunks


def _send(exchange: Exchange, chunks: Iterable[bytes], encoder: Encoder | None) -> None:
    """Send `chunks` through `encoder`, its end included. When `chunks` raises, the encoder is left open for more."""
    for chunk in chunks:
        out = encoder.encode(chunk) if encoder else chunk
        if out:
            exchange.send(out)
    end = encoder.finish() if encoder else b""
    if end:
        exchange.send(end)


def _marked(message: str, tag: str) -> bytes:
    r"""An exception in mid-answer: `\r\n__exception__\r\nTAG\r\nmessage\nlength TAG\r\n__exception__\r\n`."""
    text = message.encode("utf-8", "surrogateescape")
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag.encode(), text, len(text), tag.encode())


def _summary(figures: Figures) -> dict[str, str]:
    return {"X-ClickHouse-Summary": json.dumps(figures.summary(), separators=(",", ":"))}


def _content_encoding(encoder: Encoder | None) -> dict[str, str]:
    return {"Content-Encoding": encoder.name} if encoder else {}

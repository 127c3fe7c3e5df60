"""What a statement gives back: its figures, and for a SELECT its bytes, streamed in constant memory.

chDB's own streaming formats every block as a document of its own, which suits only formats without a head or a foot.
So the engine writes the result `INTO OUTFILE` a pipe: every FORMAT, whole, and a slow reader slows the engine down.
"""

import fcntl
import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from typing import Protocol

from workers.embedded.clickhouse_errors import UNKNOWN_FORMAT, refusal
from workers.embedded.clickhouse_statement import Statement

BLOCK_BYTES = 1 << 20
_POLL_MS = 100
_LINUX_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which fcntl names from Python 3.10 on Linux only
_FORMAT_NAME = re.compile(r"\w+", re.ASCII)


class ClientGone(Exception):
    """The client closed its connection: nobody is left to answer."""


class EngineResult(Protocol):
    """What chDB gives back for a statement."""

    def bytes(self) -> bytes: ...
    def elapsed(self) -> float: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


@dataclass(frozen=True)
class Figures:
    """What a statement read, wrote and gave back, as the X-ClickHouse-Summary header tells it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    @classmethod
    def of(cls, result: EngineResult) -> "Figures":
        """The figures chDB counted. Its "rows read" are those of the result."""
        return cls(
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read() or result.rows_written(),
            result_bytes=result.bytes_read() or result.bytes_written(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def summary(self) -> dict[str, str]:
        """The header's JSON object: every number as text."""
        names = (
            "read_rows",
            "read_bytes",
            "written_rows",
            "written_bytes",
            "result_rows",
            "result_bytes",
            "elapsed_ns",
        )
        return {"total_rows_to_read": "0"} | {name: str(getattr(self, name)) for name in names}


class ResultStream:
    """A SELECT running in a thread of its own, its output read piece by piece. To be closed, whatever happens."""

    def __init__(
        self,
        statement: Statement,
        format_name: str,
        execute: Callable[[bytes], EngineResult],
        stop: Callable[[], bool],
        threads: Executor,
    ) -> None:
        """Start it. `execute` runs SQL and raises `ClickHouseError`; `stop` asks the engine to end what `execute` runs."""
        if not _FORMAT_NAME.fullmatch(format_name):
            raise refusal(UNKNOWN_FORMAT, f"Unknown format '{format_name}'")
        self.figures = Figures()
        self._stop = stop
        self._reader, writer = os.pipe()
        if sys.platform.startswith("linux"):
            fcntl.fcntl(writer, _LINUX_SET_PIPE_SIZE, BLOCK_BYTES)
        outfile = b"\nINTO OUTFILE '/dev/fd/%d' TRUNCATE COMPRESSION 'none' FORMAT %b " % (writer, format_name.encode())

        def run() -> EngineResult:
            try:
                return execute(statement.head + outfile + statement.tail)
            finally:
                os.close(writer)

        self._running = threads.submit(run)

    def chunks(self, client_is_gone: Callable[[], bool]) -> Iterator[bytes]:
        """The formatted result. Raises `ClickHouseError` at its end when the query failed, `ClientGone` when that is so."""
        output = select.poll()
        output.register(self._reader, select.POLLIN)
        while True:
            if client_is_gone():
                raise ClientGone
            if not output.poll(_POLL_MS):
                continue
            chunk = os.read(self._reader, BLOCK_BYTES)
            if not chunk:
                break
            yield chunk
        self.figures = Figures.of(self._running.result())

    def close(self) -> None:
        """Stop the query if it still runs, and wait until it has. A broken pipe alone does not end a query in chDB."""
        os.close(self._reader)
        while not self._running.done():
            self._stop()
            wait([self._running], _POLL_MS / 1000)


def pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, the last one shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)

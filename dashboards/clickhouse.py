"""Statements on ClickHouse: read-only, limited in rows, time and number, each in a thread of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar

import anyio
from anyio import to_thread

from dashboards.statements import Statement
from workers.settings import ClickHouseSettings, DashboardSettings
from workers.store.connect import StoreUnavailable, connect
from workers.store.query import Reader

T = TypeVar("T")

MAX_MEMORY_BYTES = 2_000_000_000
FILE_MEMORY_BYTES = 4_000_000  # beyond it a file lies on the disk


class Busy(StoreUnavailable):
    """So many queries are running that this one did not get its turn in time."""


class LimitedReader:
    """For one event loop. The connection is made when first needed, so that a dashboard can start before its database."""

    def __init__(self, store: ClickHouseSettings, limits: DashboardSettings) -> None:
        self._store = store.model_copy(update={"timeout_s": limits.query_timeout_s + 5})
        self._limits = limits
        self._turns = anyio.CapacityLimiter(limits.queries_at_once)
        self._connecting = asyncio.Lock()
        self._reader: Reader | None = None
        self.queries = 0

    async def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """Every row of the result. Raises `StoreUnavailable` (`Busy` among them) or `StoreRefused`."""
        reader = await self._connected()
        async with self._turn():
            return await to_thread.run_sync(self._select, reader, statement)

    async def file(self, statement: Statement, format_name: str) -> IO[bytes]:
        """The result in one of ClickHouse's formats, as an open file at its beginning; small ones are in memory.

        A client that reads it slowly keeps no query waiting. The caller closes it. Raises what `rows` does.
        """
        reader = await self._connected()
        async with self._turn():
            return await to_thread.run_sync(self._write, reader, statement, format_name)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            with anyio.fail_after(self._limits.query_timeout_s):
                await self._turns.acquire_on_behalf_of(turn := object())
        except TimeoutError:
            raise Busy("too many queries are running; try again in some seconds") from None
        try:
            self.queries += 1
            yield
        finally:
            self._turns.release_on_behalf_of(turn)

    async def run(self, work: Callable[[Reader, dict[str, Any]], T]) -> T:
        """What `work` makes of the reader, in a thread; it gives the limits to each of its queries."""
        reader = await self._connected()
        async with self._turn():
            return await to_thread.run_sync(work, reader, self._settings)

    async def all(self, *asked: Statement) -> Sequence[Sequence[Sequence[Any]]]:
        """The rows of every statement, in order; they run beside one another."""
        return await asyncio.gather(*(self.rows(statement) for statement in asked))

    def _select(self, reader: Reader, statement: Statement) -> Sequence[Sequence[Any]]:
        return reader.select(statement.sql, parameters=_bound(statement), settings=self._settings).result_rows

    def _write(self, reader: Reader, statement: Statement, format_name: str) -> IO[bytes]:
        file = SpooledTemporaryFile(FILE_MEMORY_BYTES)  # noqa: SIM115 - whoever asked closes it
        try:
            reader.select_into(file, statement.sql, format_name, parameters=_bound(statement), settings=self._settings)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    @property
    def _settings(self) -> dict[str, Any]:
        limits = self._limits
        return {
            "max_execution_time": limits.query_timeout_s,
            "max_result_rows": max(limits.query_rows, limits.export_rows + 1),
            "max_rows_to_read": limits.query_rows_read,
            "max_memory_usage": MAX_MEMORY_BYTES,
            "result_overflow_mode": "throw",
            "read_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
        }

    async def _connected(self) -> Reader:
        async with self._connecting:
            if self._reader is None:
                client = await to_thread.run_sync(connect, self._store)
                self._reader = Reader(client, self._store)
            return self._reader


def _bound(statement: Statement) -> dict[str, Any]:
    return {name: value for name, value in statement.parameters.items() if value is not None}

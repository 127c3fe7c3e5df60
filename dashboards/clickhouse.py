"""Statements on ClickHouse: read-only, limited in rows, time and number, each in a thread of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
from anyio import to_thread

from dashboards.statements import Statement
from workers.settings import ClickHouseSettings, DashboardSettings
from workers.store.connect import StoreUnavailable, connect
from workers.store.query import Reader

MAX_MEMORY_BYTES = 2_000_000_000


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
        try:
            with anyio.fail_after(self._limits.query_timeout_s):
                await self._turns.acquire_on_behalf_of(turn := object())
        except TimeoutError:
            raise Busy("too many queries are running; try again in some seconds") from None
        try:
            self.queries += 1
            return await to_thread.run_sync(self._select, reader, statement)
        finally:
            self._turns.release_on_behalf_of(turn)

    async def all(self, *asked: Statement) -> Sequence[Sequence[Sequence[Any]]]:
        """The rows of every statement, in order; they run beside one another."""
        return await asyncio.gather(*(self.rows(statement) for statement in asked))

    def _select(self, reader: Reader, statement: Statement) -> Sequence[Sequence[Any]]:
        parameters = {name: value for name, value in statement.parameters.items() if value is not None}
        return reader.select(statement.sql, parameters=parameters, settings=self._settings).result_rows

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

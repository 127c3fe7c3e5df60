"""Who read texts, on the record: by reader, view and filters, once a window of time, written beside the answers.

A page that is open all day asks for its texts again every few seconds, and many are open: what equals is counted, and one
row says how often and how many texts. It is written after the window, by the connection that may write (as corrections are);
no page waits for it, and one that fails is written with the next. Where `dashboard.audit_required` is set, the first
reading of a window is on the record before its texts are shown, or they are not shown.

Nothing of a text is noted, nor what was searched for or asked, which may name a person: only that there was something.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from anyio import to_thread
from clickhouse_connect.driver.client import Client
from pydantic import BaseModel

from dashboards.feedback import writing
from dashboards.tokens import Caller
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.audit import REFUSED, TEXTS_READ, Noted, note_all
from workers.store.connect import connect

log = structlog.get_logger(__name__)
CONNECT_S = 3  # a dashboard that ends waits no longer
MOST_LINES = 2_000  # held at a time; beyond them readings are counted under their reader and view alone
PAGING = frozenset({"limit", "cursor"})
WORDS = frozenset({"q", "event"})  # what was searched for, or asked, and ids: whether, or how many, never what
Key = tuple[str, str, str, tuple[tuple[str, str], ...]]  # who, action, view, filters


@dataclass(slots=True)
class _Count:
    """How often since when, and how many texts in all."""

    since: datetime
    reads: int = 0
    texts: int = 0

    def add(self, reads: int, texts: int) -> None:
        self.reads, self.texts = self.reads + reads, self.texts + texts


class Reads:
    """For one event loop."""

    def __init__(self, settings: Settings) -> None:
        store = writing(settings)
        self._store = store.model_copy(update={"connect_timeout_s": min(CONNECT_S, store.connect_timeout_s)})
        self._window_s = settings.dashboard.audit_window_s
        self._required = settings.dashboard.audit_required
        self._held: dict[Key, _Count] = {}
        self._noted: set[Key] = set()  # of this window, where the record is required
        self._client: Client | None = None
        self._due: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def note(self, by: Caller, view: str, asked: BaseModel | Mapping[str, Any], texts: int) -> None:
        """So many texts are about to be shown. Raises `StoreUnavailable` or `StoreRefused` only where the record is
        required and cannot be written."""
        key = self._count(by, TEXTS_READ, view, asked, texts)
        if self._required and key not in self._noted:
            await self._write()
            self._noted.add(key)

    def refused(self, by: Caller, view: str) -> None:
        """Somebody asked for texts whose token does not give them."""
        self._count(by, REFUSED, view, {}, 0)

    async def close(self) -> None:
        """Writes what is held, once; what cannot be written then is lost, and said."""
        async with self._writing:  # so that what is being written is not held a second time
            if self._due is not None:
                self._due.cancel()
        try:
            await self._write()
        except VoxpopError as error:
            log.warning("readings of texts are not on the record", lines=len(self._held), cause=str(error))

    def _count(self, by: Caller, action: str, view: str, asked: BaseModel | Mapping[str, Any], texts: int) -> Key:
        key: Key = (by.name, action, view, _filters(asked))
        if key not in self._held and len(self._held) >= MOST_LINES:
            key = (by.name, action, view, (("filters", "many"),))
        self._held.setdefault(key, _Count(datetime.now(UTC))).add(1, texts)
        if self._due is None or self._due.done():
            self._due = asyncio.get_running_loop().create_task(self._after_a_window())
        return key

    async def _after_a_window(self) -> None:
        while True:
            await asyncio.sleep(self._window_s)
            self._noted.clear()
            try:
                await self._write()
            except VoxpopError as error:
                log.warning("readings of texts wait for the record", lines=len(self._held), cause=str(error))
            if not self._held:
                return

    async def _write(self) -> None:
        """Everything held, in one insert; held again when it fails. Raises `StoreUnavailable` or `StoreRefused`."""
        async with self._writing:
            held, self._held = self._held, {}
            if not held:
                return
            try:
                await to_thread.run_sync(self._insert, [_line(key, count) for key, count in held.items()])
            except BaseException:
                for key, count in self._held.items():
                    held.setdefault(key, _Count(count.since)).add(count.reads, count.texts)
                self._held = held
                raise

    def _insert(self, lines: list[Noted]) -> None:
        if self._client is None:
            self._client = connect(self._store)
        note_all(self._client, self._store, lines)


def _line(key: Key, count: _Count) -> Noted:
    who, action, view, filters = key
    counted = {"reads": str(count.reads), "texts": str(count.texts), "since": count.since.isoformat(timespec="seconds")}
    return Noted(datetime.now(UTC), who, action, {"view": view, **dict(filters), **counted})


def _filters(asked: BaseModel | Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What was set, as words; of words and ids only whether there were any, and how many."""
    told = asked.model_dump(mode="json", exclude_none=True, by_alias=True) if isinstance(asked, BaseModel) else asked
    return tuple(
        (name, _told(name, value)) for name, value in sorted(told.items()) if name not in PAGING and value is not None
    )


def _told(name: str, value: object) -> str:
    if name not in WORDS:
        return str(value)
    return str(len(value)) if isinstance(value, list) else "given"

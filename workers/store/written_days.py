"""Days of products that something is written about, digests and briefs, kept apart from what is erased of them.

Who writes has read texts long before: an author may be erased meanwhile, and what is stored then would bring their words
back. So, as a page and an update do (`workers/store/pages.py`), each says what it is about to do before it looks at what the
other does, and at least one of the two sees the other:

- A writer *claims* the days that its texts lie in, by product, until a moment of ClickHouse's clock. Then it waits while
  texts of these days are being chosen to be erased, erases what is staged, and looks whether all that it has read is there
  still. Only then it inserts, and the tables refuse what comes after that moment. Then it releases its claim.
- `voxpop erase` claims the days of a page's rows before it looks for writers, and steps back from a page while one of them
  has claimed a day of it. What a writer has stored until then goes with the page, which deletes by day and by event.

A page that is staged has been claimed before, one that is written has taken rows and digests with it before it was dropped:
so a writer that looks in the order of claims, pages, rows misses none. One that died leaves what it has stored, to be erased
as any, and a claim that ends by itself; one that sleeps too long is refused and looks again.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from workers.failpoints import failpoint
from workers.settings import ClickHouseSettings
from workers.store.connect import LeaseEnded, StoreUnavailable
from workers.store.pages import Pages
from workers.store.query import EventKey, Reader
from workers.store.server_clock import ServerClock
from workers.store.write import Writer

LIMIT_S = 60.0  # claims that are not renewed end long before
STEP_BACK_S = 0.5
_WRITING, _ERASING = "writing", "erasing"


class ProductDay(NamedTuple):
    """A day, in UTC, of a product."""

    product: str
    day: date


def writing(days: Collection[ProductDay]) -> set[EventKey]:
    """What a writer claims: no event has such a key, for a source is never empty."""
    return _keys(_WRITING, days)


def erasing(days: Collection[ProductDay]) -> set[EventKey]:
    """What a page claims whose rows are to be erased."""
    return _keys(_ERASING, days)


class WrittenDays:
    """The writers' side, through one client, for one thread."""

    def __init__(self, client: Client, settings: ClickHouseSettings, steady: Callable[[], float]) -> None:
        """`steady` is a clock as `ServerClock` takes it."""
        reader, writer = Reader(client, settings), Writer(client, settings)
        self._pages = Pages(reader, writer, ServerClock(client, settings, steady), settings)

    def store(
        self,
        days: Callable[[], Collection[ProductDay]],
        still_there: Callable[[Collection[ProductDay]], bool],
        insert: Callable[[datetime], None],
    ) -> bool:
        """Whether `insert`, given until when the table may take it, was done: not when `still_there` says of the days that
        were claimed that what was read is no more there, or lies elsewhere.

        Raises `StoreUnavailable` or `StoreRefused`; then nothing is known to be stored, and it may be done again.
        """
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            claimed = frozenset(days())
            name = uuid.uuid4().hex
            until = self._pages.claim(name, writing(claimed))
            failpoint("writing-claimed")
            if self._pages.being_chosen(erasing(claimed), but=name):
                self._pages.release(name)
                time.sleep(random.uniform(0, STEP_BACK_S))  # noqa: S311 - jitter, not a secret
                continue
            for page in self._pages.staged_to_erase():
                self._pages.complete(page)
            there = still_there(claimed)
            failpoint("writing-looked")
            if there:
                try:
                    insert(until)
                except LeaseEnded:
                    continue
                failpoint("writing-stored")
            self._pages.release(name)
            return there
        raise StoreUnavailable(f"texts of these days have been erased for {LIMIT_S:.0f} s; run this again")


def _keys(what: str, days: Collection[ProductDay]) -> set[EventKey]:
    return {EventKey("", f"{what}:{day.day.isoformat()}:{day.product}") for day in days}

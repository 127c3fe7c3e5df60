"""`voxpop erase`: takes a person's texts out of ClickHouse, figures and all, while workers go on, and keeps them out.

    receipts -> wait -> page by page: claim, leave what is in other hands, stage, write -> dead letters -> what is named

**Nothing comes in afterwards.** A worker looks for receipts after it has claimed its updates and before it inserts; an
insert passes no later than a lease's time after that look, by ClickHouse's own clock and constraint, else it looks again.
So once receipts are in and a lease's time has gone by (`_wait_s`), whatever can still arrive has seen them, however long a
worker slept. Two things are carried on in spite of a receipt, for a step of theirs may be done already and the rest must
follow: a block that is repeated and has the row in, or has taken the old row's figures off; and an update once its worker
has looked (an insert that is tried again). The first are rows of blocks that are not finished, the second are claimed: both
are *in other hands*, and this program waits for them. `voxpop.insights` and the dead letters are held back with the rows.

**Each figure is taken off once.** Rows go as pages (`workers/store/pages.py`), with nothing in their place: figures off
under a token of the page's name, rows deleted by position and `judged`, then everything else that names the events, then the
page. The page is the worklist: dropped last, and done again from the start by whoever finds it staged, be it this program's
next run, `voxpop reprocess`, or a worker with an update. So death at any point loses nothing: before a page is staged its
rows are still there to be found by author or id; afterwards the page is. What the pages' argument says of updates and of
other programs' pages holds here, since this one claims, looks and stages as they do. A row whose figures an update has taken
off and whose update was then turned away (its block died in between) is deleted without taking them off again.

**What is written about their texts** goes with the page: digests and briefs of the days and products of its rows, and those
that cite their events. One that was made of texts read before is not stored afterwards (`workers/store/written_days.py`):
its writer claims these days, looks again, and inserts while the claim lasts; a page is put off while a day of it is claimed.

**Why receipts of an author's events too.** Once an author's rows are gone nothing says which events were theirs; a copy
without the author's name would come in. So each event gets a receipt before its page is staged.

Not covered: a worker that sleeps between its last look and noting that a message *superseded* another in one block may write
a line of `event_keys` after all, and a second opinion that is asked for meanwhile a line of `escalations` (source, id, no
text; `--event` again removes both).
"""

import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta

from schemas.insights import Position
from workers.failpoints import failpoint
from workers.store.connect import LeaseEnded
from workers.store.erased_row import ErasedRow
from workers.store.letters import Letters
from workers.store.pages import GRACE_S, Pages
from workers.store.query import EventKey, Reader, batched
from workers.store.receipts import Receipts
from workers.store.server_clock import ServerClock
from workers.store.traces import Traces
from workers.store.write import Writer
from workers.store.written_days import ProductDay, erasing, writing
from workers.turned_away import subject_of

PAGE_ROWS = 256
SETTLE_S = 30.0  # rows in other hands are looked at again for so long
STEP_BACK_S = 0.5
Finished = Callable[[Collection[Position]], set[Position]]
_ROW = "source, event_id, topic, topic_id, partition, offset, product, event_time, judged"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who or what is to be erased: authors by pseudonym, events by source and id as they are stored."""

    authors: frozenset[str]
    events: frozenset[EventKey]


@dataclass(slots=True)
class Erased:
    """How many rows of each table there were and are. `left` rows are in other hands."""

    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    left: int = 0


class Erase:
    """One run over one ClickHouse. `finished` tells which positions lie in blocks that are finished; `lease_s` is the
    workers' lease."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        pages: Pages,
        clock: ServerClock,
        finished: Finished,
        salt: bytes,
        lease_s: float,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._reader, self._writer, self._pages, self._clock = reader, writer, pages, clock
        self._finished, self._salt = finished, salt
        self._wait_s, self._settle_s = lease_s + GRACE_S, settle_s
        self._receipts = Receipts(reader, salt)
        self._traces = Traces(reader, writer)
        self._letters = Letters(reader, writer)

    def run(self, subject: Subject, on_step: Callable[[str], None]) -> Erased:
        """Returns when every row of theirs is gone, or those that are left have been in other hands for `settle_s` seconds.

        Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`; started again, it goes on where it stopped.
        """
        on_step("receipts")
        self._note(subject)
        failpoint("erase-noted")
        on_step("waiting until every worker's insert has seen them")
        self._wait(subject)
        failpoint("erase-waited")
        on_step("rows")
        for page in self._pages.staged():
            self._pages.complete(page)
        rows = self._rows(subject)
        keys = set(subject.events) | {_key_of(row) for row in rows}
        erased = Erased(before=self._counts(keys, subject))
        deadline = time.monotonic() + self._settle_s
        while rows:
            keys |= {_key_of(row) for row in rows}
            erased.left = sum(self._erase(some) for some in _by_month(rows))
            rows = self._rows(subject)
            if erased.left and time.monotonic() >= deadline:
                break
            if rows:
                time.sleep(random.uniform(0, STEP_BACK_S))  # noqa: S311 - jitter, not a secret
        erased.left = len(rows)
        failpoint("erase-letters")
        on_step("dead letters and what names them")
        self._letters.remove(self._letters_of(keys, subject))
        if not rows:
            for some in batched(sorted(keys), PAGE_ROWS):
                self._traces.remove(some, self._receipts.of_event(some[0]))
        erased.after = self._counts(keys, subject)
        return erased

    def _note(self, subject: Subject) -> None:
        noted = [*map(self._receipts.of_author, subject.authors), *map(self._receipts.of_event, subject.events)]
        self._writer.insert_receipts(sorted(set(noted) - self._receipts.known(noted)))

    def _wait(self, subject: Subject) -> None:
        """Until no insert can come whose worker has not seen the receipts."""
        noted = [*map(self._receipts.of_author, subject.authors), *map(self._receipts.of_event, subject.events)]
        since = self._receipts.noted_at(noted) or self._clock.now()
        until = since + timedelta(seconds=self._wait_s)
        while (left_s := (until - self._clock.now()).total_seconds()) > 0:
            time.sleep(left_s)

    def _rows(self, subject: Subject) -> list[ErasedRow]:
        """Theirs that are in `insights`."""
        found = {
            ErasedRow(*row)
            for some in batched(sorted(subject.authors), 500)
            for row in self._reader.rows(_OF_AUTHORS, {"authors": some})
        }
        for some in batched(sorted(subject.events), 500):
            named = {"keys": [tuple(key) for key in some]}
            found |= {ErasedRow(*row) for row in self._reader.rows(_OF_EVENTS, named)}
        return sorted(found)

    def _erase(self, rows: Sequence[ErasedRow]) -> int:
        """Erases those of a month's rows that are in nobody else's hands; how many are."""
        keys = {_key_of(row) for row in rows}
        receipts = set(map(self._receipts.of_event, keys))
        self._writer.insert_receipts(sorted(receipts - self._receipts.known(receipts)))
        page, days = uuid.uuid4().hex, {_day_of(row) for row in rows}
        until = self._pages.claim(page, keys | erasing(days))
        if self._pages.being_chosen(keys | writing(days), but=page):
            self._pages.release(page)
            return len(rows)
        free = self._free(rows, keys)
        chosen = self._pages.still_there(free)  # asked last: what was in other hands before is done by now
        try:
            if chosen:
                self._pages.stage_erased(page, chosen, until)
        except LeaseEnded:
            return len(rows)
        self._pages.release(page)
        self._pages.complete(page)
        return len(rows) - len(free)

    def _free(self, rows: Sequence[ErasedRow], keys: Collection[EventKey]) -> list[ErasedRow]:
        """Those whose block is finished, and of whose event no update is in hand."""
        for other in self._pages.staged_with(keys):
            self._pages.complete(other)
        updates = self._pages.updates(keys)
        finished = self._finished({*map(_position_of, rows), *(position for _, position in updates)})
        busy = {key for key, position in updates if position not in finished}
        taken_off = self._pages.taken_off(keys)
        return [
            row._replace(counted=_position_of(row) not in taken_off)
            for row in rows
            if _position_of(row) in finished and _key_of(row) not in busy
        ]

    def _letters_of(self, keys: Collection[EventKey], subject: Subject) -> list[Position]:
        """The dead letters that tell of one of these events or authors."""
        found = []
        for position, value in self._letters.all():
            key, author = subject_of(value, self._salt)
            if key in keys or author in subject.authors:
                found.append(position)
        return found

    def _counts(self, keys: Collection[EventKey], subject: Subject) -> dict[str, int]:
        return self._traces.counts(keys) | {"dead_letters": len(self._letters_of(keys, subject))}


_OF_AUTHORS = f"SELECT {_ROW} FROM insights WHERE author != '' AND author IN {{authors:Array(String)}}"  # noqa: S608
_OF_EVENTS = f"SELECT {_ROW} FROM insights WHERE (source, event_id) IN {{keys:Array(Tuple(String, String))}}"  # noqa: S608


def _by_month(rows: Collection[ErasedRow]) -> Iterator[list[ErasedRow]]:
    """Rows of one month each, as pages hold them."""
    months: dict[tuple[int, int], list[ErasedRow]] = defaultdict(list)
    for row in rows:
        months[row.event_time.year, row.event_time.month].append(row)
    for some in months.values():
        yield from batched(some, PAGE_ROWS)


def _key_of(row: ErasedRow) -> EventKey:
    return EventKey(row.source, row.event_id)


def _day_of(row: ErasedRow) -> ProductDay:
    return ProductDay(row.product, row.event_time.astimezone(UTC).date())


def _position_of(row: ErasedRow) -> Position:
    return Position(topic=row.topic, topic_id=row.topic_id, partition=row.partition, offset=row.offset)

"""`voxpop reprocess`: judges stored texts again with the configured pack, and puts the new rows in the old ones' place.

Texts are stored redacted, and are judged as they are: evidence fits the stored text, and nothing of an event changes but
what the models say of it. Rows come a page at a time, in the order of the table's key:

    read -> judge -> claim -> leave out what is in other hands -> stage -> write

Until it is staged a page has changed nothing; once it is, it will be written, by whoever comes next. So the program may
die anywhere and be started again: it writes the pages that it finds staged, then goes on with the rows that another pack
has judged. That nothing counts twice or is lost, also beside live workers, other such programs and blocks in doubt, is
argued in `workers/store/pages.py`.

Nothing is produced to the topic of insights: its readers act on what customers say now, and know every insight by its
position, which stays.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields

from schemas.insights import Analysis, Insight, Position
from workers.analyze.disguise import SafeEvent
from workers.analyze.judge import Judge
from workers.store.connect import LeaseEnded
from workers.store.pages import Pages
from workers.store.query import EventKey
from workers.store.rejudged import Rejudged
from workers.store.selection import Row, SelectedRows

PAGE_ROWS = 256
SETTLE_S = 30.0  # rows in other hands are looked at again for so long: workers finish a block in seconds
STEP_BACK_S = 1.0  # at most, before a page that met another program's is tried again
STEPS_BACK = 20  # in all longer than the claim of a program that died lasts
Finished = Callable[[Collection[Position]], set[Position]]

_KEPT = tuple(name for name in Insight.model_fields if name not in Analysis.model_fields)
_EVENT = tuple(field.name for field in fields(SafeEvent) if field.init)


@dataclass(slots=True)
class Tally:
    """Where the work stands, in rows. `done` of `total` have been looked at: `rejudged`, `unjudged` (no model could judge
    the text: the row stays as it is), `left` in the hands of workers or of another such program, or replaced meanwhile.
    `completed` are those of pages that were found staged."""

    total: int = 0
    done: int = 0
    completed: int = 0
    rejudged: int = 0
    unjudged: int = 0
    left: int = 0


class Reprocess:
    """One run. `finished` tells which positions lie in blocks that are finished."""

    def __init__(
        self, selected: SelectedRows, pages: Pages, judge: Judge, finished: Finished, settle_s: float = SETTLE_S
    ) -> None:
        self._selected, self._pages, self._judge = selected, pages, judge
        self._in_place = InPlace(pages, finished)
        self._settle_s = settle_s
        self.tally = Tally()

    def run(self, on_progress: Callable[[Tally], None]) -> Tally:
        """Returns when no row is left to judge, or those that are have been in other hands for `settle_s` seconds.

        Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`; started again, it goes on where it stopped.
        """
        tally = self.tally
        tally.completed = sum(self._pages.complete(page) for page in self._pages.staged())
        tally.total = sum(self._selected.by_pack().values())
        for looked_at in self._pass():
            tally.done += looked_at
            tally.total = max(tally.total, tally.done)  # workers may add rows meanwhile
            on_progress(tally)
        deadline = time.monotonic() + self._settle_s
        while tally.left and time.monotonic() < deadline:
            time.sleep(random.uniform(0, STEP_BACK_S))  # noqa: S311 - jitter, not a secret
            tally.left = tally.unjudged = 0
            for _ in self._pass():
                on_progress(tally)
        return tally

    def _pass(self) -> Iterator[int]:
        """Every page of the selection once: how many rows it had."""
        for rows in self._selected.pages((*_KEPT, *_EVENT, "judged"), PAGE_ROWS):
            judged = self._judged_again(rows)
            self.tally.unjudged += len(rows) - len(judged)
            self._put_in_place(judged)
            yield len(rows)

    def _judged_again(self, rows: Sequence[Row]) -> list[Rejudged]:
        analyses = self._judge.judge_events([SafeEvent(**{name: row[name] for name in _EVENT}) for row in rows])
        return [rejudged(row, analysis) for row, analysis in zip(rows, analyses, strict=True) if analysis is not None]

    def _put_in_place(self, rows: Sequence[Rejudged]) -> None:
        self.tally.rejudged += self._in_place.put(rows)
        self.tally.left += self._in_place.left


class InPlace:
    """Puts rows that were judged again in their old ones' place, a page of one month at a time. `finished` as above."""

    def __init__(self, pages: Pages, finished: Finished) -> None:
        self._pages, self._finished = pages, finished
        self.left = 0

    def put(self, rows: Sequence[Rejudged]) -> int:
        """Writes those that are in nobody else's hands and are still what was judged, and says how many; `left` is how
        many others' hands held. Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`."""
        self.left = 0
        for _ in range(STEPS_BACK):
            if not rows:
                return 0
            written = self._write(uuid.uuid4().hex, rows)
            if written is not None:
                return written
            time.sleep(random.uniform(0, STEP_BACK_S))  # noqa: S311
        self.left = len(rows)
        return 0

    def _write(self, page: str, rows: Sequence[Rejudged]) -> int | None:
        """How many rows of the page were written, as far as it may be now; None when it met another program's page."""
        keys = {_key_of(row) for row in rows}
        until = self._pages.claim(page, keys)
        if self._pages.being_chosen(keys, but=page):
            self._pages.release(page)
            return None
        free = self._free(rows, keys)
        chosen = self._pages.unchanged(free)  # asked last: what was in other hands before is done by now
        try:
            if chosen:
                self._pages.stage(page, chosen, until)
        except LeaseEnded:
            return None
        self._pages.release(page)
        self._pages.complete(page)
        self.left = len(rows) - len(free)
        return len(chosen)

    def _free(self, rows: Sequence[Rejudged], keys: Collection[EventKey]) -> list[Rejudged]:
        """Those whose block is finished, and of whose event no update is in hand or has taken the figures off."""
        for other in self._pages.staged_with(keys):
            self._pages.complete(other)
        updates = self._pages.updates(keys)
        finished = self._finished({*map(_position_of, rows), *(position for _, position in updates)})
        busy = {key for key, position in updates if position not in finished}
        free = finished - self._pages.taken_off(keys)
        return [row for row in rows if _position_of(row) in free and _key_of(row) not in busy]


def rejudged(row: Row, analysis: Analysis) -> Rejudged:
    """A stored row with what the models say now."""
    return Rejudged(Insight(**dict(analysis), **{name: row[name] for name in _KEPT}), row["judged"] + 1)


def _key_of(row: Rejudged) -> EventKey:
    return EventKey(row.insight.source, row.insight.event_id)


def _position_of(row: Rejudged) -> Position:
    new = row.insight
    return Position(topic=new.topic, topic_id=new.topic_id, partition=new.partition, offset=new.offset)

"""`voxpop retention`: what a source may not be kept of any longer goes, while workers go on, and its figures stay.

    note -> wait -> pages that are staged -> source by source, slice by slice: what names the texts, then their rows
         -> keys that nobody asks for -> dead letters -> sums of days without texts

**Time runs from ingestion.** What a text promises is how long *we* hold it, and `ingested_at` is our clock's: an old
review that is imported today has its whole time, a producer's wrong clock shortens none, and a text that is judged again
keeps it.

**Nobody brings one back.** Before anything is removed it is noted per source which moment of ingestion the removal reaches
(table `retention`). Who judges rows again looks at it after claiming and stages none that is older; a worker looks at it as
it looks for receipts, after its claims and before it inserts, and turns away what is changed in an event whose newest
version is older, for the old row's figures could not be taken off any more. As with `voxpop erase` a lease's and a claim's
time later whatever can still arrive has seen the note. Then the pages that are staged are written to their end. Two things
are left for the next run: partitions whose last such row lies in a block that is not finished, since its repetition looks
for its rows, and events of which a worker has an update in hand that is not finished.

**Sent again.** Keys (`event_keys`: ids and a hash, no text) stay until the resend window is over, too, so a text whose time
was shorter is known when it comes again and counts once. After both it is a new text, as any is after the window.

**Death loses nothing.** A slice's rows go last and are what the slice is found by; everything before changes nothing when
it is done again.

**Figures stay.** They hold no text, no id and no author; sums of a day without any text may have an end of their own. A
day's sum of topic vectors is made anew from what is left where it is of few texts. What is gone cannot be recounted, so
`workers/store/recount.py` leaves those days out.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from workers.analyze.redact import redact_identifier
from workers.erase import Finished
from workers.failpoints import failpoint
from workers.settings import Settings
from workers.store.expiry import Expiry
from workers.store.pages import CLAIM_S, GRACE_S, Pages
from workers.store.server_clock import ServerClock

SPARE = timedelta(days=1)  # keys outlive the window by more than a batch takes from its look to its insert


@dataclass(frozen=True, slots=True)
class Ends:
    """Until which moment of ingestion texts are over: by source, and what ends beside them."""

    texts: Mapping[str, datetime]
    keys: Mapping[str, datetime]
    letters: Mapping[str, datetime]  # by source as producers name it; "" for every other
    sums: datetime | None


@dataclass(slots=True)
class Removed:
    """How many rows of each table went, by source; "" for what is of none. `left` texts are in other hands."""

    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    left: int = 0

    def total(self) -> dict[str, int]:
        """By table alone."""
        counted: Counter[str] = Counter()
        for rows in self.rows.values():
            counted.update(rows)
        return dict(counted)


def ends_at(settings: Settings, sources: list[str], now: datetime) -> Ends:
    """What is over at `now` by the settings. `sources` are those that are stored."""
    retention = settings.retention
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as ClickHouse keeps moments
    own = {redact_identifier(name): days for name, days in retention.sources.items()}
    days_of = {source: own.get(source, retention.days) for source in sources}
    texts = {source: now - timedelta(days=days) for source, days in days_of.items() if days is not None}
    known = now - timedelta(days=settings.worker.resend_window_days) - SPARE
    letters = {
        source: now - timedelta(days=min(settings.privacy.dead_letter_days, days or settings.privacy.dead_letter_days))
        for source, days in {**retention.sources, "": retention.days}.items()
    }
    sums = None if retention.aggregates_days is None else now - timedelta(days=retention.aggregates_days)
    return Ends(texts, {source: min(until, known) for source, until in texts.items()}, letters, sums)


class Retention:
    """One run over one ClickHouse. `finished` tells which positions lie in blocks that are finished; `lease_s` is the
    workers' lease."""

    def __init__(self, expiry: Expiry, pages: Pages, clock: ServerClock, finished: Finished, lease_s: float) -> None:
        self._expiry, self._pages, self._clock, self._finished = expiry, pages, clock, finished
        self._wait_s = max(lease_s, CLAIM_S) + GRACE_S

    def due(self, ends: Ends) -> dict[str, dict[str, int]]:
        """By source and table how many rows are over; "" for what is of no source."""
        found = {source: self._expiry.counts(source, until, ends.keys[source]) for source, until in ends.texts.items()}
        return found | {"": self._letters(ends, remove=False) | self._sums(ends, remove=False)}

    def apply(self, ends: Ends, on_step: Callable[[str], None]) -> Removed:
        """Removes it. Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`; run again, it goes on."""
        removed = Removed()
        over = {source: until for source, until in ends.texts.items() if self._expiry.left(source, until)}
        if over:
            on_step("waiting until every worker's insert has seen what is over")
            self._expiry.note(over)
            failpoint("retention-noted")
            self._wait()
            for page in self._pages.staged():
                self._pages.complete(page)
        for source, until in ends.texts.items():
            on_step(source)
            removed.rows[source] = self._remove(source, until)
            if left := self._expiry.left(source, until):
                removed.left += left
            else:
                removed.rows[source] |= self._expiry.remove_keys(source, ends.keys[source])
        on_step("dead letters, and sums of days without texts")
        removed.rows[""] = self._letters(ends, remove=True) | self._sums(ends, remove=True)
        return removed

    def _wait(self) -> None:
        until = self._clock.now() + timedelta(seconds=self._wait_s)
        while (left_s := (until - self._clock.now()).total_seconds()) > 0:
            time.sleep(left_s)

    def _remove(self, source: str, until: datetime) -> dict[str, int]:
        """Every slice of a source that is in nobody else's hands."""
        last = self._expiry.last_positions(source, until)
        finished = self._finished(last)
        held = [position for position in last if position not in finished]
        counted: Counter[str] = Counter()
        while True:
            part = self._expiry.slice_until(source, until, held)
            updates = self._expiry.updates(source, part, held)
            done = self._finished({position for _, position in updates})
            gone = self._expiry.remove(source, part, held, {key for key, at in updates if at not in done})
            failpoint("retention-removed")
            counted.update(gone)
            if part == until or not gone["insights"]:
                return dict(counted)

    def _letters(self, ends: Ends, *, remove: bool) -> dict[str, int]:
        named = {source for source in ends.letters if source}
        counts = (self._expiry.letters(source, named, until, remove=remove) for source, until in ends.letters.items())
        return {"dead_letters": sum(counts)}

    def _sums(self, ends: Ends, *, remove: bool) -> dict[str, int]:
        return {} if ends.sums is None else self._expiry.sums(ends.sums, remove=remove)

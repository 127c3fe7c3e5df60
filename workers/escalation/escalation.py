"""Rounds of escalation: ask a larger model about stored texts that the pack is unsure of and that matter.

    which rows? -> set aside texts that give orders -> budget, breaker -> note that it begins -> ask -> note the answer
                                                                  which rows do not say what was answered? -> their page

It is a program of its own that reads what workers have written, so that no insight waits for it whatever it does.
A row is replaced as `voxpop reprocess` does it (`workers/store/pages.py`): exactly once, aggregates and all. An answer is
noted before its row is replaced, and rows are found by what is noted: whoever dies where, the next run goes on from there
and pays for nothing twice. A call that was begun counts in the budgets whether its end was seen or not.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime

from schemas.insights import Insight
from workers import metrics
from workers.analyze.instructions import addresses_machine
from workers.escalation.breaker import Breaker
from workers.escalation.calls import Begun, begin, make, room, set_aside
from workers.escalation.endpoint import Endpoint
from workers.escalation.second_opinion import with_label
from workers.failpoints import failpoint
from workers.reprocess import InPlace
from workers.settings import EscalationSettings
from workers.store.escalations import Call, Candidate, EscalationStore
from workers.store.rejudged import Rejudged
from workers.store.stored_insight import stored_insight

ASKED_A_ROUND = 64
PAGE_ROWS = 256


@dataclass(slots=True)
class Tally:
    """What came of a run. `asked` calls were made; `set_aside` texts give orders to machines and were not sent; `applied`
    rows say now what was answered, `left` are in the hands of workers and will. `held`: budget or breaker let no more by."""

    asked: int = 0
    changed: int = 0
    confirmed: int = 0
    refused: int = 0
    failed: int = 0
    set_aside: int = 0
    applied: int = 0
    left: int = 0
    held: bool = False


class Escalation:
    """One thread at a time; calls are made on threads of its own."""

    def __init__(
        self,
        store: EscalationStore,
        endpoint: Endpoint,
        in_place: InPlace,
        breaker: Breaker,
        settings: EscalationSettings,
        now: Callable[[], datetime],
    ) -> None:
        """`now` is ClickHouse's clock."""
        self._store, self._endpoint, self._in_place = store, endpoint, in_place
        self._breaker, self._settings, self._now = breaker, settings, now
        self.tally = Tally()
        self.last_step = time.monotonic()

    def round(self) -> int:
        """Asks about some rows and puts in place what is answered; how much it did.

        Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`; the next round then goes on.
        """
        self.last_step = time.monotonic()
        done = self._ask(self._store.unanswered(self._settings, ASKED_A_ROUND)) + self._apply()
        metrics.ESCALATIONS_HELD.set(self.tally.held)
        return done

    def _ask(self, candidates: Sequence[Candidate]) -> int:
        self.tally.held = False
        wanted, aside = self._without_orders(candidates), len(candidates)
        aside -= len(wanted)
        done = 0
        while done < len(wanted):
            most = self._breaker.lets_through(self._settings.at_once)
            begun = self._affordable(wanted[done : done + most])
            if not begun:
                self.tally.held = True
                break
            self._make(begun)
            done += len(begun)
        return done + aside

    def _without_orders(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are to be sent. A text that gives orders to machines is not: that is noted."""
        giving = [c for c in candidates if addresses_machine(f"{c.row['title']}\n{c.row['text']}")]
        if giving:
            self._store.note([set_aside(c, self._settings, self._now()) for c in giving])
            self.tally.set_aside += len(giving)
        return [c for c in candidates if c not in giving]

    def _affordable(self, candidates: Sequence[Candidate]) -> list[Begun]:
        """Calls about the first of these: as many as every budget has room for, should each take the most it can."""
        if not candidates:
            return []
        wish = self._settings
        calls, tokens = room(self._store.spent(), wish)
        chosen: list[Begun] = []
        for candidate in candidates[: max(0, calls)]:
            begun = begin(candidate, wish, self._now())
            tokens -= begun.most_tokens
            if tokens < 0:
                break
            chosen.append(begun)
        return chosen

    def _make(self, begun: Sequence[Begun]) -> None:
        self.last_step = time.monotonic()
        self._store.note([each.noted for each in begun])
        failpoint("escalation-begun")
        with ThreadPoolExecutor(len(begun), "escalation") as pool:
            calls = [pool.submit(make, each, self._endpoint, self._settings) for each in begun]
            for call in as_completed(calls):
                self._store.note([call.result()])
                failpoint("escalation-answered")
                self._count(call.result())

    def _count(self, call: Call) -> None:
        kind = call.outcome.partition(":")[0]
        self._breaker.note(good=kind in ("changed", "confirmed"))
        metrics.ESCALATIONS.labels(kind).inc()
        self.tally.asked += 1
        setattr(self.tally, kind, getattr(self.tally, kind) + 1)

    def _apply(self) -> int:
        """Puts the rows in place that do not say yet what was answered, a page a month."""
        pages: dict[tuple[int, int], list[Rejudged]] = {}
        for candidate in self._store.answered(self._settings, PAGE_ROWS):
            row = _escalated(candidate)
            pages.setdefault((row.insight.event_time.year, row.insight.event_time.month), []).append(row)
        applied = self.tally.left = 0
        for rows in pages.values():
            applied += self._in_place.put(rows)
            self.tally.left += self._in_place.left
        self.tally.applied += applied
        return applied


def _escalated(candidate: Candidate) -> Rejudged:
    insight: Insight = stored_insight(candidate.row)
    return Rejudged(with_label(insight, candidate.answer), candidate.row["judged"] + 1)  # type: ignore[arg-type]

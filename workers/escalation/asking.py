"""Calls that are no second opinion on a row: within the same budgets, behind the same breaker, on the same record.

A call is noted with the most that it may take before it is made, so that it counts in the budgets whoever dies.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from workers.errors import UsageError
from workers.escalation.breaker import Breaker
from workers.escalation.calls import UNANSWERED, room, taking, unanswered
from workers.escalation.completion import Completion, read_completion
from workers.escalation.endpoint import CallFailed, Endpoint, Unusable
from workers.failpoints import failpoint
from workers.settings import EscalationSettings, Settings
from workers.store.connect import connect
from workers.store.escalations import Call, EscalationStore
from workers.store.server_clock import ServerClock
from workers.stream.blocks import now_s

T = TypeVar("T")
Purpose = Literal["brief", "trace"]


class Held(Exception):
    """No call may be made now: `str()` is budget or breaker."""


class Asked(NamedTuple):
    """A request, the most tokens that its answer may take, and what for."""

    body: bytes
    answer_tokens: int
    purpose: Purpose
    product: str = ""


class Asking:
    """One thread at a time. `calls`, `tokens` and `cost` are what this process has taken."""

    def __init__(
        self,
        store: EscalationStore,
        endpoint: Endpoint,
        breaker: Breaker,
        settings: EscalationSettings,
        now: Callable[[], datetime],
    ) -> None:
        """`now` is ClickHouse's clock."""
        self._store, self._endpoint, self._breaker, self._settings, self._now = store, endpoint, breaker, settings, now
        self.calls, self.tokens, self.cost = 0, 0, 0.0

    def ask(self, asked: Asked, read: Callable[[Completion], T]) -> T:
        """What `read` makes of the answer; it raises `Unusable` for one that cannot be taken.

        Raises `Held` before a call, `CallFailed` or `Unusable` after it, and what the store raises.
        """
        begun = self._begun(asked)
        self._store.note([begun])
        failpoint("asking-begun")
        began_s, outcome, made = time.monotonic(), UNANSWERED, begun
        try:
            completion = read_completion(self._endpoint.post(asked.body))
            if completion.prompt_tokens is not None and completion.answer_tokens is not None:
                made = taking(begun, self._settings, completion.prompt_tokens, completion.answer_tokens)
            answer = read(completion)
            outcome = "answered"
        except CallFailed as failed:
            outcome = f"failed:{failed}"
            raise
        except Unusable as unusable:
            outcome = f"refused:{unusable}"
            raise
        finally:
            self._breaker.note(good=outcome == "answered")
            self._end(made, outcome, round((time.monotonic() - began_s) * 1000))
        return answer

    def _begun(self, asked: Asked) -> Call:
        if not self._breaker.lets_through(1):
            raise Held("breaker")
        call = unanswered(self._settings, self._now(), asked.product, asked.purpose)
        call = taking(call, self._settings, len(asked.body), asked.answer_tokens)
        calls, tokens = room(self._store.spent(), self._settings)
        if calls < 1 or tokens < call.prompt_tokens + call.answer_tokens:
            raise Held("budget")
        return call

    def _end(self, call: Call, outcome: str, latency_ms: int) -> None:
        self.calls += 1
        self.tokens += call.prompt_tokens + call.answer_tokens
        self.cost += call.cost
        self._store.note([call._replace(revision=1, outcome=outcome, latency_ms=latency_ms)])


@contextmanager
def asking(settings: Settings) -> Iterator[Asking]:
    """Over a connection of its own. Raises `UsageError` when no endpoint is configured."""
    chosen, store = settings.escalation, settings.clickhouse
    need_endpoint(chosen)
    with connect(store) as client:
        clock = ServerClock(client, store, now_s)
        breaker = Breaker(chosen.breaker_failures, chosen.breaker_pause_s, time.monotonic)
        yield Asking(EscalationStore(client, store), Endpoint(chosen), breaker, chosen, clock.now)


def need_endpoint(chosen: EscalationSettings) -> None:
    """Raises `UsageError` when no endpoint is configured."""
    if chosen.base_url is None:
        raise UsageError(
            "no escalation endpoint is configured, so no text leaves this machine; set VOXPOP_ESCALATION__BASE_URL"
        )

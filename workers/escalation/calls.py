"""One call about one row: what is noted before it, and what is noted of it afterwards."""

import time
import uuid
from datetime import datetime
from typing import NamedTuple

from workers.escalation.endpoint import CallFailed, Endpoint, Unusable
from workers.escalation.question import ANSWER_TOKENS, question, read_answer
from workers.settings import EscalationSettings
from workers.store.escalations import Call, Candidate, Spent

MILLION = 1_000_000
UNANSWERED = "failed:unanswered"  # what a call is until its end is noted
GIVES_ORDERS = "refused:gives_orders"


class Begun(NamedTuple):
    """A call that may be made: its body, and what is noted before it is."""

    body: bytes
    noted: Call

    @property
    def most_tokens(self) -> int:
        return self.noted.prompt_tokens + self.noted.answer_tokens


def room(spent: Spent, wish: EscalationSettings) -> tuple[int, int]:
    """How many calls and tokens every budget has left; below zero when it is overrun."""
    calls = min(wish.calls_per_hour - spent.calls_hour, wish.calls_per_day - spent.calls_day)
    tokens = min(wish.tokens_per_hour - spent.tokens_hour, wish.tokens_per_day - spent.tokens_day)
    return calls, tokens


def begin(candidate: Candidate, wish: EscalationSettings, now: datetime) -> Begun:
    """The call about a row, at its most."""
    row = candidate.row
    body = question(wish.model, row["title"], row["text"], wish.max_chars)
    return Begun(body, taking(_call(candidate, wish, now), wish, len(body), ANSWER_TOKENS))


def set_aside(candidate: Candidate, wish: EscalationSettings, now: datetime) -> Call:
    """What is noted of a text that gives orders to machines: it is not sent."""
    return _call(candidate, wish, now)._replace(revision=1, calls=0, outcome=GIVES_ORDERS)


def make(begun: Begun, endpoint: Endpoint, wish: EscalationSettings) -> Call:
    """Makes the call; what is to be noted of it. Never raises for what the endpoint does."""
    noted, began_s = begun.noted, time.monotonic()
    try:
        answer = read_answer(endpoint.post(begun.body))
    except CallFailed as failed:
        noted = noted._replace(outcome=f"failed:{failed}")
    except Unusable as unusable:
        noted = noted._replace(outcome=f"refused:{unusable}")
    else:
        outcome = "confirmed" if answer.label == noted.old_label else "changed"
        noted = noted._replace(answer=answer.label, outcome=outcome)
        if answer.prompt_tokens is not None and answer.answer_tokens is not None:
            noted = taking(noted, wish, answer.prompt_tokens, answer.answer_tokens)
    return noted._replace(revision=1, latency_ms=round((time.monotonic() - began_s) * 1000))


def unanswered(wish: EscalationSettings, now: datetime, product: str, reason: str) -> Call:
    """A call about no one row, as it is noted before it is made."""
    nothing = {"source": "", "event_id": "", "content_hash": "", "pack": "", "pack_version": "", "old_label": ""}
    return Call(
        call=uuid.uuid4().hex,
        revision=0,
        asked_at=now,
        product=product,
        model=wish.model,
        reason=reason,
        calls=1,
        prompt_tokens=0,
        answer_tokens=0,
        cost=0.0,
        latency_ms=0,
        answer="",
        confidence=0.0,
        outcome=UNANSWERED,
        **nothing,
    )


def _call(candidate: Candidate, wish: EscalationSettings, now: datetime) -> Call:
    row = candidate.row
    return unanswered(wish, now, row["product"], candidate.reason)._replace(
        source=row["source"],
        event_id=row["event_id"],
        content_hash=row["content_hash"],
        pack=row["pack"],
        pack_version=row["pack_version"],
        old_label=row["sentiment"],
        confidence=row["sentiment_confidence"],
    )


def taking(call: Call, wish: EscalationSettings, prompt_tokens: int, answer_tokens: int) -> Call:
    """The call with what it takes."""
    cost = (prompt_tokens * wish.prompt_price + answer_tokens * wish.answer_price) / MILLION
    return call._replace(prompt_tokens=prompt_tokens, answer_tokens=answer_tokens, cost=cost)

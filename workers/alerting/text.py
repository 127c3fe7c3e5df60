"""What of an insight matters to alerts, small enough to be kept for every text of the latest windows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.alerts import Example
from schemas.insights import Insight
from workers.alerting.likeness import simhash

URGENT = 0.5  # as the tables count it
QUOTE_CHARS = 160
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hour_of(moment: datetime) -> int:
    """Whole hours since 1970."""
    return (moment - _EPOCH) // timedelta(hours=1)


def moment_of(hour: int) -> datetime:
    """Its beginning, in UTC."""
    return _EPOCH + timedelta(hours=hour)


class Said(NamedTuple):
    """An aspect of a text: whether something negative is said of it, and the words."""

    negative: bool
    quote: str


@dataclass(frozen=True, slots=True)
class AlertText:
    """One text. `key` names its event, `topic` is where that came from; `hour` is of its event time, `arrived_s` the second
    of its ingestion."""

    key: str
    product: str
    topic: str
    hour: int
    arrived_s: int
    source: str
    event_id: str
    negative: bool
    score: float
    urgency: float
    simhash: int | None
    quote: str
    aspects: Mapping[str, Said]

    @property
    def urgent(self) -> bool:
        return self.urgency >= URGENT

    def example(self, aspect: str = "") -> Example:
        """With the words about the aspect, or the text's beginning."""
        said = self.aspects.get(aspect)
        return Example(source=self.source, event_id=self.event_id, quote=said.quote if said else self.quote)

    def as_record(self) -> dict[str, Any]:
        """JSON for a table; `from_record` reads it."""
        return {
            "hour": self.hour,
            "topic": self.topic,
            "arrived_s": self.arrived_s,
            "source": self.source,
            "id": self.event_id,
            "negative": self.negative,
            "score": round(self.score, 4),
            "urgency": round(self.urgency, 4),
            "simhash": None if self.simhash is None else f"{self.simhash:016x}",
            "quote": self.quote,
            "aspects": {name: [said.negative, said.quote] for name, said in self.aspects.items()},
        }


def from_record(product: str, key: str, record: Mapping[str, Any]) -> AlertText:
    """The text that `as_record` gave."""
    return AlertText(
        key=key,
        product=product,
        topic=record["topic"],
        hour=record["hour"],
        arrived_s=record["arrived_s"],
        source=record["source"],
        event_id=record["id"],
        negative=record["negative"],
        score=record["score"],
        urgency=record["urgency"],
        simhash=None if record["simhash"] is None else int(record["simhash"], 16),
        quote=record["quote"],
        aspects={name: Said(*said) for name, said in record["aspects"].items()},
    )


def from_insight(insight: Insight) -> AlertText:
    """What matters of it."""
    event = f"{insight.source}\0{insight.event_id}".encode("utf-8", "surrogatepass")
    aspects: dict[str, Said] = {}
    for mention in insight.aspects:
        quote = _quote(insight.text[mention.evidence.start : mention.evidence.end])
        if mention.aspect not in aspects or mention.sentiment == "negative":
            aspects[mention.aspect] = Said(mention.sentiment == "negative", quote)
    return AlertText(
        key=hashlib.blake2b(event, digest_size=10).hexdigest(),
        product=insight.product,
        topic=insight.topic,
        hour=hour_of(insight.event_time),
        arrived_s=int(insight.ingested_at.timestamp()),
        source=insight.source,
        event_id=insight.event_id,
        negative=insight.sentiment.label == "negative",
        score=round(insight.sentiment.score, 4),
        urgency=round(insight.urgency, 4),
        simhash=simhash(insight.text),
        quote=_quote(insight.text),
        aspects=aspects,
    )


def _quote(text: str) -> str:
    told = " ".join(text.split())
    return told if len(told) <= QUOTE_CHARS else told[: QUOTE_CHARS - 1] + "…"

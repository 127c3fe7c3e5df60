"""What is kept of an hour, and windows over such hours."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.alerting.text import AlertText

DAY = 24


@dataclass(slots=True)
class Counts:
    """How many texts there were, and of which kind. `aspects`: name -> (mentioned, negatively). `sources`: name -> texts."""

    texts: int = 0
    negative: int = 0
    urgent: int = 0
    aspects: dict[str, tuple[int, int]] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, texts: Iterable[AlertText]) -> "Counts":
        counts = cls()
        for text in texts:
            said = {name: (1, int(mention.negative)) for name, mention in text.aspects.items()}
            counts.add(cls(1, int(text.negative), int(text.urgent), said, Counter({text.source: 1})))
        return counts

    def add(self, other: "Counts") -> None:
        self.texts += other.texts
        self.negative += other.negative
        self.urgent += other.urgent
        self.sources.update(other.sources)
        for name, (mentioned, negative) in other.aspects.items():
            before = self.aspects.get(name, (0, 0))
            self.aspects[name] = (before[0] + mentioned, before[1] + negative)

    def as_record(self) -> dict[str, Any]:
        """JSON for a table; `from_record` reads it."""
        aspects = {name: list(pair) for name, pair in self.aspects.items()}
        return {
            "texts": self.texts,
            "negative": self.negative,
            "urgent": self.urgent,
            "aspects": aspects,
            "sources": dict(self.sources),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Counts":
        aspects = {name: (pair[0], pair[1]) for name, pair in record["aspects"].items()}
        return cls(record["texts"], record["negative"], record["urgent"], aspects, Counter(record["sources"]))


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of `hours` hours (a part of a day, or whole days), aligned in UTC. A window's past are the windows of the same
    hours of day, one a day (or the windows before, when they are days long), for `history_hours` hours."""

    hours: int
    history_hours: int

    @property
    def period(self) -> int:
        """Hours from a window to the nearest that it may be compared with."""
        return max(DAY, self.hours)

    def start_of(self, hour: int) -> int:
        """The beginning of the window that holds it."""
        return hour - hour % self.hours

    def past(self, start: int, first: int) -> list[int]:
        """Beginnings of the windows that this one may be compared with, none before the one that holds hour `first`."""
        begin = max(self.start_of(first), start - self.history_hours)
        return list(range(start - self.period, begin - 1, -self.period))

    def counts(self, start: int, hours: Mapping[int, Counts]) -> Counts:
        """Everything in the window that begins at `start`."""
        total = Counts()
        for hour in range(start, start + self.hours):
            if hour in hours:
                total.add(hours[hour])
        return total

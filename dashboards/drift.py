"""Whether what the model says has shifted: a week against the four weeks before it.

Predictions by the population stability index; what texts are about by how far the mean topic vector has moved.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

from pydantic import Field

from dashboards.models import ApiModel
from workers.drift.stability import Reading, band_name, frequent, join_rare, psi, reading
from workers.drift.topic_moves import REFERENCE_DAYS, WEEK_DAYS, Move, TopicMoves

SENTIMENTS = ("negative", "neutral", "positive")

Predicted = Literal["sentiment", "language", "confidence"]
What = Literal["sentiment", "language", "confidence", "topics"]
PREDICTED: tuple[Predicted, ...] = ("sentiment", "language", "confidence")
WHAT: tuple[What, ...] = (*PREDICTED, "topics")
Shares = Mapping[Predicted, Counter[str]]


class Part(ApiModel):
    """One kind of prediction, and how large a share it has (0…1). A band of confidence is named by its beginning."""

    name: str
    share: float
    reference: float


class Shift(ApiModel):
    """One of the predictions, or the topics, over a week and the reference before it. `index` is null with too few texts;
    topics have no parts."""

    what: What
    index: float | None
    reading: Reading
    texts: int
    reference_texts: int
    parts: list[Part]


class DriftDay(ApiModel):
    """The indices of the week that ends on this day; null with too few texts."""

    day: date
    sentiment: float | None
    language: float | None
    confidence: float | None
    topics: float | None


class Drift(ApiModel):
    latest: list[Shift] = Field(description="Of the week that ends on the latest day with texts.")
    days: list[DriftDay]


def drift(found: Iterable[Sequence[Any]], topics: Iterable[Sequence[Any]], last: date, days: int) -> Drift:
    """Of rows (day, language, band, negative, neutral, positive) and of rows (day, pack, texts, sum of their topic vectors):
    the last `days` days, and the latest in full."""
    by_day: dict[date, Shares] = {}
    for day, language, band, *mix in found:
        counts = by_day.setdefault(day, {what: Counter() for what in PREDICTED})
        counts["sentiment"].update(dict(zip(SENTIMENTS, mix, strict=True)))
        counts["language"][language] += sum(mix)
        counts["confidence"][band_name(band)] += sum(mix)
    moves = TopicMoves(topics)
    series = []
    for ago in reversed(range(days)):
        day = last - timedelta(days=ago)
        now, reference = _sides(by_day, day)
        index = {what: _rounded(psi(reference[what], now[what])) for what in PREDICTED}
        series.append(DriftDay(day=day, **index, topics=_rounded(moves.of_week(day).distance)))
    now, reference = _sides(by_day, last)
    shifts = [_shift(what, now[what], reference[what]) for what in PREDICTED]
    return Drift(latest=[*shifts, _moved(moves.of_week(last))], days=series)


def _sides(by_day: Mapping[date, Shares], end: date) -> tuple[Shares, Shares]:
    """The week that ends on `end`, and the reference before it."""
    now = _summed(by_day, end, WEEK_DAYS)
    reference = _summed(by_day, end - timedelta(days=WEEK_DAYS), REFERENCE_DAYS)
    kept = frequent(reference["language"])
    for side in (now, reference):
        join_rare(side["language"], kept)
    return now, reference


def _summed(by_day: Mapping[date, Shares], end: date, days: int) -> Shares:
    """Of the `days` days that end on `end`."""
    sums: dict[Predicted, Counter[str]] = {what: Counter() for what in PREDICTED}
    for ago in range(days):
        for what, counts in by_day.get(end - timedelta(days=ago), {}).items():
            sums[what].update(counts)
    return sums


def _shift(what: Predicted, now: Counter[str], reference: Counter[str]) -> Shift:
    index = psi(reference, now)
    n, m = now.total(), reference.total()
    return Shift(
        what=what,
        index=_rounded(index),
        reading=reading(index),
        texts=n,
        reference_texts=m,
        parts=[
            Part(
                name=name,
                share=round(now[name] / n, 4) if n else 0,
                reference=round(reference[name] / m, 4) if m else 0,
            )
            for name in sorted(reference | now)
        ],
    )


def _moved(move: Move) -> Shift:
    return Shift(
        what="topics",
        index=_rounded(move.distance),
        reading=reading(move.distance),
        texts=move.texts,
        reference_texts=move.reference_texts,
        parts=[],
    )


def _rounded(index: float | None) -> float | None:
    return None if index is None else round(index, 4)

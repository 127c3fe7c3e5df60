"""Whether what the model says has shifted: a week against the four weeks before it.

Predictions by the population stability index; what texts are about by how far the mean topic vector has moved.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from dashboards.models import ApiModel
from dashboards.topic_moves import REFERENCE_DAYS, WEEK_DAYS, Move, TopicMoves

MAX_NOISE = 0.05  # of the index, expected by chance alone: beyond it there are too few texts to read anything into it
RARE = 0.01  # of the reference: languages below it count as one
LOWEST_BAND = 5  # below one half the bands of confidence count as one
SENTIMENTS = ("negative", "neutral", "positive")

Predicted = Literal["sentiment", "language", "confidence"]
What = Literal["sentiment", "language", "confidence", "topics"]
PREDICTED: tuple[Predicted, ...] = ("sentiment", "language", "confidence")
WHAT: tuple[What, ...] = (*PREDICTED, "topics")
Shares = Mapping[Predicted, Counter[str]]


class Reading(StrEnum):
    """How an index is usually read. Programs may switch on these."""

    STEADY = "steady"  # < 0.1
    MOVING = "moving"  # 0.1 … 0.25
    SHIFTED = "shifted"  # > 0.25
    TOO_FEW = "too_few"


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


def psi(reference: Counter[str], now: Counter[str]) -> float | None:
    """Sum over all kinds of (a − b) · ln(a / b), a and b the shares now and in the reference; ≥ 0.

    Half a text is added to every kind, so that one that is new or gone gives a number. None when chance alone would be
    expected to give more than MAX_NOISE: (kinds − 1) · (1/n + 1/m) for n and m texts (Yurdakul and Naranjo, 2020).
    """
    kinds = sorted(reference | now)
    n, m = now.total(), reference.total()
    if not n or not m or (len(kinds) - 1) * (1 / n + 1 / m) > MAX_NOISE:
        return None
    half = 0.5 * len(kinds)
    shares = [((now[kind] + 0.5) / (n + half), (reference[kind] + 0.5) / (m + half)) for kind in kinds]
    return math.fsum((a - b) * math.log(a / b) for a, b in shares)


def reading(index: float | None) -> Reading:
    """The usual words for it."""
    if index is None:
        return Reading.TOO_FEW
    if index < 0.1:
        return Reading.STEADY
    return Reading.MOVING if index <= 0.25 else Reading.SHIFTED


def drift(found: Iterable[Sequence[Any]], topics: Iterable[Sequence[Any]], last: date, days: int) -> Drift:
    """Of rows (day, language, band, negative, neutral, positive) and of rows (day, pack, texts, sum of their topic vectors):
    the last `days` days, and the latest in full."""
    by_day: dict[date, Shares] = {}
    for day, language, band, *mix in found:
        counts = by_day.setdefault(day, {what: Counter() for what in PREDICTED})
        counts["sentiment"].update(dict(zip(SENTIMENTS, mix, strict=True)))
        counts["language"][language] += sum(mix)
        counts["confidence"][f"{band / 10 if band >= LOWEST_BAND else 0.0}"] += sum(mix)
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
    rare = RARE * reference["language"].total()
    kept = {name for name, texts in reference["language"].items() if texts >= rare}
    if kept:
        for side in (now, reference):
            _join(side["language"], kept)
    return now, reference


def _summed(by_day: Mapping[date, Shares], end: date, days: int) -> Shares:
    """Of the `days` days that end on `end`."""
    sums: dict[Predicted, Counter[str]] = {what: Counter() for what in PREDICTED}
    for ago in range(days):
        for what, counts in by_day.get(end - timedelta(days=ago), {}).items():
            sums[what].update(counts)
    return sums


def _join(languages: Counter[str], kept: set[str]) -> None:
    for name in [name for name in languages if name not in kept]:
        languages["other"] += languages.pop(name)


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

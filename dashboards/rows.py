"""Rows of the statements as models."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from dashboards import models
from dashboards.movers import Change, Counts, Mover, movers
from dashboards.paging import Key
from dashboards.parameters import Window


def moment(milliseconds: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def days(window: Window) -> models.Days:
    """The window as the API tells it."""
    return models.Days(first=window.first, last=window.last)


def mix(row: Sequence[Any]) -> models.Mix:
    """(texts, negative, neutral, positive)."""
    texts, negative, neutral, positive = row
    return models.Mix(texts=texts, negative=negative, neutral=neutral, positive=positive)


def aspect(row: Sequence[Any]) -> models.AspectMix:
    """(aspect, mentions, negative, neutral, positive)."""
    return models.AspectMix(aspect=row[0], **mix(row[1:]).model_dump())


def product(row: Sequence[Any]) -> models.ProductTotals:
    """A row of `statements.totals`."""
    product, texts, negative, neutral, positive, score, rating, urgent = row
    return models.ProductTotals(
        product=product,
        texts=texts,
        negative=negative,
        neutral=neutral,
        positive=positive,
        mean_score=round(score, 4),
        mean_rating=None if rating is None else round(rating, 3),
        urgent=urgent,
    )


def every_day(window: Window, rows: Iterable[Sequence[Any]]) -> list[models.Day]:
    """A day without texts is a zero, not a gap."""
    found = {row[0]: row for row in rows}
    return [_day(day, found.get(day, (day, 0, 0, 0, 0, None))) for day in window.all_days()]


def _day(day: date, row: Sequence[Any]) -> models.Day:
    score = row[5] if len(row) > 5 else None
    return models.Day(day=day, **mix(row[1:5]).model_dump(), mean_score=None if score is None else round(score, 4))


def every_minute(now_ms: int, count: int, rows: Iterable[Sequence[Any]]) -> list[models.Minute]:
    """The last `count` minutes and the present one; a minute without events is a zero."""
    found = {int(row[0]): int(row[1]) for row in rows}
    last = now_ms - now_ms % 60_000
    minutes = range(last - count * 60_000, last + 1, 60_000)
    return [models.Minute(minute=moment(ms), events=found.get(ms, 0)) for ms in minutes]


def changes(now: Iterable[models.ProductTotals], before: Iterable[models.ProductTotals]) -> list[Mover]:
    """Products with texts in both windows, the surest change first."""
    earlier = {row.product: Counts(row.texts, row.negative) for row in before}
    return movers(
        (row.product, earlier[row.product], Counts(row.texts, row.negative)) for row in now if row.product in earlier
    )


def mover_row(mover: Mover) -> models.MoverRow:
    """A mover as the API tells it, rounded."""
    change = mover.change
    return models.MoverRow(
        product=mover.product,
        texts=mover.after.texts,
        negative=mover.after.negative,
        texts_before=mover.before.texts,
        negative_before=mover.before.negative,
        difference=round(change.difference or 0.0, 4),
        **tested(change),
    )


def tested(change: Change) -> dict[str, Any]:
    """The fields of `models.Tested`, rounded."""
    return {
        "z": None if change.z is None else round(change.z, 3),
        "p": None if change.p is None else float(f"{change.p:.3g}"),
        "q": None if change.q is None else float(f"{change.q:.3g}"),
        "evidence": change.evidence,
    }


def summed(products: Iterable[models.ProductTotals]) -> models.Totals:
    """All products together. A rating's weight is not known here, so there is none of several."""
    rows = list(products)
    texts = sum(row.texts for row in rows)
    score = sum((row.mean_score or 0) * row.texts for row in rows)
    return models.Totals(
        texts=texts,
        negative=sum(row.negative for row in rows),
        neutral=sum(row.neutral for row in rows),
        positive=sum(row.positive for row in rows),
        mean_score=round(score / texts, 4) if texts else None,
        mean_rating=rows[0].mean_rating if len(rows) == 1 else None,
        urgent=sum(row.urgent for row in rows),
    )


def key(row: Sequence[Any]) -> Key:
    """Where a row of TEXT_COLUMNS lies."""
    return Key(time_ms=row[0], topic=row[1], topic_id=row[2], partition=row[3], offset=row[4])


def text(row: Sequence[Any]) -> models.Text:
    """A row of TEXT_COLUMNS."""
    (
        time_ms, topic, _, partition, offset, event_id, source, kind, product, title, said, rating, language, sentiment,
        score, confidence, aspects, polarities, sureness, starts, ends, intents, emotion, urgency, flags, pack,
        pack_version, route, ingested_ms,
    ) = row  # fmt: skip
    mentions = zip(aspects, polarities, sureness, starts, ends, strict=True)
    return models.Text(
        event_time=moment(time_ms),
        ingested_at=moment(ingested_ms),
        topic=topic,
        partition=partition,
        offset=offset,
        event_id=event_id,
        source=source,
        kind=kind,
        product=product,
        title=title,
        text=said,
        rating=rating,
        language=language,
        sentiment=sentiment,
        score=round(score, 4),
        confidence=round(confidence, 4),
        aspects=[
            models.Mention(aspect=a, sentiment=s, confidence=round(c, 4), start=b, end=e) for a, s, c, b, e in mentions
        ],
        intents=intents,
        emotion=emotion,
        urgency=round(urgency, 4),
        flags=flags,
        pack=pack,
        pack_version=pack_version,
        route=route,
    )

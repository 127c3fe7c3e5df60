"""A product beside another one, or beside itself in the days before."""

from collections.abc import Sequence
from typing import Any

from dashboards import models, rows, statements
from dashboards.clickhouse import LimitedReader
from dashboards.movers import Counts, compare, together
from dashboards.parameters import Window

_NOTHING = models.Mix(texts=0, negative=0, neutral=0, positive=0)


async def compared(reader: LimitedReader, here: tuple[str, Window], there: tuple[str, Window]) -> models.Comparison:
    """Of two (product, days). Raises `StoreUnavailable` or `StoreRefused`."""
    asked = [
        statement
        for product, window in (here, there)
        for statement in (
            statements.totals(window, product),
            statements.daily(window, product),
            statements.aspects(window, product),
        )
    ]
    found = await reader.all(*asked)
    left, right = _side(*here, *found[:2]), _side(*there, *found[3:5])
    change = compare(_counts(right.totals), _counts(left.totals))
    return models.Comparison(
        here=left,
        there=right,
        difference=_rounded(change.difference),
        aspects=_aspects(found[2], found[5]),
        **rows.tested(change),
    )


def _side(product: str, window: Window, totals: Sequence[Sequence[Any]], days: Sequence[Sequence[Any]]) -> models.Side:
    return models.Side(
        product=product,
        window=rows.days(window),
        totals=rows.summed([rows.product(row) for row in totals]),
        days=rows.every_day(window, days),
    )


def _aspects(here: Sequence[Sequence[Any]], there: Sequence[Sequence[Any]]) -> list[models.AspectComparison]:
    ours, theirs = ({row[0]: rows.mix(row[1:]) for row in side} for side in (here, there))
    pairs = [(name, ours.get(name, _NOTHING), theirs.get(name, _NOTHING)) for name in ours | theirs]
    pairs.sort(key=lambda pair: (-pair[1].texts - pair[2].texts, pair[0]))
    changes = together([compare(_counts(right), _counts(left)) for _, left, right in pairs])
    return [
        models.AspectComparison(
            aspect=name, here=left, there=right, difference=_rounded(change.difference), **rows.tested(change)
        )
        for (name, left, right), change in zip(pairs, changes, strict=True)
    ]


def _counts(mix: models.Mix) -> Counts:
    return Counts(mix.texts, mix.negative)


def _rounded(difference: float | None) -> float | None:
    return None if difference is None else round(difference, 4)

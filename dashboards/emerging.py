"""Which aspects a product's customers speak of more than before, and whether chance alone explains it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dashboards import models, rows
from dashboards.movers import Counts, Evidence, compare, together


def emerging(found: Iterable[Sequence[Any]]) -> list[models.EmergingAspect]:
    """Of rows (product, aspect, mentions, negative, mentions before): the aspects whose share of their product's mentions
    grew beyond chance, all aspects of all products judged as one family; the surest first, then the largest growth."""
    table = list(found)
    now, before = Counter[str](), Counter[str]()
    for product, _, mentions, _, earlier in table:
        now[product] += mentions
        before[product] += earlier
    changes = together(
        [
            compare(Counts(before[product], earlier), Counts(now[product], said))
            for product, _, said, _, earlier in table
        ]
    )
    grown = [
        models.EmergingAspect(
            product=product,
            aspect=aspect,
            mentions=mentions,
            negative=negative,
            of=now[product],
            mentions_before=earlier,
            of_before=before[product],
            difference=round(change.difference, 4),
            **rows.tested(change),
        )
        for (product, aspect, mentions, negative, earlier), change in zip(table, changes, strict=True)
        if change.difference and change.difference > 0 and change.evidence in (Evidence.STRONG, Evidence.LIKELY)
    ]
    order = list(Evidence)
    return sorted(grown, key=lambda row: (order.index(row.evidence), -row.difference, row.product, row.aspect))

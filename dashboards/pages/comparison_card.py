"""The part of Product that sets it beside another product, or beside its own days before."""

from collections.abc import Sequence

from dashboards.models import Comparison, Side
from dashboards.pages.charts import comparison
from dashboards.pages.live import Chart, Fragment, card
from dashboards.pages.rendering import Words

ASPECTS = 12


class ComparisonCard:
    """Volume and negative share day by day, the totals, and the aspects, of both sides."""

    def __init__(self, words: Words) -> None:
        self._words = words
        with card():
            self._head = Fragment(classes="card-head")
            self._chart = Chart()
            self._table = Fragment()

    def show(self, found: Comparison, products: Sequence[str]) -> None:
        """`products` are those that it can be set beside."""
        words, locale = self._words, self._words.locale
        other = None if found.there.product == found.here.product else found.there.product
        others = [name for name in products if name != found.here.product]
        self._head.show(words.render("comparison_head.html", products=others, other=other, found=found))
        names = self._name(found.here, other), self._name(found.there, other)
        said = locale.t(
            "compare.chart",
            here=names[0],
            there=names[1],
            share=locale.percent(found.here.totals.negative_share),
            other_share=locale.percent(found.there.totals.negative_share),
        )
        self._chart.show(comparison(found.here.days, found.there.days, names, locale), said)
        shown = found.aspects[:ASPECTS]
        self._table.show(words.render("comparison.html", found=found, names=names, aspects=shown))

    def _name(self, side: Side, other: str | None) -> str:
        """The product, or the days where both sides are one product."""
        if other is not None:
            return side.product
        locale, days = self._words.locale, side.window
        return locale.t("app.window", first=locale.day(days.first), last=locale.day(days.last, year=True))

"""Product: one product's days and aspects, the texts behind the aspect that is chosen, and the product beside another."""

from collections.abc import Sequence

from nicegui import ui

from dashboards.figures import UnknownProduct
from dashboards.models import MoverRow, ProductDetail
from dashboards.pages.alerts_card import AlertsCard
from dashboards.pages.ask_card import AskCard
from dashboards.pages.comparison_card import ComparisonCard
from dashboards.pages.day_series import DaySeries
from dashboards.pages.digests_card import DigestsCard
from dashboards.pages.live import Fragment, LivePage, State, card
from dashboards.pages.visit import Visit
from dashboards.parameters import AskedComparison, AskedTexts

ASPECTS, TEXTS = 12, 10


class ProductPage(LivePage):
    name = "product"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._product = visit.parameters.get("name", "")[:128]
        self._aspect = self._known(visit.parameters.get("aspect", ""))
        self._other = self._known(visit.parameters.get("with", ""))

    def build(self) -> None:
        t = self.locale.t
        self._totals = Fragment()
        with ui.element("div").classes("grid"):
            self._series = DaySeries(self.words, "wide")
            with ui.element("div").classes("narrow grid").style("align-content: start"):
                with card():
                    with ui.element("div").classes("card-head"):
                        ui.html(t("change.title"), sanitize=False, tag="h2")
                    self._change = Fragment()
                with card():
                    with ui.element("div").classes("card-head"):
                        ui.html(t("issues.title"), sanitize=False, tag="h2")
                    self._issues = Fragment()
            self._alerts = AlertsCard(self.visit, self.words, "")
            with card("half top"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("aspects.title"), sanitize=False, tag="h2")
                self._aspects = Fragment()
            with card("half"):
                self._about = Fragment(classes="card-head")
                self._texts = Fragment()
            self._digests = DigestsCard(self.visit, "", limit=1)
            self._ask = AskCard(self.visit)
            self._comparison = ComparisonCard(self.words)

    def asked(self, what: dict[str, str]) -> None:
        super().asked(what)
        self._digests.asked(what)
        self._ask.asked(what)
        if "aspect" in what:
            self._aspect = self._known(what["aspect"])
        if "with" in what:
            self._other = self._known(what["with"])

    async def look(self) -> State:
        choices = (await self.visit.figures.choices()).value
        if not self._product and choices.products:
            self._product = choices.products[0]
        self.tools.show(self.visit.tools(products=choices.products, product=self._product))
        try:
            found = (await self.visit.figures.product(self._product, self.visit.window)).value
        except UnknownProduct:
            self.show_head(self._product or self.locale.t("page.product"))
            return "unknown" if choices.products else "empty"
        self._show(found)
        self._series.show(found.days, found.window, await self._alerts.look(found.product))
        await self._show_texts(found)
        await self._digests.look(found.product)
        await self._show_comparison(choices.products)
        await self._ask.look(found.product)
        return ""

    def _show(self, found: ProductDetail) -> None:
        render = self.words.render
        self.show_head(found.product, found.window)
        self._totals.show(render("totals.html", now=found.totals, before=found.totals_before))
        changes: list[MoverRow] = [found.change] if found.change else []
        self._change.show(render("movers.html", movers=changes))
        self._issues.show(render("issues.html", issues=found.issues[:3], with_product=False))
        shown = found.aspects[:ASPECTS]
        most = max((max(row.negative, row.positive) for row in shown), default=1) or 1
        self._aspects.show(render("aspects.html", aspects=shown, most=most, choosable=True, chosen=self._aspect))

    async def _show_texts(self, found: ProductDetail) -> None:
        about = self.words.render("about.html", chosen=self._aspect)
        if not self.visit.may_read_texts:
            self._about.show(about)
            self._texts.show(f'<p class="muted">{self.locale.t("texts.forbidden")}</p>')
            return
        asked = AskedTexts(
            product=found.product,
            aspect=self._aspect,
            first=found.window.first,
            last=found.window.last,
            limit=TEXTS,
        )
        texts = (await self.visit.figures.texts(asked)).value.texts
        await self.visit.noted("product", asked, len(texts))
        self._about.show(about)
        self._texts.show(
            self.words.render(
                "texts.html", texts=texts, with_product=False, marked=lambda text: self.words.marked(text, self._aspect)
            )
        )

    async def _show_comparison(self, products: Sequence[str]) -> None:
        if self._other not in products:
            self._other = None
        asked = {"product": self._product, "with": self._other} | self.visit.window.model_dump(exclude_none=True)
        found = (await self.visit.figures.comparison(AskedComparison.model_validate(asked))).value
        self._comparison.show(found, products)

    def _known(self, name: str) -> str | None:
        """What the browser sent, if it can be the name of an aspect or a product."""
        return name if 0 < len(name) <= 128 and "\0" not in name else None

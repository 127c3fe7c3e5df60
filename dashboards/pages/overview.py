"""Overview: how much, how it feels, what moved, what it is about."""

from nicegui import ui

from dashboards.pages.alerts_card import AlertsCard
from dashboards.pages.ask_card import AskCard
from dashboards.pages.day_series import DaySeries
from dashboards.pages.digests_card import DigestsCard
from dashboards.pages.live import Fragment, LivePage, State, card
from dashboards.parameters import AskedIssues

ASPECTS, MOVERS, ISSUES, EMERGING, DIGESTS = 10, 5, 5, 5, 3


class OverviewPage(LivePage):
    name = "overview"

    def build(self) -> None:
        t = self.locale.t
        self._totals = Fragment()
        with ui.element("div").classes("grid"):
            self._series = DaySeries(self.words, "wide")
            with card("narrow"):
                self._movers_head = Fragment(classes="card-head")
                self._movers = Fragment()
            self._alerts = AlertsCard(self.visit, self.words, "")
            with card("half"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("emerging.title"), sanitize=False, tag="h2")
                self._emerging = Fragment()
            with card("half"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("aspects.title"), sanitize=False, tag="h2")
                self._aspects = Fragment()
            with card("half"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("issues.title"), sanitize=False, tag="h2")
                    ui.html(t("issues.says"), sanitize=False, tag="span").classes("muted small")
                self._issues = Fragment()
            self._digests = DigestsCard(self.visit, "half", limit=DIGESTS)
            self._ask = AskCard(self.visit)
            with card():
                self._products = Fragment()

    def asked(self, what: dict[str, str]) -> None:
        super().asked(what)
        self._digests.asked(what)
        self._ask.asked(what)

    async def look(self) -> State:
        figures = self.visit.figures
        found = (await figures.overview(self.visit.window)).value
        issues = (await figures.issues(AskedIssues(limit=ISSUES))).value.issues
        render, locale, days = self.words.render, self.locale, self.visit.days
        self.show_head(locale.t("page.overview"), found.window)
        self.tools.show(self.visit.tools(products=None, product=None))
        if not found.totals.texts:
            return "empty"
        self._totals.show(render("totals.html", now=found.totals, before=found.totals_before))
        self._series.show(found.days, found.window)
        self._movers_head.show(
            f"<h2>{locale.t('movers.title')}</h2>"
            f'<span class="muted small">{locale.t("movers.says", count=locale.number(days))}</span>'
        )
        self._movers.show(render("movers.html", movers=found.movers[:MOVERS]))
        self._emerging.show(render("emerging.html", emerging=found.emerging[:EMERGING]))
        shown = found.aspects[:ASPECTS]
        most = max((max(row.negative, row.positive) for row in shown), default=1) or 1
        self._aspects.show(render("aspects.html", aspects=shown, most=most, choosable=False, chosen=None))
        self._issues.show(render("issues.html", issues=issues, with_product=True))
        await self._alerts.look()
        await self._digests.look()
        self._products.show(render("products.html", products=found.products))
        await self._ask.look()
        return ""

"""Quality and health: whether texts arrive, how sure the model is and whether that shifts, what could not be used."""

from nicegui import ui

from dashboards.drift import Drift
from dashboards.models import HealthFigures
from dashboards.pages import charts
from dashboards.pages.live import Chart, Fragment, LivePage, State, card


class HealthPage(LivePage):
    name = "health"

    def build(self) -> None:
        t = self.locale.t
        self._totals = Fragment()
        with ui.element("div").classes("grid"):
            with card("half"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("health.throughput"), sanitize=False, tag="h2")
                self._throughput = Chart(low=True)
                self._minutes = Fragment()
            with card("half"):
                with ui.element("div").classes("card-head"):
                    ui.html(t("health.certainty"), sanitize=False, tag="h2")
                self._certainty = Chart(low=True)
                self._days = Fragment()
            with card():
                with ui.element("div").classes("card-head"):
                    ui.html(t("drift.title"), sanitize=False, tag="h2")
                    ui.html(t("drift.says"), sanitize=False, tag="span").classes("muted small")
                self._drift = Chart(low=True)
                self._shifts = Fragment()
            with card("half"):
                self._letters = Fragment()
            with card("half"):
                self._packs = Fragment()

    async def look(self) -> State:
        found = (await self.visit.figures.health()).value
        render, locale = self.words.render, self.locale
        if not found.texts and not found.dead_letters:
            return "empty"
        hour = sum(minute.events for minute in found.minutes)
        self._totals.show(render("health_totals.html", health=found, workers=found.workers, now=found.now, hour=hour))
        said = locale.t("health.throughput_says", count=locale.number(hour))
        self._throughput.show(charts.throughput(found.minutes, locale), said)
        minutes = [[f"{m.minute:%H:%M}", locale.number(m.events)] for m in found.minutes if m.events]
        columns = [locale.t("health.minute"), locale.t("health.events")]
        self._minutes.show(render("series_table.html", columns=columns, rows=minutes))
        self._show_certainty(found)
        self._show_drift((await self.visit.figures.drift()).value)
        self._letters.show(render("dead_letters.html", health=found))
        self._packs.show(render("packs.html", health=found))
        return ""

    def _show_drift(self, found: Drift) -> None:
        locale = self.locale
        readings = "; ".join(
            f"{locale.t(f'drift.{shift.what}')}: {locale.t(f'drift.reading.{shift.reading}')}" for shift in found.latest
        )
        self._drift.show(charts.drift(found.days, locale), locale.t("drift.chart", readings=readings))
        self._shifts.show(self.words.render("drift.html", shifts=found.latest))

    def _show_certainty(self, found: HealthFigures) -> None:
        locale, days = self.locale, found.certainty
        texts = sum(day.texts for day in days) or 1
        said = locale.t(
            "health.certainty_says",
            confidence=locale.percent(sum(day.mean_confidence * day.texts for day in days) / texts),
            unsure=locale.percent(sum(day.unsure for day in days) / texts),
            abstained=locale.percent(sum(day.no_emotion for day in days) / texts),
        )
        self._certainty.show(charts.certainty(days, locale), said)
        columns = [locale.t(k) for k in ("volume.day", "health.confidence", "health.unsure", "health.abstained")]
        rows = [
            [
                locale.day(day.day, year=True),
                locale.percent(day.mean_confidence),
                locale.percent(day.unsure / day.texts),
                locale.percent(day.no_emotion / day.texts),
            ]
            for day in days
        ]
        self._days.show(self.words.render("series_table.html", columns=columns, rows=rows))

"""The card of alerts that Overview and Product share, and their marks on the chart of days."""

from collections.abc import Sequence
from datetime import timedelta

from nicegui import ui

from dashboards.alerts import AlertRow, AskedAlerts, quoted
from dashboards.language import Locale
from dashboards.models import Day
from dashboards.pages.charts import Options
from dashboards.pages.live import Fragment, card
from dashboards.pages.rendering import Words
from dashboards.pages.visit import Visit

SHOWN = 5
MARK = "▲"


class AlertsCard:
    """Open alerts first, then the latest."""

    def __init__(self, visit: Visit, words: Words, classes: str) -> None:
        self._visit, self._words = visit, words
        with card(classes):
            with ui.element("div").classes("card-head"):
                ui.html(words.locale.t("alerts.title"), sanitize=False, tag="h2")
            self._list = Fragment()

    async def look(self, product: str | None = None) -> list[AlertRow]:
        """Shows what there is, and gives it."""
        asked = AskedAlerts(product=product)
        found = (await self._visit.figures.alerts(asked, with_texts=self._visit.may_read_texts)).value.alerts
        if quotes := quoted(found[:SHOWN]):
            await self._visit.noted("alerts", asked, quotes)
        self._list.show(self._words.render("alerts.html", alerts=found[:SHOWN], with_product=product is None))
        return found


def marked(options: Options, days: Sequence[Day], alerts: Sequence[AlertRow], locale: Locale) -> Options:
    """The chart of days with a dashed line, a sign and the kind's name where an alert began."""
    shown = {day.day for day in days}
    lines = [
        {"xAxis": locale.day(alert.window_start.date()), "name": f"{MARK} {locale.t(f'alerts.kind.{alert.kind}')}"}
        for alert in alerts
        if alert.window_start.date() in shown
    ]
    if not lines:
        return options
    mark = {
        "silent": True,
        "symbol": "none",
        "label": {"formatter": "{b}", "position": "insideEndTop", "color": "var(--ink)", "fontSize": 12},
        "lineStyle": {"color": "var(--negative)", "type": "dashed", "width": 1.5},
        "data": lines,
    }
    series = [one | {"markLine": mark} if place == 1 else one for place, one in enumerate(options["series"])]
    return options | {"series": series}


def said(alerts: Sequence[AlertRow], locale: Locale) -> str:
    """The alerts in words, for those who do not see the chart."""
    return "".join(
        " "
        + locale.t(
            "alerts.said",
            kind=locale.t(f"alerts.kind.{alert.kind}"),
            first=locale.day(alert.window_start.date()),
            last=locale.day((alert.window_end - timedelta(seconds=1)).date()),
        )
        for alert in alerts
    )

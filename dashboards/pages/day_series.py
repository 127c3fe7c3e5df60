"""The chart of days that Overview and Product share, with its figures as a table."""

from collections.abc import Sequence

from nicegui import ui

from dashboards.alerts import AlertRow
from dashboards.models import Day, Days
from dashboards.pages.alerts_card import marked
from dashboards.pages.alerts_card import said as said_of
from dashboards.pages.charts import volume
from dashboards.pages.live import Chart, Fragment, card
from dashboards.pages.rendering import Words


class DaySeries:
    """Texts a day by sentiment, and their negative share."""

    def __init__(self, words: Words, classes: str) -> None:
        self._words = words
        with card(classes):
            with ui.element("div").classes("card-head"):
                ui.html(words.locale.t("volume.title"), sanitize=False, tag="h2")
            self._chart = Chart()
            self._table = Fragment()

    def show(self, days: Sequence[Day], window: Days, alerts: Sequence[AlertRow] = ()) -> None:
        """`days` may begin before the window. `alerts` are marked on them."""
        locale = self._words.locale
        inside = [day for day in days if window.first <= day.day <= window.last]
        counts = {
            name: sum(getattr(day, name) for day in inside) for name in ("texts", "negative", "neutral", "positive")
        }
        said = locale.t(
            "volume.says",
            first=locale.day(window.first, year=True),
            last=locale.day(window.last, year=True),
            **{name: locale.number(count) for name, count in counts.items()},
        )
        options = marked(volume(days, window.first, locale), days, alerts, locale)
        self._chart.show(options, said + said_of(alerts, locale))
        columns = [locale.t("volume.day"), *(locale.t(f"total.{name}") for name in counts)]
        rows = [
            [locale.day(day.day, year=True), *(locale.number(getattr(day, name)) for name in counts)] for day in days
        ]
        self._table.show(self._words.render("series_table.html", columns=columns, rows=rows))

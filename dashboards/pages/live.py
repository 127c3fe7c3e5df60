"""A page that stays true while it is open: asks again every few seconds, rests while hidden, and says when it cannot."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from nicegui import background_tasks, ui
from nicegui.elements.echart import EChart
from nicegui.elements.html import Html
from nicegui.events import GenericEventArguments

from dashboards.models import Days
from dashboards.pages.charts import Options
from dashboards.pages.visit import Visit
from workers.errors import VoxpopError

# What a page shows instead of figures; empty when it has some. See state.html.
State = Literal["", "empty", "unknown"]

FIRST_FIGURES_S = 0.3  # so long a browser waits for a page with figures; then it loads its scripts meanwhile

log = structlog.get_logger(__name__)


class Fragment:
    """A piece of HTML of ours, sent to the browser only when it has changed."""

    def __init__(self, *, tag: str = "div", classes: str = "") -> None:
        self._element: Html = ui.html("", sanitize=False, tag=tag).classes(f"fragment {classes}")

    def show(self, html: str) -> None:
        if html != self._element.content:
            self._element.content = html


class Chart:
    """A chart, described in words for those who do not see it."""

    def __init__(self, *, low: bool = False) -> None:
        self._chart: EChart = ui.echart({}, renderer="svg").classes("chart low" if low else "chart")
        self._chart.props["role"] = "img"
        self._shown: tuple[Options, str] | None = None

    def show(self, options: Options, said: str) -> None:
        if self._shown == (options, said):
            return
        self._shown = (options, said)
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.props["aria-label"] = said
        self._chart.update()


@contextmanager
def card(classes: str = "") -> Iterator[None]:
    """A framed part of the page."""
    with ui.element("section").classes(f"card {classes}"):
        yield


class LivePage(ABC):
    """One open page. `build` makes its elements once, `refresh` asks and fills them."""

    name: str

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.words, self.locale = visit.words, visit.words.locale
        self._shown_at: datetime | None = None
        self._looking = asyncio.Lock()  # what is chosen or asked for meanwhile is taken up afterwards

    @abstractmethod
    def build(self) -> None:
        """Makes the elements, inside the page's content."""

    @abstractmethod
    async def look(self) -> State:
        """Asks for figures and shows them, or says why there is nothing to show. Raises `VoxpopError`."""

    def asked(self, what: dict[str, str]) -> None:
        """The visitor chose something, between two looks. `what` comes from the browser: it is checked before it is used."""
        self.visit.choose_days(what.get("days", ""))

    async def open(self) -> None:
        """Draws the page, with figures if they come soon, and keeps it true from then on."""
        self.visit.draw_header(self.name)
        with ui.element("div").classes("page").props("id=content tabindex=-1"):
            with ui.element("div").classes("head"):
                self.head = Fragment()
                with ui.element("div").classes("tools"):
                    self.status = Fragment()
                    self.tools = Fragment(classes="tools")
            self.state = Fragment()
            self._content = ui.element("div").classes("is-hidden")
            with self._content:
                self.build()
        self.show_head(self.locale.t(f"page.{self.name}"))
        self._say("loading")
        first = background_tasks.create(self.refresh(), name=f"first figures of {self.name}")
        await asyncio.wait({first}, timeout=FIRST_FIGURES_S)
        # Last: a timer waits for the browser, and as soon as anything does so NiceGUI sends the page as it stands.
        self._timer = ui.timer(self.visit.refresh_s, self.refresh, immediate=False)
        ui.on("visible", self._visible)
        ui.on("asked", self._asked)

    async def refresh(self) -> None:
        """Once: figures, or the reason why there are none."""
        try:
            async with self._looking:
                found = await self.look()
        except VoxpopError as error:
            self._failed(error)
            return
        self._shown_at = datetime.now(UTC)
        self._fresh(True)
        self._say(found)
        self._content.classes(add="is-hidden" if found else "", remove="" if found else "is-hidden")

    def show_head(self, heading: str, window: Days | None = None) -> None:
        """The page's heading, and the days it is about."""
        self.head.show(self.words.render("head.html", heading=heading, window=window, days=self.visit.days))

    def _failed(self, error: VoxpopError) -> None:
        log.info("a page has no figures", page=self.name, error=str(error))
        self._fresh(False)
        if self._shown_at is None:
            self._say("error")
        else:
            self._say("old", time=f"{self._shown_at:%H:%M} UTC")

    def _say(self, state: str, **values: Any) -> None:
        self.state.show(self.words.render("state.html", state=state, **values))

    def _fresh(self, fresh: bool) -> None:
        self.status.show(self.words.render("status.html", fresh=fresh))

    async def _visible(self, event: GenericEventArguments) -> None:
        self._timer.active = bool(event.args)
        if self._timer.active:
            await self.refresh()

    async def _asked(self, event: GenericEventArguments) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        async with self._looking:  # a look that is under way would show half of the one choice and half of the other
            self.asked({str(name): str(value) for name, value in list(given.items())[:20]})
        await self.refresh()

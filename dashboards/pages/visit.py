"""One visitor's page: language, role, what the address asks for, and the header that every page has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui
from pydantic import BaseModel, ValidationError

from dashboards.figures import Figures
from dashboards.language import LANGUAGES, Locale, preferred
from dashboards.pages.rendering import Words
from dashboards.parameters import DEFAULT_DAYS, AskedWindow
from dashboards.tokens import Caller, Role
from schemas.taxonomy import Taxonomy

LANGUAGE_COOKIE = "voxpop_language"
PERIODS = (7, 14, 30, 90, 365)
ADDRESSES = {"overview": "/", "product": "/product", "explore": "/explore", "health": "/health", "review": "/review"}


@dataclass(frozen=True, slots=True)
class Site:
    """What all visits share."""

    figures: Figures
    taxonomy: Taxonomy
    refresh_s: float
    signed_in: bool


class Visit:
    """Made for each page that is opened."""

    def __init__(self, request: Request, site: Site) -> None:
        self.figures = site.figures
        self.refresh_s = site.refresh_s
        self.caller: Caller = request.scope["caller"]
        self.parameters: Mapping[str, str] = dict(request.query_params)
        self._signed_in = site.signed_in
        self.window = as_window(self.parameters.get("days", ""))
        self.words = Words(Locale(language_of(request)), site.taxonomy, self.days)

    @property
    def days(self) -> int:
        """The length of the window that is shown."""
        return self.window.days or DEFAULT_DAYS

    @property
    def may_read_texts(self) -> bool:
        return self.caller.role >= Role.ANALYST

    async def noted(self, view: str, asked: BaseModel, texts: int) -> None:
        """So many texts are about to be shown. Raises `VoxpopError` where that has to be on the record and cannot be."""
        await self.figures.reads.note(self.caller, view, asked, texts)

    def choose_days(self, given: str) -> None:
        """Another period; what is none changes nothing."""
        if given in map(str, PERIODS):
            self.window = AskedWindow(days=int(given))
            self.words.days = self.days

    def draw_header(self, page: str) -> None:
        """The header, its navigation and its switches."""
        query = f"?{urlencode({'days': self.days})}" if self.days != DEFAULT_DAYS else ""
        with ui.header(fixed=False, elevated=False).classes(replace="site-header"):
            html = self.words.render(
                "header.html",
                page=page,
                addresses=ADDRESSES,
                query=query,
                languages=LANGUAGES,
                signed_in=self._signed_in,
            )
            ui.html(html, sanitize=False)

    def tools(self, **values: Any) -> str:
        """The period switch, with one for products if `products` is given."""
        return self.words.render("head_tools.html", periods=PERIODS, days=self.days, **values)


def language_of(request: Request) -> str:
    """By cookie, else as the browser prefers."""
    return preferred(request.headers.get("accept-language", ""), request.cookies.get(LANGUAGE_COOKIE))


def as_window(given: str) -> AskedWindow:
    """The period that an address asks for; the usual one for nonsense."""
    try:
        return AskedWindow.model_validate({"days": given or DEFAULT_DAYS})
    except ValidationError:
        return AskedWindow(days=DEFAULT_DAYS)

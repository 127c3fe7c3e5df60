"""The pages' addresses, their assets, and signing in."""

import copy
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.staticfiles import StaticFiles

from dashboards.figures import Figures
from dashboards.language import Locale
from dashboards.pages.explore import ExplorePage
from dashboards.pages.health import HealthPage
from dashboards.pages.live import LivePage
from dashboards.pages.overview import OverviewPage
from dashboards.pages.product import ProductPage
from dashboards.pages.rendering import Words
from dashboards.pages.review import ReviewPage
from dashboards.pages.visit import ADDRESSES, Site, Visit, language_of
from dashboards.parameters import DEFAULT_DAYS
from dashboards.tokens import COOKIE, SESSION_S, Doorman
from schemas.taxonomy import Taxonomy
from workers.settings import Settings

PAGES: tuple[type[LivePage], ...] = (OverviewPage, ProductPage, ExplorePage, HealthPage, ReviewPage)
ASSETS = Path(__file__).parent / "assets"
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="none" stroke="#4338ca" stroke-width="2.4"'
    ' stroke-linecap="round"><path d="M2 8v4M6.5 5v10M11 2v16M15.5 6v8M18.6 9v2"/></svg>'
)
HEAD = (
    '<script src="/assets/theme.js"></script><link rel="stylesheet" href="/assets/style.css">'
    '<script defer src="/assets/app.js"></script>'
)
RESPONSE_TIMEOUT_S = 20.0
MAX_FORM_BYTES = 2_048


def add_pages(app: FastAPI, settings: Settings, figures: Figures, taxonomy: Taxonomy, doorman: Doorman) -> None:
    """Mounts everything that is not API. NiceGUI holds one application a process, so call it once."""
    site = Site(figures, taxonomy, settings.dashboard.refresh_s, signed_in=not doorman.open)
    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")
    _add_sign_in(app, taxonomy, doorman)
    for page in PAGES:
        ui.page(ADDRESSES[page.name], response_timeout=RESPONSE_TIMEOUT_S)(_opener(page, site))
    ui.run_with(
        app,
        title="Voxpop",
        favicon=ICON,
        dark=None,
        tailwind=False,
        gzip_middleware_factory=None,
        show_welcome_message=False,
        reconnect_timeout=30,
    )
    # The bar that Quasar shows while anything loads has no name for a screen reader; pages say themselves that they load.
    nicegui_app.config.quasar_config["loadingBar"] = {"skipHijack": True}


def _opener(page: type[LivePage], site: Site) -> Callable[[Request], object]:
    async def opened(request: Request) -> None:
        visit = Visit(request, site)
        client = ui.context.client
        client.page = copy.copy(client.page)
        client.page.language = "es" if visit.words.locale.language == "es" else "en-US"
        ui.page_title(f"{visit.words.locale.t(f'page.{page.name}')} · Voxpop")
        ui.add_head_html(HEAD)
        await page(visit).open()

    return opened


def _add_sign_in(app: FastAPI, taxonomy: Taxonomy, doorman: Doorman) -> None:
    def form(request: Request, *, wrong: bool) -> Response:
        words = Words(Locale(language_of(request)), taxonomy, DEFAULT_DAYS)
        return HTMLResponse(
            words.render("sign_in.html", wrong=wrong), 403 if wrong else 200, {"Cache-Control": "no-store"}
        )

    @app.get("/sign-in", include_in_schema=False)
    async def ask(request: Request) -> Response:
        return RedirectResponse("/", 303) if request.scope["caller"] else form(request, wrong=False)

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                return form(request, wrong=True)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        session = doorman.session(token)
        if session is None:
            return form(request, wrong=True)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, session, max_age=SESSION_S, httponly=True, secure=secure, samesite="strict")
        return answer

    @app.post("/sign-out", include_in_schema=False)
    async def sign_out() -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

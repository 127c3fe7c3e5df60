"""The whole dashboard as one ASGI application, and a server for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from dashboards import api
from dashboards.asking import Ask
from dashboards.figures import Figures
from dashboards.gate import Gate, check_exposure
from dashboards.listening import listening, serve_on
from dashboards.problems import answer_with_problems
from dashboards.tokens import Doorman
from schemas.taxonomy import load_taxonomy
from workers.settings import Settings

COMPRESSION = 4  # of 9: a first visit waits for the scripts, a third of the time for nearly the same bytes


def application(
    settings: Settings, figures: Figures | None = None, *, pages: bool = True, ask: Ask | None = None
) -> ASGIApp:
    """API and pages behind the gate. Without `pages` no NiceGUI is loaded; without `ask` no question is answered.

    Raises `UsageError` when it would be open to other machines without tokens, `TaxonomyError` for a wrong taxonomy.
    """
    check_exposure(settings.dashboard)
    taxonomy = load_taxonomy(settings.taxonomy)
    figures = figures or Figures(settings, taxonomy, ask)
    doorman = Doorman(settings.dashboard.tokens)

    @asynccontextmanager
    async def until_closed(_: FastAPI) -> AsyncIterator[None]:
        yield
        await figures.reads.close()

    app = FastAPI(
        lifespan=until_closed,
        title="Voxpop",
        description="What customers say: figures over the SQL views, and the texts behind them.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    answer_with_problems(app)
    app.include_router(
        api.router(figures, cache_s=settings.dashboard.cache_s, export_rows=settings.dashboard.export_rows)
    )

    @app.get("/healthz", include_in_schema=False)
    async def alive() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    if pages:
        from dashboards.pages.site import add_pages

        add_pages(app, settings, figures, taxonomy, doorman)
    return GZipMiddleware(Gate(app, settings.dashboard, doorman), minimum_size=1_000, compresslevel=COMPRESSION)


def serve(settings: Settings, on_listening: Callable[[str], None], ask: Ask | None = None) -> None:
    """Serves until SIGTERM or Ctrl-C. `on_listening` is told the address; `ask` answers questions.

    Raises `UsageError` when the address cannot be had or would be open without tokens.
    """
    app = application(settings, ask=ask)
    with listening(settings.dashboard.host, settings.dashboard.port) as listener:
        serve_on(listener, app, on_listening)

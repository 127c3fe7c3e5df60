"""The whole dashboard as one ASGI application, and a server for it."""

import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from dashboards import api
from dashboards.asking import Ask
from dashboards.figures import Figures
from dashboards.gate import Gate, check_exposure
from dashboards.problems import answer_with_problems
from dashboards.tokens import Doorman
from schemas.taxonomy import load_taxonomy
from workers.errors import UsageError
from workers.settings import Settings

SHUTDOWN_GRACE_S = 2
MAX_HEAD_BYTES = 32_768
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
    app = FastAPI(
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
    dashboard = settings.dashboard
    with listening(dashboard.host, dashboard.port) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",  # below it, addresses of web sockets are logged, which name a page's session
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                http="h11",
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
            )
        )
        name = f"[{dashboard.host}]" if ":" in dashboard.host else dashboard.host
        # uvicorn raises the signal that stopped it once more, for the handlers it found: nothing is left for them to do.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        on_listening(f"http://{name}:{listener.getsockname()[1]}/")
        server.run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on; they wait until they are served.

    Raises `UsageError` naming the address when it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            f"the dashboard cannot listen on {host}:{port} ({error.strerror}); free it, or take another with --port"
        ) from None
    return listener

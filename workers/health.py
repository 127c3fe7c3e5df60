"""A part's HTTP face: /metrics for Prometheus, /healthz (is it alive?) and /readyz (does it take messages?)."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from workers.errors import UsageError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Probes:
    """The two questions. Each answers quickly and from any thread."""

    healthy: Callable[[], bool]
    ready: Callable[[], bool]


class HealthServer:
    """Serves until closed, on a thread of its own. `port` is the bound one, also when 0 was asked for."""

    def __init__(self, host: str, port: int, probes: Probes) -> None:
        """Raises `UsageError` when the address cannot be bound."""
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(probes))
        except OSError as error:
            raise UsageError(
                f"cannot serve metrics on {host}:{port} ({error.strerror}); set its setting http_port"
                " (VOXPOP_WORKER__HTTP_PORT for a worker) to a free port"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving and frees the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(probes: Probes, host: str, port: int | None) -> Iterator[None]:
    """Serves meanwhile, unless `port` is None. Raises `UsageError` when the address cannot be bound."""
    if port is None:
        yield
        return
    server = HealthServer(host, port, probes)
    log.info("serving /metrics /healthz /readyz", host=host, port=server.port)
    try:
        yield
    finally:
        server.close()


def _handler(probes: Probes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            elif self.path == "/healthz":
                self._probe(probes.healthy())
            elif self.path == "/readyz":
                self._probe(probes.ready())
            else:
                self._answer(404, "text/plain; charset=utf-8", b"/metrics, /healthz or /readyz\n")

        def _probe(self, good: bool) -> None:
            body = json.dumps({"status": "ok" if good else "unavailable"}).encode()
            self._answer(200 if good else 503, "application/json", body)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A probe a second is no news."""

    return Handler

"""A socket, and an ASGI application served on it until the process is told to stop."""

import ipaddress
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from workers.errors import UsageError

SHUTDOWN_GRACE_S = 2
MAX_HEAD_BYTES = 32_768


def serve_on(listener: socket.socket, app: ASGIApp, on_listening: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C. `on_listening` is told the address."""
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
    host, port = listener.getsockname()[:2]
    # uvicorn raises the signal that stopped it once more, for the handlers it found: nothing is left for them to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    server.run(sockets=[listener])


def listening(host: str, port: int, what: str = "the dashboard") -> socket.socket:
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
            f"{what} cannot listen on {host}:{port} ({error.strerror}); free it, or take another with --port"
        ) from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""One POST to an OpenAI-compatible endpoint: bounded in time as a whole and in size, no redirect, no proxy, no retry."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from workers.settings import EscalationSettings

MOST_BYTES = 65_536  # of an answer: a label and its envelope take a thousand


class CallFailed(Exception):
    """There is no answer; another try may get one. `str()` is why, in one word."""


class Unusable(Exception):
    """There is an answer, and it is none that could be taken. `str()` is why, in one word."""


class Endpoint:
    """Threads may share one."""

    def __init__(self, settings: EscalationSettings) -> None:
        """`settings.base_url` must be set."""
        address = urlsplit(settings.base_url or "")
        self._host, self._port, self._secure = address.hostname or "", address.port, address.scheme == "https"
        self._path = address.path.rstrip("/") + "/chat/completions"
        self._timeout_s = settings.timeout_s
        self._tls = ssl.create_default_context(cafile=settings.ca_file) if self._secure else None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if settings.api_key is not None:
            self._headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"

    def post(self, body: bytes) -> bytes:
        """The body of the answer. Raises `CallFailed` when there is none in time, `Unusable` when it is too large."""
        connection = self._connection()
        with _deadline(connection, self._timeout_s) as passed:
            try:
                connection.connect()
                passed.connected = connection.sock
                connection.request("POST", self._path, body, self._headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    raise CallFailed(f"http_{answer.status}")
                read = answer.read(MOST_BYTES + 1)
                whole = not answer.length  # None when the connection's end tells the length
            except TimeoutError:
                raise CallFailed("timeout") from None
            except ssl.SSLError:
                raise CallFailed("timeout" if passed.is_set() else "tls") from None
            except (OSError, HTTPException):
                raise CallFailed("timeout" if passed.is_set() else "unreachable") from None
        if len(read) > MOST_BYTES:
            raise Unusable("too_large")
        if passed.is_set() or not whole:
            raise CallFailed("timeout" if passed.is_set() else "unreachable")
        return read

    def _connection(self) -> HTTPConnection:
        if self._tls is not None:
            return HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        return HTTPConnection(self._host, self._port, timeout=self._timeout_s)


class _Passed(threading.Event):
    """Whether the time is over, and the socket to cut then: the connection lets go of it before the answer is read."""

    connected: socket.socket | None = None


@contextmanager
def _deadline(connection: HTTPConnection, timeout_s: float) -> Iterator[_Passed]:
    """Cuts the connection when the time is over: a socket's own timeout begins anew with every byte."""
    passed = _Passed()

    def cut() -> None:
        passed.set()
        if passed.connected is not None:
            with suppress(OSError):
                socket.socket.shutdown(passed.connected, socket.SHUT_RDWR)  # not TLS's, which another thread is using

    timer = threading.Timer(timeout_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield passed
    finally:
        timer.cancel()
        connection.close()

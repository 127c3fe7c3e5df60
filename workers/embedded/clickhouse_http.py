"""The paths of ClickHouse's HTTP interface as an ASGI application. Every query runs in a thread, so `/ping` never waits."""

import hmac
import ipaddress
import logging
import threading
from collections.abc import Iterator, Mapping

import anyio
from anyio import from_thread, to_thread
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from workers.embedded.clickhouse_answer import Answering
from workers.embedded.clickhouse_compression import decoded
from workers.embedded.clickhouse_engine import QUERIES_AT_ONCE, USER, encoded
from workers.embedded.clickhouse_errors import ACCESS_DENIED, AUTHENTICATION_FAILED, ClickHouseError, refusal
from workers.embedded.clickhouse_request import QueryRequest, parse_form, read_request
from workers.embedded.clickhouse_result import ClientGone

_FORM = "multipart/form-data"

log = logging.getLogger("voxpop.embedded.clickhouse")


class HttpExchange:
    """An ASGI exchange as the thread that answers it sees it (`clickhouse_answer.Exchange`)."""

    def __init__(self, receive: Receive, send: Send, tasks: TaskGroup) -> None:
        self._receive = receive
        self._send = send
        self._tasks = tasks
        self._body_ended = False
        self._watching = False
        self._gone = threading.Event()

    def body(self) -> Iterator[bytes]:
        """The request's body. Raises `ClientGone` when the client leaves before its end."""
        while not self._body_ended:
            message = from_thread.run(self._received)
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._body_ended = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    def client_is_gone(self) -> bool:
        """Whether the client has closed the connection. The body has been read to its end before."""
        if not self._watching:
            self._watching = True
            from_thread.run_sync(self._tasks.start_soon, self._watch)
        return self._gone.is_set()

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        pairs = [(name.lower().encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
        from_thread.run(self._sent, {"type": "http.response.start", "status": status, "headers": pairs})

    def send(self, chunk: bytes) -> None:
        """Send a piece of the answer's body; waits while the client is slow."""
        from_thread.run(self._sent, {"type": "http.response.body", "body": chunk, "more_body": True})

    def finish(self) -> None:
        """End the answer. An answer that is never finished is cut off by uvicorn."""
        from_thread.run(self._sent, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _received(self) -> Message:
        return await self._receive()

    async def _sent(self, message: Message) -> None:
        await self._send(message)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()


class QueryEndpoint:
    """`/`: queries. An ASGI application."""

    def __init__(self, answering: Answering, password: str) -> None:
        self._answering = answering
        self._password = password
        self._limit = anyio.CapacityLimiter(QUERIES_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one exchange in a thread of its own."""
        async with anyio.create_task_group() as tasks:
            exchange = HttpExchange(receive, send, tasks)
            await to_thread.run_sync(self._answer, scope, exchange, limiter=self._limit, abandon_on_cancel=True)
            tasks.cancel_scope.cancel()

    def _answer(self, scope: Scope, exchange: HttpExchange) -> None:
        try:
            try:
                request = self._request(scope, exchange)
            except ClickHouseError as error:
                self._answering.send_error(error, exchange)
            else:
                self._answering.answer(request, exchange)
        except ClientGone:
            log.info("a client left before its answer was complete")

    def _request(self, scope: Scope, exchange: HttpExchange) -> QueryRequest:
        headers = {name.decode().lower(): value.decode("utf-8", "surrogateescape") for name, value in scope["headers"]}
        request = read_request(scope["method"], scope["query_string"], headers, None)
        self._refuse_strangers(request, headers)
        content_type = headers.get("content-type", "")
        if not content_type.lower().startswith(_FORM):
            return request
        form = parse_form(content_type, b"".join(decoded(exchange.body(), request.content_encoding)))
        return read_request(scope["method"], scope["query_string"], headers, form)

    def _refuse_strangers(self, request: QueryRequest, headers: Mapping[str, str]) -> None:
        """Refuse wrong credentials, and web pages when there is no password: any page in a browser here could ask."""
        right = hmac.compare_digest(encoded(request.password), encoded(self._password))
        if request.user != USER or not right:
            raise refusal(
                AUTHENTICATION_FAILED,
                f"{request.user}: Authentication failed: password is incorrect, or there is no user with such name",
            )
        if not self._password and ("origin" in headers or not _is_local(headers.get("host", ""))):
            raise refusal(ACCESS_DENIED, "a web page may not ask here while no password is set: set one")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine by address or as localhost, not by a name that anyone may point here."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]").lower()
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _ok(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("Ok.\n")


async def _nothing_here(request: Request, _error: Exception) -> PlainTextResponse:
    text = f"There is no handle {request.url.path}\n\nUse / or /ping for health checks.\nSend queries to /.\n"
    return PlainTextResponse(text, status_code=404)


def application(answering: Answering, password: str) -> Starlette:
    """The ASGI application: queries at `/`, health at `/ping` and `/replicas_status`."""
    return Starlette(
        routes=[
            Route("/", QueryEndpoint(answering, password), methods=["GET", "HEAD", "POST"]),
            Route("/ping", _ok),
            Route("/replicas_status", _ok),
        ],
        exception_handlers={404: _nothing_here},
    )

"""An OpenAI-compatible endpoint that answers, hangs, drips, fails or lies as a test tells it, and remembers what came."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    endpoint: "LyingEndpoint"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked = json.loads(body)
        self.endpoint.asked.append(self.asked)
        self.endpoint.headers.append(dict(self.headers))
        self.endpoint.behaviour(self)

    def reply(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests look at what was asked."""


class LyingEndpoint:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.behaviour: Behaviour = says('{"sentiment": "positive"}')
        self.released = threading.Event()  # what hangs ends with the test

    @property
    def texts(self) -> list[str]:
        return [asked["messages"][-1]["content"] for asked in self.asked]


@contextmanager
def lying_endpoint() -> Iterator[tuple[LyingEndpoint, str]]:
    """The endpoint and its base_url."""
    endpoint = LyingEndpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"endpoint": endpoint}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint, f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def completion(content: object, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage} | more).encode()


def says(content: object, **more: Any) -> Behaviour:
    """The same completion to everybody."""
    return lambda handler: handler.reply(completion(content, **more))


def replies(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """These bytes to everybody."""
    return lambda handler: handler.reply(body, status, headers)


def hangs(handler: Handler) -> None:
    """Never answers."""
    handler.endpoint.released.wait()


def says_at_last(content: object) -> Behaviour:
    """Answers when the test releases it."""

    def behaves(handler: Handler) -> None:
        handler.endpoint.released.wait()
        handler.reply(completion(content))

    return behaves


def drips(handler: Handler) -> None:
    """A byte now and then, so that no socket's timeout passes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.endpoint.released.wait(0.05):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


def cuts(handler: Handler) -> None:
    """Half an answer, then the end of the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')

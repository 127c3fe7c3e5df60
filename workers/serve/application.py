"""The ASGI application: /v1/chat/completions, /v1/models and /healthz, by one generator pack."""

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from typing import Any

import structlog
from anyio import to_thread
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dashboards.listening import listening, serve_on
from workers.serve.door import Door, check_exposure
from workers.serve.protocol import DONE, ChatRequest, Refused, event, read_request
from workers.serve.queue import Queue
from workers.settings import ServeSettings
from workers.slm.chat import Chat, Piece, TooLong, Wish
from workers.slm.packs import Pack

log = structlog.get_logger(__name__)

Document = dict[str, Any]


def serve(pack: Pack, settings: ServeSettings, on_listening: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C. `on_listening` is told the address.

    Raises `UsageError` when the address cannot be had or would be open without tokens, `PackError` for a pack that
    generates nothing.
    """
    check_exposure(settings)
    with (
        listening(settings.host, settings.port, "the model") as listener,
        closing(Chat(pack, settings.at_once)) as chat,
    ):
        serve_on(listener, application(chat, settings), on_listening)


def application(chat: Chat, settings: ServeSettings) -> Starlette:
    """The application; without the door's tokens when the settings have none."""
    completions = Completions(chat, settings)
    door = completions.door

    async def models(request: Request) -> Response:
        door.admit(request)
        model = {"id": chat.name, "object": "model", "created": completions.since, "owned_by": "voxpop"}
        return JSONResponse({"object": "list", "data": [model]})

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions.answer, methods=["POST"]),
            Route("/v1/models", models),
            Route("/healthz", alive),
        ],
        exception_handlers={Refused: _refused, TooLong: _too_long, HTTPException: _http, Exception: _unknown},
    )


class Completions:
    """Answers conversations, so many at once."""

    def __init__(self, chat: Chat, settings: ServeSettings) -> None:
        self._chat, self._settings = chat, settings
        self._queue = Queue(settings.at_once, settings.waiting)
        self.door = Door(settings)
        self.since = int(time.time())

    async def answer(self, request: Request) -> Response:
        """A completion, whole or as server-sent events. Raises `Refused` or `TooLong`."""
        self.door.admit(request)
        asked = read_request(await self.door.body(request))
        if asked.model != self._chat.name:
            sentence = f"the model {self._chat.name} is served here, and no other"
            raise Refused(404, "invalid_request_error", "model_not_found", sentence)
        prompt = self._chat.prompt([(message.role, message.words) for message in asked.messages])
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._queue.turn())
            completion = _Completion(asked.model, len(prompt))
            pieces = self._pieces(asked, prompt)
            if not asked.stream:
                whole = await to_thread.run_sync(list, pieces)
                return JSONResponse(completion.whole(whole))
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            return _HeldStream(_events(completion, pieces, usage=usage), held.pop_all())
        raise AssertionError  # an exit stack swallows nothing

    def _pieces(self, asked: ChatRequest, prompt: Sequence[str]) -> Iterator[Piece]:
        if asked.labels is not None:
            chosen = self._chat.chosen(prompt, asked.labels)
            yield Piece(chosen.text, chosen.tokens, "stop")
            return
        most = asked.max_completion_tokens or asked.max_tokens or self._settings.max_tokens
        wish = Wish(min(most, self._settings.max_tokens), asked.temperature, asked.seed, asked.stops)
        yield from self._chat.pieces(prompt, wish)


class _Completion:
    """The documents of one answer."""

    def __init__(self, model: str, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._shared = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, pieces: Sequence[Piece]) -> Document:
        text = "".join(piece.text for piece in pieces)
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": pieces[-1].finish}
        usage = self.usage(pieces[-1].tokens)
        return {**self._shared, "object": "chat.completion", "choices": [choice], "usage": usage}

    def chunk(self, delta: Document, finish: str | None = None) -> Document:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._shared, "object": "chat.completion.chunk", "choices": [choice]}

    def last(self, tokens: int) -> Document:
        return {**self._shared, "object": "chat.completion.chunk", "choices": [], "usage": self.usage(tokens)}

    def usage(self, tokens: int) -> Document:
        both = self._prompt_tokens + tokens
        return {"prompt_tokens": self._prompt_tokens, "completion_tokens": tokens, "total_tokens": both}


async def _events(completion: _Completion, pieces: Iterator[Piece], *, usage: bool) -> AsyncIterator[bytes]:
    yield event(completion.chunk({"role": "assistant", "content": ""}))
    tokens = 0
    async for piece in iterate_in_threadpool(pieces):
        tokens = piece.tokens
        yield event(completion.chunk({"content": piece.text} if piece.text else {}, piece.finish))
    if usage:
        yield event(completion.last(tokens))
    yield DONE


class _HeldStream(StreamingResponse):
    """Server-sent events that hold their turn until they are sent, or whoever asked has gone."""

    def __init__(self, events: AsyncIterator[bytes], held: AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - what it is registered for
    return JSONResponse(error.document(), error.status, dict(error.headers or {}))


def _too_long(request: Request, error: Exception) -> Response:
    return _refused(request, Refused(400, "invalid_request_error", "context_length_exceeded", str(error)))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    sentence = "there are /v1/chat/completions (POST), /v1/models and /healthz here"
    return _refused(request, Refused(error.status_code, "invalid_request_error", "not_served", sentence))


def _unknown(request: Request, error: Exception) -> Response:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return _refused(request, Refused(500, "server_error", "internal_error", "the server's log says why"))

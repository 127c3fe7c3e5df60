"""Answers that many ask for are worked out once: one flight a key, kept for some seconds, failures too."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)
MAX_ENTRIES = 256
MAX_BYTES = 64_000_000  # of JSON; what is kept beside it is of the same order


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A figure, its JSON and the ETag of that."""

    value: T
    body: bytes
    etag: str

    @classmethod
    def of(cls, value: T) -> "Answer[T]":
        body = value.model_dump_json(by_alias=True).encode()
        return cls(value, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class AnswerCache:
    """For one event loop. What is asked for while it is being worked out is waited for, not worked out again."""

    def __init__(
        self, keep_s: float, *, entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_s, self._most, self._clock = keep_s, entries, clock
        self._flights: OrderedDict[Hashable, tuple[asyncio.Task[Answer[BaseModel]], float]] = OrderedDict()

    async def get(self, key: Hashable, work_out: Callable[[], Awaitable[T]]) -> Answer[T]:
        """The answer under `key`, at most `keep_s` old. Raises what `work_out` raised, to all who ask meanwhile."""
        found = self._flights.get(key)
        if found is None or (found[0].done() and self._clock() - found[1] > self._keep_s):
            found = (asyncio.ensure_future(self._fly(key, work_out)), self._clock())
            found[0].add_done_callback(_look_at)
            self._flights[key] = found
            self._drop_oldest()
        self._flights.move_to_end(key)
        return cast(Answer[T], await asyncio.shield(found[0]))  # a key stands for one kind of answer

    async def _fly(self, key: Hashable, work_out: Callable[[], Awaitable[T]]) -> Answer[BaseModel]:
        try:
            return Answer[BaseModel].of(await work_out())
        finally:
            task = asyncio.current_task()
            held = self._flights.get(key)
            if task is not None and held is not None and held[0] is task:
                self._flights[key] = (held[0], self._clock())

    def _drop_oldest(self) -> None:
        held = sum(_size(task) for task, _ in self._flights.values())
        while len(self._flights) > self._most or (held > MAX_BYTES and len(self._flights) > 1):
            _, (oldest, _) = self._flights.popitem(last=False)
            held -= _size(oldest)


def _size(task: asyncio.Task[Answer[BaseModel]]) -> int:
    landed = task.done() and not task.cancelled() and task.exception() is None
    return len(task.result().body) if landed else 0


def _look_at(task: asyncio.Task[Answer[BaseModel]]) -> None:
    """Where all who asked have gone, nobody else looks at a failure, and asyncio would call that a mistake."""
    if not task.cancelled():
        task.exception()

"""So many answers at once, so many requests that wait, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workers.serve.protocol import Refused

RETRY_S = "2"


class Queue:
    """For one event loop."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._most, self._inside, self._free = at_once + waiting, 0, asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until it is one's turn, and holds it. Raises `Refused` when too many wait already."""
        if self._inside >= self._most:
            sentence = f"{self._inside} requests are being answered or wait; try again in some seconds"
            raise Refused(429, "rate_limit_error", "too_many_requests", sentence, {"Retry-After": RETRY_S})
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1

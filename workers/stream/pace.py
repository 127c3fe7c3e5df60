"""How fast messages are finished, which says how large a block may be (`WorkerSettings.block_limit`): as large as makes
inserting cheap, and no larger than what a worker finishes in some seconds.

An insert costs ClickHouse about the same for a thousand rows and for four thousand, since every aggregate gets a part of its
own each time. But a block is all or nothing: a stop waits for it, and who comes after a crash repeats it. So blocks grow
where texts go fast (answers remembered, a small model, a large machine), and stay small where the encoder takes its time.
"""

import time


class Pace:
    """Messages that were finished a second, in the slower of the last two batches; 0 until there are three. One alone may
    tell too much: after an outage of ClickHouse the next batch has long been judged."""

    def __init__(self) -> None:
        self.a_second = self._last = 0.0
        self._since: float | None = None

    def finished(self, messages: int) -> None:
        """A batch of so many is finished now."""
        now = time.monotonic()
        if self._since is not None:
            last, self._last = self._last, messages / max(now - self._since, 1e-3)
            self.a_second = min(last, self._last)
        self._since = now

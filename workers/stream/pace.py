"""How large a block may be: as large as makes inserting cheap, and no larger than what a worker finishes in a few seconds.

An insert costs ClickHouse about the same for a thousand rows and for four thousand, since every aggregate gets a part of its
own each time. But a block is all or nothing: a stop waits for it, and who comes after a crash repeats it. So blocks grow
where texts go fast (answers remembered, a small model, a large machine), and stay small where the encoder takes its time.
"""

import time

from workers.settings import WorkerSettings

FLOOR = 1_024  # messages of a block that no pace makes smaller: fewer fill the model's batches worse
BATCH_S = 10.0  # of work in hand at most, over all partitions


def block_limit(worker: WorkerSettings, pace: float, partitions: int) -> int:
    """Messages of a block at most, where `pace` messages a second are finished, of `partitions` together."""
    return min(worker.block_records, max(FLOOR, int(pace * BATCH_S / max(1, partitions))))


class Pace:
    """Messages that were finished a second, from the batch before the last to the last; 0 until there are two."""

    def __init__(self) -> None:
        self.a_second = 0.0
        self._since: float | None = None

    def finished(self, messages: int) -> None:
        """A batch of so many is finished now."""
        now = time.monotonic()
        if self._since is not None:
            self.a_second = messages / max(now - self._since, 1e-3)
        self._since = now

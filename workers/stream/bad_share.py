"""Stops a worker that would send a whole topic to the dead letters: then the fault is ours, or a broken deploy's."""

from collections import deque

from workers.errors import VoxpopError
from workers.stream.blocks import Block


class TooManyBad(VoxpopError):
    """So many of a partition's messages are unusable that the fault is likelier ours, or a deploy's, than theirs."""


class BadShare:
    """Watches the share of unusable messages among the latest of each partition. The limit is a safety net: one bad
    message is its producer's matter, half a topic of them is not."""

    def __init__(self, limit: float, over: int) -> None:
        self._limit, self._over = limit, over
        self._recent: dict[tuple[str, int], deque[bool]] = {}

    def note(self, block: Block, bad: int) -> None:
        """Counts a block in. Raises `TooManyBad` once a full window of messages is worse than the limit."""
        recent = self._recent.setdefault((block.topic, block.partition), deque(maxlen=self._over))
        recent.extend([True] * bad + [False] * (len(block.messages) - bad))
        if len(recent) == self._over and sum(recent) > self._limit * self._over:
            raise TooManyBad(
                f"{sum(recent)} of the last {self._over} messages of {block.topic}:{block.partition} cannot be used;"
                " nothing more is taken: look at them with 'voxpop deadletters list', mend the producer, or raise"
                " VOXPOP_WORKER__BAD_SHARE_LIMIT"
            )

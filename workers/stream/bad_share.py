"""Stops a worker that would send a whole topic to the dead letters: then the fault is ours, or a broken deploy's."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from workers.errors import VoxpopError
from workers.settings import WorkerSettings
from workers.stream.blocks import Block


class TooManyBad(VoxpopError):
    """So many of a partition's messages are unusable that the fault is likelier ours, or a deploy's, than theirs."""


@dataclass(slots=True)
class _Partition:
    recent: deque[bool]
    run: int = field(default=0)


class BadShare:
    """Watches the unusable messages of each partition: their share among the latest, and how many come in a row.

    The limits are a safety net: one bad message is its producer's matter, half a topic of them is not. A run shorter than a
    block stops the worker before the first block of them is written, also when it is started again and again.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._limit, self._over, self._run = settings.bad_share_limit, settings.bad_share_over, settings.bad_run_limit
        self._partitions: dict[tuple[str, int], _Partition] = {}

    def note(self, block: Block, bad_offsets: Collection[int]) -> None:
        """Counts a block in. Raises `TooManyBad` when a full window is worse than the limit, or a run is too long."""
        seen = self._partitions.setdefault((block.topic, block.partition), _Partition(deque(maxlen=self._over)))
        bad = frozenset(bad_offsets)
        where = f"{block.topic}:{block.partition}"
        for message in block.messages:
            is_bad = message.offset in bad
            seen.recent.append(is_bad)
            seen.run = seen.run + 1 if is_bad else 0
            if seen.run >= self._run:
                raise TooManyBad(f"{seen.run} messages in a row of {where} cannot be used; {_mend('BAD_RUN_LIMIT')}")
        if len(seen.recent) == self._over and sum(seen.recent) > self._limit * self._over:
            said = f"{sum(seen.recent)} of the last {self._over} messages of {where} cannot be used"
            raise TooManyBad(f"{said}; {_mend('BAD_SHARE_LIMIT')}")


def _mend(setting: str) -> str:
    return (
        "nothing more is taken: look at them with 'voxpop deadletters list', mend the producer, or raise"
        f" VOXPOP_WORKER__{setting}"
    )

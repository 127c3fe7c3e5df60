"""Time passed, and computing done by this process and all it has started: the latter hardly minds a busy machine."""

import time
from collections.abc import Callable
from typing import NamedTuple

from workers.bench.family import cpu_seconds


class Speed(NamedTuple):
    """So many a second passed, and so many a second of one core's computing."""

    a_second: float
    a_core_second: float


class Stopwatch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._cpu_s, self._began = cpu_seconds(), time.perf_counter()

    def speed(self, count: int) -> Speed:
        """Of `count` things done since."""
        passed_s, cpu_s = time.perf_counter() - self._began, cpu_seconds() - self._cpu_s
        return Speed(count / passed_s, count / max(cpu_s, 1e-9))


def timed(count: int, work: Callable[[], object]) -> Speed:
    """The speed of `work`, which does `count` things."""
    watch = Stopwatch()
    work()
    return watch.speed(count)

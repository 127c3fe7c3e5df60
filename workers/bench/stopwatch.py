"""Time passed, and computing done by this process and all it has started: the latter hardly minds a busy machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


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


def cpu_seconds() -> float:
    """Seconds of computing so far, of this process and its living descendants; of this process alone without /proc."""
    if not PROC.is_dir():
        return time.process_time()
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for directory in PROC.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            told = (directory / "stat").read_text()
        except OSError:
            continue  # it has ended meanwhile
        fields = told.rpartition(")")[2].split()
        pid = int(directory.name)
        parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    return sum(ticks[pid] for pid in ticks if _descends(pid, parents)) / os.sysconf("SC_CLK_TCK")


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parents.get(pid, 0)
    return pid == os.getpid()

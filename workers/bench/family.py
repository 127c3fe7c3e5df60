"""This process and all it has started, as /proc tells of them: what they computed, what memory they hold."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MB = 1024  # smaps_rollup counts in kB


class Held(NamedTuple):
    """Memory in MB: `resident` counts pages that processes share in each of them, `proportional` once in all."""

    resident: float
    proportional: float


def cpu_seconds() -> float:
    """Seconds of computing so far, of this process and its living descendants; of this process alone without /proc."""
    if not PROC.is_dir():
        return time.process_time()
    return sum(ticks for _, ticks in _family()) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of(pid: int) -> float:
    """Seconds of computing of one living process so far; 0 without /proc."""
    if not PROC.is_dir():
        return 0.0
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory() -> dict[int, Held]:
    """Living descendant -> what it holds now; this process itself is left out. Empty without /proc."""
    if not PROC.is_dir():
        return {}
    found = {}
    for pid, _ in _family():
        if pid == os.getpid():
            continue
        try:
            told = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue  # it has ended meanwhile
        found[pid] = Held(_kb("Rss", told) / MB, _kb("Pss", told) / MB)
    return found


def own_memory() -> float:
    """MB that this process holds now; 0 without /proc."""
    if not PROC.is_dir():
        return 0.0
    return _kb("Rss", (PROC / "self" / "smaps_rollup").read_text()) / MB


def _family() -> Iterator[tuple[int, int]]:
    """(process, its ticks of computing) of this one and its descendants."""
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
    return ((pid, ticks[pid]) for pid in ticks if _descends(pid, parents))


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parents.get(pid, 0)
    return pid == os.getpid()


def _kb(name: str, told: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) if found else 0

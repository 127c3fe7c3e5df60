"""A long stream through the stack as it is: what its processes hold on the way, and whether that goes on growing."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from workers.bench.family import memory
from workers.bench.rounds import Measured, markdown
from workers.bench.runs import events_of
from workers.bench.stopwatch import Stopwatch
from workers.bench.texts import built_in_texts
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.stack import Stack, running_stack

STEPS, SMALLEST_STEP = 20, 500
DISTINCT = 4_096  # texts; the worker remembers them, so that a million go through everything else in minutes
PARTS = {
    "worker": "workers.cli worker",
    "ClickHouse": "clickhouse_server",
    "broker": " broker ",
}  # as their commands tell
_COUNTED = "SELECT (SELECT count() FROM insights), (SELECT sum(texts) FROM sentiment_hourly)"


def measure_soak(settings: Settings, events: int, directory: Path, said: Callable[[str], None]) -> Measured:
    """`soak_worker_mb_a_100k`, MB that the worker grows by with 100,000 events, over the stream's second half, and the same
    of ClickHouse. Raises `VoxpopError` when an event is missing or counted twice."""
    texts = islice(cycle(built_in_texts(min(DISTINCT, events))), events)
    size = max(-(-events // STEPS), SMALLEST_STEP)
    held: dict[str, list[float]] = {part: [] for part in PARTS}
    speeds: list[float] = []
    counts: list[int] = []
    with running_stack(settings, directory) as stack:
        for number in range(STEPS):
            some = list(islice(texts, size))
            if not some:
                break
            watch = Stopwatch()
            stack.run_stream(events_of(some, settings.kafka.topics[0], f"soak-{number}"))
            speeds.append(watch.speed(len(some)).a_second)
            counts.append(len(some) + (counts[-1] if counts else 0))
            for part, megabytes in _held():
                held[part].append(megabytes)
            told = ", ".join(f"{part} {values[-1]:,.0f} MB" for part, values in held.items() if values)
            said(f"{counts[-1]:,} events: {speeds[-1]:,.0f}/s, {told}")
        _check(stack, events)
    growth = {part: _growth(counts, values) for part, values in held.items() if len(values) == len(counts)}
    rows = [
        [f"{count:,}", f"{speed:,.0f}", *(f"{values[at]:,.0f}" if values else "no /proc" for values in held.values())]
        for at, (count, speed) in enumerate(zip(counts, speeds, strict=True))
    ]
    table = markdown(["events", "a second", *(f"{part}, MB" for part in held)], rows)
    table += "\n\n" + markdown(
        ["over the second half, 100,000 events more", "MB"], [[part, f"{more:+.1f}"] for part, more in growth.items()]
    )
    names = {"worker": "worker", "ClickHouse": "clickhouse"}
    figures = {f"soak_{name}_mb_a_100k": growth[part] for part, name in names.items() if part in growth}
    return Measured(
        "soak", table, {"soak_events": float(events)} | figures, {"events": counts, "mb": held, "speeds": speeds}
    )


def _check(stack: Stack, events: int) -> None:
    rows, counted = map(int, stack.reader.select(_COUNTED).result_rows[0])
    if (rows, counted) != (events, events):
        raise VoxpopError(
            f"{rows:,} rows and {counted:,} texts in the aggregates for {events:,} events: something is wrong"
        )


def _held() -> Iterator[tuple[str, float]]:
    """Part -> MB resident, of this process's descendants."""
    found = memory()
    commands = {pid: _command(pid) for pid in found}
    for part, told in PARTS.items():
        sizes = [held.resident for pid, held in found.items() if told in commands[pid]]
        if sizes:
            yield part, max(sizes)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _growth(counts: Sequence[int], megabytes: Sequence[float]) -> float:
    """By a straight line through the second half, in MB for 100,000 events."""
    half = len(counts) // 2
    if len(counts) - half < 2:
        return 0.0
    return float(np.polyfit(np.array(counts[half:]) / 100_000, megabytes[half:], 1)[0])

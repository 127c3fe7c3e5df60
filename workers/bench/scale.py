"""The stack as `make run` starts it: how soon, how fast with one worker and with two, in how much memory, at what cost."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from workers.bench.family import Held, memory
from workers.bench.rounds import Measured, in_turn, markdown
from workers.bench.runs import events_of
from workers.bench.stopwatch import Speed, Stopwatch
from workers.errors import VoxpopError
from workers.plan.cost import FRONTIER, MACHINE, usd_a_million_by_frontier, usd_a_million_here
from workers.settings import Settings
from workers.stack import Stack, running_stack

WARM_UP = 128
SAMPLE_S = 0.5
# Of all tables, aggregates too, as they are compressed before small parts are merged.
_STORED = """
SELECT sum(data_compressed_bytes) / (SELECT count() FROM insights) FROM system.parts
WHERE active AND database = currentDatabase()
"""


@dataclass
class _Seen:
    """What the rounds of a way have shown: seconds to the first insight, bytes on disk a text, memory at its peak."""

    first_s: list[float] = field(default_factory=list)
    stored_bytes: list[float] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def measure_scale(
    settings: Settings, texts: Sequence[str], rounds: int, directory: Path, said: Callable[[str], None]
) -> Measured:
    """`scale_two_workers_to_one`, `stack_memory_mb`, `first_insight_s`, dollars a million texts. Every round starts a stack
    anew for each number of workers. Raises `VoxpopError` when a run did not do its work."""
    seen = {1: _Seen(), 2: _Seen()}

    def way(workers: int) -> Callable[[int], Speed]:
        return lambda number: _run(settings, texts, workers, directory / f"{number}-{workers}", seen[workers])

    contest = in_turn({f"{workers} workers": way(workers) for workers in seen}, rounds, said)
    ratio = contest.ratio("2 workers", "1 workers")
    speed = contest.median("1 workers")
    rows = [
        [
            str(workers),
            f"{contest.median(f'{workers} workers'):,.0f}",
            f"{median(each.first_s):.1f}",
            f"{max(held.proportional for held in each.held):,.0f}" if each.held else "no /proc",
            f"{max(held.resident for held in each.held):,.0f}" if each.held else "no /proc",
        ]
        for workers, each in seen.items()
    ]
    here, frontier = usd_a_million_here(speed), usd_a_million_by_frontier(fmean(map(len, texts)))
    table = markdown(["workers", "texts/s", "start to first insight, s", "memory (PSS), MB", "sum of RSS, MB"], rows)
    costs = [[f"here ({MACHINE})", f"{here:,.2f}"], [f"by a model of {FRONTIER}", f"{frontier:,.0f}"]]
    table += "\n\n" + markdown(["a million texts", "US$"], costs)
    figures = {
        "scale_two_workers_to_one": ratio,
        "first_insight_s": median(seen[1].first_s),
        "scale_stored_bytes_a_text": median(seen[1].stored_bytes),
        "scale_message_bytes": fmean(len(each.value or b"") for each in events_of(texts, "topic", "source")),
        "usd_a_million_here": here,
        "usd_a_million_by_frontier": frontier,
    }
    if seen[1].held:
        figures["stack_memory_mb"] = max(held.proportional for held in seen[1].held)
    details = {
        "rounds": rounds,
        "speeds": contest.as_document(),
        "first_insight_s": {workers: each.first_s for workers, each in seen.items()},
        "peaks_mb": {workers: each.held for workers, each in seen.items()},
    }
    return Measured("scale", table, figures, details)


def _run(settings: Settings, texts: Sequence[str], workers: int, directory: Path, seen: _Seen) -> Speed:
    began = time.perf_counter()
    with running_stack(settings, directory, workers=workers, dashboard=True, alerts=True) as stack, _sampled(seen):
        _pass(stack, texts[:1], "first")
        seen.first_s.append(time.perf_counter() - began)
        _pass(stack, texts[:WARM_UP], "warm-up")
        watch = Stopwatch()
        _pass(stack, texts, "stream")
        speed = watch.speed(len(texts))
        seen.stored_bytes.append(float(stack.reader.select(_STORED).result_rows[0][0]))
        return speed


def _pass(stack: Stack, texts: Sequence[str], source: str) -> None:
    summary = stack.run_stream(events_of(texts, stack.settings.kafka.topics[0], source))
    if summary.insights != len(texts):
        raise VoxpopError(f"{summary.insights} of {len(texts)} events are stored: this run measured nothing")


@contextmanager
def _sampled(seen: _Seen) -> Iterator[None]:
    """Notes what all of the stack's processes together hold at most."""
    peak = Held(0.0, 0.0)
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_S):
            held = memory().values()
            peak = Held(
                max(peak.resident, sum(h.resident for h in held)),
                max(peak.proportional, sum(h.proportional for h in held)),
            )

    thread = threading.Thread(target=sample, name="memory")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if peak.resident:
        seen.held.append(peak)

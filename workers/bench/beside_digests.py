"""The worker alone, and with `voxpop digests` beside it that always has windows to write: what digests cost the worker."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from schemas.taxonomy import load_taxonomy
from workers.bench.family import cpu_seconds_of
from workers.bench.generated import DAYS, fill
from workers.bench.rounds import Measured, in_turn, markdown, spread
from workers.bench.stopwatch import Speed
from workers.bench.whole_way import stream_speed
from workers.embedded.process import ChildProcess
from workers.settings import Settings, usable_cpus
from workers.stack import Stack, running_stack
from workers.stack_digests import start_digests
from workers.store.connect import connect

ALONE, BESIDE = "alone", "beside digests"
ROWS = 50_000  # generated insights: thousands of windows without a digest
LEAST_TEXTS = 4  # of a window
WARM_UP = 128
LIMIT_S = 120.0


@dataclass
class _Seen:
    """Of each round with digests: how many were written, and cores that their process took."""

    written: list[int] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)


def measure_digests(
    settings: Settings, texts: Sequence[str], rounds: int, directory: Path, said: Callable[[str], None]
) -> Measured:
    """`worker_beside_digests`: the share of the worker's rate that is left while digests are written, with its quartiles;
    `worker_beside_digests_least`: what is left when they take their whole budget from the worker and no more.

    Raises `VoxpopError` when a run did not do its work or the digests were not at it all the time.
    """
    model = settings.model.model_copy(update={"cache_entries": 0})
    digests = settings.digests.model_copy(update={"min_texts": LEAST_TEXTS, "lookback_days": DAYS, "windows": ("day",)})
    chosen = settings.model_copy(update={"model": model, "digests": digests})
    topic, seen = settings.kafka.topics[0], _Seen()
    with running_stack(chosen, directory) as stack:
        with connect(stack.settings.clickhouse) as client:
            fill(client, load_taxonomy(settings.taxonomy), ROWS, seed=0)
        stream_speed(stack, texts[:WARM_UP], topic, "warm-up")

        def alone(number: int) -> Speed:
            return stream_speed(stack, texts, topic, f"alone-{number}")

        def beside(number: int) -> Speed:
            with _digests(stack, seen):
                return stream_speed(stack, texts, topic, f"beside-{number}")

        contest = in_turn({ALONE: alone, BESIDE: beside}, rounds, said)
    ratios = contest.ratios(BESIDE, ALONE)
    lower, upper = spread(ratios)
    least = 1 - digests.cpu_share / usable_cpus()
    told = [f"{median(seen.cores):.2f} of {digests.cpu_share:.2f}", f"{median(seen.written):.0f}"]
    rows = [
        ["the worker alone", f"{contest.median(ALONE):,.0f}", "1.00", "", ""],
        [
            "beside digests",
            f"{contest.median(BESIDE):,.0f}",
            f"{median(ratios):.2f} ({lower:.2f} … {upper:.2f})",
            *told,
        ],
        ["if they took all of their budget from it", "", f"{least:.2f}", "", ""],
    ]
    header = ["the same texts, in turn", "texts/s", "ratio (quartiles)", "cores of the digests", "digests a round"]
    figures = {
        "worker_beside_digests": median(ratios),
        "worker_beside_digests_lower_quartile": lower,
        "worker_beside_digests_upper_quartile": upper,
        "worker_beside_digests_least": least,
        "digests_cores": median(seen.cores),
    }
    details = {"rounds": rounds, "speeds": contest.as_document(), "written": seen.written, "cores": seen.cores}
    return Measured("digests", markdown(header, rows), figures, details)


@contextmanager
def _digests(stack: Stack, seen: _Seen) -> Iterator[None]:
    """Their process, at work from before here to after the end; notes what it did. Raises `VoxpopError` when it stopped."""
    with start_digests(stack.settings, stack.log_dir) as process:
        _wait_for_one(stack, process)
        first, cpu_s, began_s = stack.reader.count("digests"), cpu_seconds_of(process.pid), time.perf_counter()
        yield
        _wait_for_one(stack, process)  # it rests after each: this one shows that it had not run out of windows
        seen.written.append(stack.reader.count("digests") - first)
        seen.cores.append((cpu_seconds_of(process.pid) - cpu_s) / (time.perf_counter() - began_s))


def _wait_for_one(stack: Stack, process: ChildProcess) -> None:
    before = stack.reader.count("digests")
    process.wait_until(lambda: stack.reader.count("digests") > before, LIMIT_S)

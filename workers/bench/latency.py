"""From when a text is due at the producer to when a query finds its row, at shares of what the machine can take.

Texts come at random (a Poisson process, its seed fixed) whether the worker keeps up or not, and time counts from when each
was due, so that a queue that forms is measured too (Tene, "How NOT to Measure Latency": no coordinated omission).
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import quantiles

from kafka import KafkaProducer

from workers.bench.rounds import Measured, markdown
from workers.bench.runs import events_of
from workers.bench.stopwatch import Stopwatch
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.stack import Stack, running_stack
from workers.stream.connect import connect_producer
from workers.stream.produce import Outgoing

SHARES = (0.50, 0.80, 0.95)
WARM_UP = 128
LOOK_S = 0.02  # between two queries: what a latency may be too long by, besides the query itself
GIVE_UP_S = 120.0
# Rows that have come since the last look; `next`: partition -> the first offset that was not seen.
_NEWS = """
SELECT partition, offset, event_id FROM insights
WHERE source = {source:String} AND offset >= {next:Array(UInt64)}[partition + 1]
"""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds of each text, in the order in which rows were found."""

    share: float
    rate: float
    seconds: Sequence[float]

    def at(self, percent: int) -> float:
        """A percentile, inclusive of the extremes."""
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def measure_latency(
    settings: Settings, texts: Sequence[str], seconds: float, directory: Path, said: Callable[[str], None]
) -> Measured:
    """`latency_p99_s_at_80` and the like: topic to queryable while texts come for `seconds` at each share of the rate that
    one worker has when all of the same texts wait for it. Raises `VoxpopError` when rows do not come."""
    with running_stack(settings, directory) as stack:
        _at_once(stack, texts[:WARM_UP], "warm-up")
        capacity = _at_once(stack, texts, "capacity")
        said(f"capacity: {capacity:,.0f} texts/s")
        found = []
        for share in SHARES:
            found.append(_at_share(stack, texts, share, capacity, seconds))
            said(f"at {share:.0%}: p50 {found[-1].at(50):.2f} s, p99 {found[-1].at(99):.2f} s")
    rows = [
        [f"{each.share:.0%}", f"{each.rate:,.0f}", *(f"{each.at(percent):.2f}" for percent in (50, 90, 99))]
        for each in found
    ]
    table = f"One worker gets through {capacity:,.0f} of these texts a second.\n\n"
    table += markdown(["load", "texts/s", "p50 s", "p90 s", "p99 s"], rows)
    figures = {"latency_capacity_a_second": capacity} | {
        f"latency_p{percent}_s_at_{each.share * 100:.0f}": each.at(percent) for each in found for percent in (50, 99)
    }
    details = {f"{each.share:.2f}": [round(s, 4) for s in sorted(each.seconds)] for each in found}
    return Measured("latency", table, figures, {"seconds": seconds, "sorted_latencies_s": details})


def _at_once(stack: Stack, texts: Sequence[str], source: str) -> float:
    watch = Stopwatch()
    summary = stack.run_stream(events_of(texts, stack.settings.kafka.topics[0], source))
    if summary.insights != len(texts):
        raise VoxpopError(f"{summary.insights} of {len(texts)} events are stored: this run measured nothing")
    return watch.speed(len(texts)).a_second


def _at_share(stack: Stack, texts: Sequence[str], share: float, capacity: float, seconds: float) -> Latencies:
    rate = share * capacity
    rng = random.Random(f"{share}")  # noqa: S311 - repeatable on purpose
    count = max(2, round(rate * seconds))
    dues = list(accumulate(rng.expovariate(rate) for _ in range(count)))
    source = f"latency-{share * 100:.0f}"
    messages = events_of(
        [texts[number % len(texts)] for number in range(count)], stack.settings.kafka.topics[0], source
    )
    producer = connect_producer(stack.settings.kafka)
    began = time.perf_counter()
    sender = threading.Thread(target=_send, args=(producer, messages, dues, began), name="sender")
    sender.start()
    try:
        found = _look(stack, source, count, began + dues[-1] + GIVE_UP_S)
    finally:
        sender.join()
        producer.close(timeout=5)
    return Latencies(share, rate, [at - began - dues[number] for number, at in found])


def _send(producer: KafkaProducer, messages: Sequence[Outgoing], dues: Sequence[float], began: float) -> None:
    for message, due in zip(messages, dues, strict=True):
        time.sleep(max(0.0, began + due - time.perf_counter()))
        producer.send(message.topic, key=message.key, value=message.value)


def _look(stack: Stack, source: str, count: int, deadline: float) -> list[tuple[int, float]]:
    """(number of the message, when a query had found its row)."""
    following = [0] * stack.settings.kafka.partitions
    found: list[tuple[int, float]] = []
    while len(found) < count:
        parameters = {"source": source, "next": following}
        rows = stack.reader.select(_NEWS, parameters=parameters).result_rows
        now = time.perf_counter()
        for partition, offset, event_id in rows:
            following[partition] = max(following[partition], offset + 1)
            found.append((int(event_id.rpartition("-")[2]), now))
        if now > deadline:
            raise VoxpopError(f"{len(found)} of {count} rows came; is the machine busy? try --quick")
        time.sleep(LOOK_S)
    return found

"""What a rate needs: workers, partitions, ClickHouse nodes, disk, network, money; from a benchmark's figures."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.errors import UsageError
from workers.plan.cost import MACHINE_USD_AN_HOUR
from workers.plan.queueing import WorkerModel, fitted
from workers.settings import Settings

MOST_LOAD = 0.8  # of a worker and of a ClickHouse node: the rest is for peaks, restarts and merges
STORE_LOAD = 0.5  # queries, merges and replication take the other half of a node
KAFKA_REPLICAS, STORE_REPLICAS = 3, 2
TOKENS_A_LEASE = 0.5  # of the deduplication window, for inserts of one lease
NEEDED = (
    "latency_capacity_a_second",
    "latency_p50_s_at_50",
    "scale_stored_bytes_a_text",
    "scale_message_bytes",
    "screens_rows_a_second",
)
_RATE = re.compile(r"^(\d+(?:\.\d+)?)\s*([kM]?)\s*(?:/\s*(s|min|h|day))?$")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400, None: 1}
_TIME = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|min)?$")


@dataclass(frozen=True, slots=True)
class Plan:
    """All for one rate. A machine is one like the benchmark's; `load` is the share of a worker that the rate takes."""

    rate: float
    p99_s: float
    expected_p99_s: float
    load: float
    workers: int
    partitions: int
    store_nodes: int
    inserts_a_second: float
    deduplication_window: int
    disk_gb_a_day: float
    kafka_mb_a_second: float
    usd_a_month: float


def parse_rate(text: str) -> float:
    """Texts a second of `20000/s`, `5M/day`, `300k/h`. Raises `UsageError`."""
    found = _RATE.match(text.strip())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"--rate {text!r} is no rate; write it like 20000/s, 300k/h or 5M/day")
    return float(found[1]) * {"": 1, "k": 1e3, "M": 1e6}[found[2]] / _SECONDS[found[3]]


def parse_time(text: str) -> float:
    """Seconds of `2s`, `800ms`, `1min`. Raises `UsageError`."""
    found = _TIME.match(text.strip())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"--p99 {text!r} is no time; write it like 2s or 800ms")
    return float(found[1]) * {"ms": 1e-3, "s": 1, "min": 60, None: 1}[found[2]]


def figures_of(document: Mapping[str, Any], source: str) -> dict[str, float]:
    """The figures that a plan needs, of `voxpop bench --json`. Raises `UsageError` that names what was not measured."""
    if missing := [name for name in NEEDED if not isinstance(document.get(name), int | float)]:
        parts = list(dict.fromkeys(name.partition("_")[0] for name in missing))
        command = " ".join(f"--part {part}" for part in parts)
        raise UsageError(f"{source} lacks {missing[0]}; measure this machine first: voxpop bench {command}")
    return {name: float(document[name]) for name in NEEDED}


def worker_model(figures: Mapping[str, float], settings: Settings) -> WorkerModel:
    """One worker as it was measured: its capacity, and its overhead from the median latency at half of that."""
    capacity, partitions = figures["latency_capacity_a_second"], settings.kafka.partitions
    model = WorkerModel(
        capacity=capacity,
        overhead_s=0.0,
        partitions=partitions,
        block_records=settings.worker.block_limit(capacity, partitions),
        linger_s=settings.worker.linger_ms / 1000,
    )
    return fitted(model, 0.5, figures["latency_p50_s_at_50"])


def plan(rate: float, p99_s: float, figures: Mapping[str, float], settings: Settings) -> Plan:
    """Raises `UsageError` when no load of a worker keeps the latency."""
    model = worker_model(figures, settings)
    most = model.highest_load(99, p99_s, MOST_LOAD)
    if most == 0.0:
        least = model.percentile(0.05, 99)
        raise UsageError(
            f"no load keeps a p99 of {p99_s:g} s: an almost idle worker of this machine has {least:.1f} s; "
            "lower VOXPOP_WORKER__LINGER_MS, or allow more"
        )
    workers = math.ceil(rate / (most * model.capacity))
    load = rate / (workers * model.capacity)
    partitions = workers * model.partitions
    nodes = math.ceil(rate / (STORE_LOAD * figures["screens_rows_a_second"]))
    inserts = _blocks_a_second(model, load) * workers
    lease = inserts * settings.worker.lease_s
    machines = workers + STORE_REPLICAS * nodes + KAFKA_REPLICAS
    return Plan(
        rate=rate,
        p99_s=p99_s,
        expected_p99_s=model.percentile(load, 99),
        load=load,
        workers=workers,
        partitions=partitions,
        store_nodes=nodes,
        inserts_a_second=inserts,
        deduplication_window=max(10_000, math.ceil(lease / TOKENS_A_LEASE / 1000) * 1000),
        disk_gb_a_day=rate * 86_400 * figures["scale_stored_bytes_a_text"] * STORE_REPLICAS / 1e9,
        kafka_mb_a_second=rate * figures["scale_message_bytes"] * KAFKA_REPLICAS / 1e6,
        usd_a_month=machines * MACHINE_USD_AN_HOUR * 24 * 30.4,
    )


def _blocks_a_second(model: WorkerModel, load: float) -> float:
    """Inserts a second of one worker, at most: a block for each partition and batch, or what fills blocks."""
    rate = load * model.capacity
    cycle_s = max(model.linger_s, model.overhead_s / (1 - rate / model.texts_a_second))
    return max(min(model.partitions / cycle_s, rate), rate / model.block_records)

"""What a chaos run is asked for, and what it tells."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from workers.chaos.fleet import WORKER_COMMAND
from workers.chaos.verdict import Verdict
from workers.settings import WorkerSettings

# Small blocks and short leases: many steps of the protocol a second, many chances for a fault to meet one.
SMALL_BLOCKS = WorkerSettings(block_records=32, linger_ms=50, lease_s=8, insert_retry_max_s=1.0, stop_timeout_s=10)


@dataclass(frozen=True, slots=True)
class ChaosRequest:
    """What to run. `events` are sent evenly over the time that the faults take, or over `seconds`.

    `armed`: failpoints, as in VOXPOP_FAILPOINTS, that the first workers start with, and how long one stays frozen (seconds).
    """

    broker: str
    faults: int
    events: int
    workers: int
    seed: int
    armed: Sequence[tuple[str, float]] = ()
    seconds: float = 5.0
    plain_stream: bool = False
    gap_s: float = 1.5
    worker: WorkerSettings = SMALL_BLOCKS
    deduplication_window: int = 10_000
    command: Sequence[str] = WORKER_COMMAND


@dataclass(slots=True)
class ChaosReport:
    """What happened and whether every promise was kept."""

    broker: str
    seed: int
    faults: int = 0
    faults_by_kind: dict[str, int] = field(default_factory=dict)
    events: int = 0
    messages: int = 0
    resends: int = 0
    updates: int = 0
    malformed: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    recoveries_s: list[float] = field(default_factory=list)
    unexpected_ends: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def recovery_s(self, quantile: float) -> float | None:
        """Time from a fault to the next row that is written; None when no fault was followed by one."""
        ordered = sorted(self.recoveries_s)
        return round(ordered[min(len(ordered) - 1, int(quantile * len(ordered)))], 2) if ordered else None

"""Which faults, in which order, against what: drawn from a seed alone, so that a failing run can be repeated."""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from workers.chaos.proxy import FaultKind
from workers.failpoints import WORKER_FAILPOINTS

# The group's session timeout in a chaos run. Tansu has who joins beside a leader wait for three seconds, in which it may not
# be taken for gone: then everybody who joins has the others begin anew.
SESSION_S = {"embedded": 6.0, "kafka": 3.0}
# The share of faults that wait until rows are written again after the one before. The embedded broker's group can stay stuck
# in joining when members go on dying while it is being joined; on Apache Kafka most come whatever the group is doing.
CALM = {"embedded": 1.0, "kafka": 0.15}


class Kind(StrEnum):
    """What is done to whom."""

    KILL_WORKER = "kill_worker"  # SIGKILL, started again at once
    FREEZE_WORKER = "freeze_worker"  # SIGSTOP for a while, at times longer than its session
    FAILPOINT = "failpoint"  # SIGKILL, and the next process dies or freezes at a named place in the code
    SCALE_UP = "scale_up"  # a worker more, for a while
    SCALE_DOWN = "scale_down"  # SIGTERM, a clean stop; started again later
    KILL_CLICKHOUSE = "kill_clickhouse"  # SIGKILL, started again over its data
    KILL_BROKER = "kill_broker"  # likewise; only where the broker keeps its data
    NETWORK = "network"  # one of the proxy's faults between the workers and ClickHouse


_WEIGHTS = {
    Kind.KILL_WORKER: 5,
    Kind.FREEZE_WORKER: 4,
    Kind.FAILPOINT: 8,
    Kind.SCALE_UP: 2,
    Kind.SCALE_DOWN: 2,
    Kind.KILL_CLICKHOUSE: 2,
    Kind.KILL_BROKER: 1,
    Kind.NETWORK: 9,
}
_PLACES = tuple(name for name in WORKER_FAILPOINTS if name != "stopping")  # passed when told to stop: SCALE_UP meets it


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """`after_s` since the fault before it or, when it `waits`, since rows have been written again after that one: some come
    in bursts, some meet a stack that works. `worker` counts over those that run; `seconds` is how long it lasts."""

    number: int
    kind: Kind
    after_s: float
    worker: int
    seconds: float
    place: str = ""
    action: str = ""
    passes: int = 1
    network: FaultKind | None = None
    requests: int = 1
    waits: bool = False

    @property
    def name(self) -> str:
        """What the report counts it under."""
        if self.kind is Kind.FAILPOINT:
            return str(Kind.KILL_WORKER)  # what it takes to arm one; the failpoint counts when it is met
        return f"{self.kind}:{self.network}" if self.network else str(self.kind)


def make_plan(seed: int, faults: int, broker: str, *, gap_s: float = 1.5) -> list[PlannedFault]:
    """`faults` of them; the same for the same arguments. `broker` is `embedded` or `kafka`, which alone keeps its data when
    it is killed; `gap_s` is the mean time between two faults."""
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    usable = [kind for kind in Kind if broker == "kafka" or kind is not Kind.KILL_BROKER]
    weights = [_WEIGHTS[kind] for kind in usable]
    kinds = (draw.choices(usable, weights)[0] for _ in range(faults))
    return [_fault(draw, number, kind, gap_s, broker) for number, kind in enumerate(kinds, 1)]


def _fault(draw: random.Random, number: int, kind: Kind, gap_s: float, broker: str) -> PlannedFault:
    """Draws the same number of values for each kind, so that one fault's kind does not move those after it."""
    calm, session_s = CALM[broker], SESSION_S[broker]
    after_s = draw.uniform(0.25, 1.75) * gap_s
    worker, place, action = draw.randrange(1_000), draw.choice(_PLACES), draw.choice(("kill", "kill", "stop"))
    passes, network = draw.randint(1, 4), draw.choice(tuple(FaultKind))
    short, longer = draw.uniform(0.2, 2.0), draw.uniform(1.1, 1.6) * session_s
    outlives_session, requests, waits = draw.random() < 0.4, draw.randint(1, 6), draw.random() < calm
    fault = PlannedFault(number, kind, after_s, worker, short, waits=waits)
    if kind is Kind.FAILPOINT:
        passes *= 25 if place == "polled" else 1  # that one is passed many times a second
        fault = replace(fault, place=place, action=action, passes=passes)
    if kind is Kind.SCALE_UP:
        fault = replace(fault, action=action)  # what it meets when it is stopped again with a block in hand
    if kind is Kind.NETWORK:
        fault = replace(fault, network=network, requests=requests)
    if kind in (Kind.FAILPOINT, Kind.FREEZE_WORKER) and outlives_session:
        fault = replace(fault, seconds=longer)
    return fault

"""One chaos run: a known stream through workers while faults happen, then every promise checked.

The order of the faults and what they hit come from the seed alone; when exactly they meet the workers does not, which is the
point: each repetition of a seed tries the same faults at somewhat other moments.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from workers.chaos.fleet import WORKER_COMMAND, Fleet, Slot
from workers.chaos.known_stream import TOPIC, KnownStream
from workers.chaos.plan import SESSION_S, Kind, PlannedFault, make_plan
from workers.chaos.proxy import Fault, FaultKind, FaultProxy
from workers.chaos.verdict import Verdict, judge_outcome
from workers.embedded.broker import EmbeddedBroker
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.kafka import ApacheKafka
from workers.errors import VoxpopError
from workers.settings import Settings, WorkerSettings
from workers.store.connect import StoreUnavailable, connect
from workers.store.migrate import migrate
from workers.store.query import Reader
from workers.stream.connect import BrokerUnavailable, client_config
from workers.stream.lag import LagProbe
from workers.stream.produce import AcknowledgedProducer
from workers.stream.topics import ensure_topics

TICK_S = 0.05
LOOK_S = 0.2  # between two looks at how many rows there are
FAULTS_AHEAD = 4  # the feed waits for the faults: events must flow until the last of them
# The embedded broker takes some eight seconds to share the partitions out again after each member that comes or goes: faults
# that do not wait would only ever meet a group that is still joining.
CALM = {"embedded": 0.5, "kafka": 0.15}
RECOVERY_LIMIT_S = 15.0
START_LIMIT_S = 90.0
SETTLE_LIMIT_S = 300.0  # after the last fault and the last event, everything must have come through within this
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


def run_chaos(request: ChaosRequest, base: Settings, directory: Path, say: Callable[[str], None]) -> ChaosReport:
    """Runs it on a stack of its own in `directory`. Raises `VoxpopError` when the stack itself cannot be started."""
    started = time.monotonic()
    with _stack(request, base, directory) as run:
        run.say = say
        run.go()
        report = run.report
    report.seconds = round(time.monotonic() - started, 1)
    return report


@contextmanager
def _stack(request: ChaosRequest, base: Settings, directory: Path) -> Iterator["_Run"]:
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        broker: EmbeddedBroker | ApacheKafka
        if request.broker == "kafka":
            config = {"group.min.session.timeout.ms": "1000"}
            broker = stack.enter_context(ApacheKafka.start(directory / "kafka", logs / "kafka.log", config=config))
        else:
            broker = stack.enter_context(EmbeddedBroker.start(logs / "broker.log"))
        clickhouse = stack.enter_context(EmbeddedClickHouse(directory / "clickhouse", log_file=logs / "clickhouse.log"))
        proxy = stack.enter_context(FaultProxy(clickhouse.host, clickhouse.port))
        direct = _settings(request, base, broker.bootstrap_servers, clickhouse.port)
        migrate(direct)
        ensure_topics(direct.kafka)
        through_proxy = direct.model_copy(
            update={"clickhouse": direct.clickhouse.model_copy(update={"port": proxy.port})}
        )
        fleet = Fleet(through_proxy, logs, request.command)
        stack.callback(fleet.stop)
        reader = Reader(stack.enter_context(connect(direct.clickhouse)), direct.clickhouse)
        yield _Run(request, direct, reader, broker, clickhouse, proxy, fleet)


def _settings(request: ChaosRequest, base: Settings, bootstrap_servers: str, clickhouse_port: int) -> Settings:
    kafka = base.kafka.model_copy(
        update={
            "bootstrap_servers": bootstrap_servers,
            "session_timeout_ms": int(SESSION_S * 1000),
            "security_protocol": "PLAINTEXT",
            "topics": (TOPIC,),
            "partitions": 6,
        }
    )
    store = base.clickhouse.model_copy(
        update={
            "host": "127.0.0.1",
            "port": clickhouse_port,
            "username": "default",
            "secure": False,
            "timeout_s": 5,
            "connect_timeout_s": 2,
            "deduplication_window": request.deduplication_window,
        }
    )
    model = base.model.model_copy(update={"replicas": 1})
    state_dir = base.state_dir.resolve()
    update = {"kafka": kafka, "clickhouse": store, "model": model, "worker": request.worker, "state_dir": state_dir}
    return base.model_copy(update=update)


class _Run:
    """The run itself: one thread applies faults, ends those that last, watches; another produces."""

    def __init__(
        self,
        request: ChaosRequest,
        settings: Settings,
        reader: Reader,
        broker: EmbeddedBroker | ApacheKafka,
        clickhouse: EmbeddedClickHouse,
        proxy: FaultProxy,
        fleet: Fleet,
    ) -> None:
        self._request, self._settings, self._reader = request, settings, reader
        self._broker, self._clickhouse, self._proxy, self._fleet = broker, clickhouse, proxy, fleet
        self._stream = KnownStream(request.seed, request.events, plain=request.plain_stream)
        self._feed = _Feed(self._stream, settings, events=request.events, rate=self._rate())
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._counts: Counter[str] = Counter()
        self._waiting_since: list[float] = []
        self._rows, self._looked_at = 0, 0.0
        self.report = ChaosReport(request.broker, request.seed, events=request.events)
        self.say: Callable[[str], None] = lambda _: None

    def _rate(self) -> float:
        """Events a second such that they last as long as the faults: at least for a few seconds."""
        return self._request.events / max(self._request.seconds, self._request.faults * self._request.gap_s)

    def go(self) -> None:
        """Produces, faults, settles, checks. Raises `VoxpopError` when the stack does not settle."""
        for failpoints, hold_s in (*self._request.armed, *[("", 0.0)] * self._request.workers)[: self._request.workers]:
            self._fleet.add(failpoints, hold_s)
        self._feed.start()
        restarts = isinstance(self._broker, ApacheKafka)
        plan = make_plan(
            self._request.seed,
            self._request.faults,
            broker_restarts=restarts,
            gap_s=self._request.gap_s,
            calm=CALM[self._request.broker],
        )
        self._feed.allow(0.2)
        self._wait_for_first_row()
        for fault in plan:
            self._feed.allow((fault.number + FAULTS_AHEAD) / len(plan))
            if fault.waits:
                self._wait_until_rows_grow()
            self._watch(fault.after_s)
            self._apply(fault)
            if fault.number % 10 == 0:
                self.say(f"fault {fault.number}/{len(plan)} · sent {self._feed.sent:,} · rows {self._rows:,}")
        self._feed.allow(1.0)
        self._settle()
        self._check()

    def _wait_for_first_row(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not self._rows:
            if time.monotonic() > deadline:
                raise VoxpopError(f"no worker wrote a row within {START_LIMIT_S:.0f} s; look into the logs")
            self._watch(TICK_S)

    def _wait_until_rows_grow(self) -> None:
        """After the fault before this one; not for ever, since it may have been the last event that it met."""
        deadline = time.monotonic() + RECOVERY_LIMIT_S
        while self._waiting_since and time.monotonic() < deadline:
            self._watch(TICK_S)

    def _watch(self, seconds: float) -> None:
        """Lets time pass: ends what is due, starts again what ended, notes when rows grow again."""
        until = time.monotonic() + seconds
        while True:
            self._tick()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(TICK_S, left))

    def _tick(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()
        for slot in self._fleet.hold_at_failpoints(now):
            self._do_later(slot.hold_s, lambda slot=slot: self._fleet.wake(slot))  # type: ignore[misc]
        self._fleet.start_again_what_ended()
        self._note_recovery(now)

    def _do_later(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _note_recovery(self, now: float) -> None:
        """The first row after a fault ends its outage."""
        if now < self._looked_at + LOOK_S:
            return
        self._looked_at, rows = now, self._count_rows()
        if rows is not None and rows > self._rows:
            self._rows = rows
            self.report.recoveries_s += [now - since for since in self._waiting_since]
            self._waiting_since = []

    def _count_rows(self) -> int | None:
        try:
            return self._reader.count("event_keys")
        except StoreUnavailable:
            return None

    def _apply(self, fault: PlannedFault) -> None:
        slots = self._fleet.running()
        slot = slots[fault.worker % len(slots)] if slots else None
        if not self._do(fault, slot):
            return
        self._counts[fault.name] += 1
        self._waiting_since.append(time.monotonic())

    def _do(self, fault: PlannedFault, slot: Slot | None) -> bool:
        """Whether the fault could be applied: without a running worker some cannot."""
        match fault.kind:
            case Kind.NETWORK:
                self._disturb_network(fault)
            case Kind.KILL_CLICKHOUSE:
                self._clickhouse.kill()
                self._watch_blind(fault.seconds / 2)
                self._clickhouse.start()
            case Kind.KILL_BROKER:
                assert isinstance(self._broker, ApacheKafka)  # noqa: S101 - the plan has it only there
                self._broker.kill()
                self._watch_blind(fault.seconds / 2)
                self._broker.restart()
            case Kind.SCALE_UP:
                extra = self._fleet.add()
                self._do_later(fault.seconds + 6, lambda: self._fleet.ask_to_stop(extra))
            case _ if slot is None:
                return False
            case Kind.KILL_WORKER:
                self._fleet.kill(slot)
            case Kind.FREEZE_WORKER:
                self._fleet.freeze(slot, time.monotonic() + fault.seconds)
                self._do_later(fault.seconds, lambda: self._fleet.wake(slot))
            case Kind.SCALE_DOWN:
                self._fleet.ask_to_stop(slot)
                self._do_later(fault.seconds, lambda: self._want_again(slot))
            case Kind.FAILPOINT:
                self._fleet.kill(slot)
                self._fleet.start(slot, f"{fault.place}={fault.action}@{fault.passes}", fault.seconds)
        return True

    def _want_again(self, slot: Slot) -> None:
        slot.wanted = True

    def _watch_blind(self, seconds: float) -> None:
        """Lets time pass while ClickHouse or the broker is down."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._fleet.start_again_what_ended()
            time.sleep(TICK_S)

    def _disturb_network(self, fault: PlannedFault) -> None:
        kind = fault.network
        assert kind is not None  # noqa: S101 - drawn for every network fault
        if kind is FaultKind.REFUSE:
            self._proxy.set(Fault(kind))
            self._do_later(fault.seconds, lambda: self._proxy.set(None))
            return
        for _ in range(fault.requests):
            inserts_only = kind not in (FaultKind.DELAY, FaultKind.THROTTLE)
            self._proxy.once(Fault(kind, seconds=fault.seconds, bytes_a_s=20_000, inserts_only=inserts_only))

    def _settle(self) -> None:
        """No more faults: ends those that last, and waits until the group has committed everything that was sent."""
        while self._later or self._feed.is_alive():
            self._watch(TICK_S)
        self._feed.raise_what_stopped_it()
        self._proxy.clear()
        for slot in self._fleet.slots:
            if self._fleet.is_stopped(slot):
                self._fleet.wake(slot)
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while self._lag() > 0:
            if time.monotonic() > deadline:
                self.say("the stream did not come through in time")
                break
            self._watch(0.5)
        self._fleet.stop()

    def _lag(self) -> int:
        try:
            probe = LagProbe(self._settings.kafka)
        except BrokerUnavailable:
            return 1
        try:
            return probe.behind(self._feed.ends)
        except BrokerUnavailable:
            return 1
        finally:
            probe.close()

    def _check(self) -> None:
        report, expected = self.report, self._stream.expected
        met = Counter({f"failpoint:{name}": count for name, count in self._fleet.fired.items()})
        report.faults_by_kind = dict(sorted((self._counts + met).items()))
        report.faults = sum(report.faults_by_kind.values())
        report.messages, report.resends, report.updates = self._feed.sent, expected.resends, expected.updates
        report.malformed = sum(expected.malformed.values())
        report.unexpected_ends = dict(self._fleet.unexpected)
        report.verdict = judge_outcome(self._reader, expected, self._positions_in_topic(), self._lag())

    def _positions_in_topic(self) -> set[tuple[int, int]]:
        """Which source positions the insights topic holds, by the header that each of its messages carries."""
        consumer = KafkaConsumer(**client_config(self._settings.kafka), auto_offset_reset="earliest")
        try:
            topic = self._settings.kafka.insights_topic
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            found: set[tuple[int, int]] = set()
            quiet_since = time.monotonic()
            while time.monotonic() - quiet_since < 3.0:
                for records in consumer.poll(timeout_ms=200).values():
                    quiet_since = time.monotonic()
                    for record in records:
                        _, partition, offset = dict(record.headers)["voxpop-position"].decode().rsplit(":", 2)
                        found.add((int(partition), int(offset)))
            return found
        finally:
            consumer.close(autocommit=False)


class _Feed(threading.Thread):
    """Produces the stream at an even rate, through outages of the broker: what was not acknowledged is sent again."""

    def __init__(self, stream: KnownStream, settings: Settings, *, events: int, rate: float) -> None:
        super().__init__(name="chaos-feed", daemon=True)
        self._stream, self._settings, self._events, self._rate = stream, settings, events, rate
        self._allowed = 0.0
        self.sent = 0
        self.ends: dict[TopicPartition, int] = {}
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._produce()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self._error = error

    def allow(self, share: float) -> None:
        """How much of the stream may have been sent."""
        self._allowed = share

    def raise_what_stopped_it(self) -> None:
        """Raises what ended the feed early, if anything did."""
        if self._error is not None:
            raise VoxpopError(f"the feed of the chaos run ended early: {self._error}") from self._error

    def _produce(self) -> None:
        due = time.monotonic()
        producer = AcknowledgedProducer(self._settings.kafka)
        messages = iter(self._stream)
        try:
            while chunk := [m for _, m in zip(range(max(1, int(self._rate / 10))), messages, strict=False)]:
                while True:
                    try:
                        ends = producer.send_all(chunk, timeout_s=10)
                        break
                    except (BrokerUnavailable, KafkaError):
                        time.sleep(0.2)
                for partition, end in ends.items():
                    self.ends[partition] = max(end, self.ends.get(partition, 0))
                self.sent += len(chunk)
                while self.sent > self._allowed * self._events:
                    time.sleep(0.05)
                due = max(time.monotonic(), due + len(chunk) / self._rate)
                time.sleep(max(0.0, due - time.monotonic()))
        finally:
            producer.close()

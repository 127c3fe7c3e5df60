"""One chaos run: a known stream through workers while faults happen, then every promise checked.

The order of the faults and what they hit come from the seed alone; when exactly they meet the workers does not, which is the
point: each repetition of a seed tries the same faults at somewhat other moments.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from workers.chaos.feed import Feed
from workers.chaos.fleet import Slot
from workers.chaos.known_stream import KnownStream
from workers.chaos.plan import Kind, PlannedFault, make_plan
from workers.chaos.proxy import Fault, FaultKind
from workers.chaos.report import ChaosReport, ChaosRequest
from workers.chaos.stack import ChaosStack, chaos_stack
from workers.chaos.verdict import judge_outcome
from workers.embedded.kafka import ApacheKafka
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.connect import StoreUnavailable
from workers.stream.connect import BrokerUnavailable, client_config
from workers.stream.lag import LagProbe

TICK_S = 0.05
LOOK_S = 0.2  # between two looks at how many rows there are
FAULTS_AHEAD = 4  # the feed waits for the faults: events must flow until the last of them
RECOVERY_LIMIT_S = 30.0
START_LIMIT_S = 90.0
STUCK_LIMIT_S = 90.0  # after the last fault and the last event, the group must come on at least so often until the end


def run_chaos(request: ChaosRequest, base: Settings, directory: Path, say: Callable[[str], None]) -> ChaosReport:
    """Runs it on a stack of its own in `directory`. Raises `VoxpopError` when the stack itself cannot be started."""
    started = time.monotonic()
    with chaos_stack(request, base, directory) as stack:
        run = _Run(request, stack, say)
        run.go()
        report = run.report
    report.seconds = round(time.monotonic() - started, 1)
    return report


class _Run:
    """The run itself: one thread applies faults, ends those that last, watches; another produces."""

    def __init__(self, request: ChaosRequest, stack: ChaosStack, say: Callable[[str], None]) -> None:
        self._request, self._settings, self._reader = request, stack.settings, stack.reader
        self._broker, self._clickhouse, self._proxy = stack.broker, stack.clickhouse, stack.proxy
        self._fleet, self._say = stack.fleet, say
        self._stream = KnownStream(request.seed, request.events, plain=request.plain_stream)
        self._feed = Feed(self._stream, stack.settings, events=request.events, rate=self._rate())
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._counts: Counter[str] = Counter()
        self._waiting_since: list[float] = []
        self._rows, self._looked_at = 0, 0.0
        self.report = ChaosReport(request.broker, request.seed, events=request.events)

    def _rate(self) -> float:
        """Events a second such that they last as long as the faults: at least for a few seconds."""
        return self._request.events / max(self._request.seconds, self._request.faults * self._request.gap_s)

    def go(self) -> None:
        """Produces, faults, settles, checks. Raises `VoxpopError` when the stack does not settle."""
        for failpoints, hold_s in (*self._request.armed, *[("", 0.0)] * self._request.workers)[: self._request.workers]:
            self._fleet.add(failpoints, hold_s)
        self._feed.start()
        plan = make_plan(self._request.seed, self._request.faults, self._request.broker, gap_s=self._request.gap_s)
        self._feed.allow(0.2)
        self._wait_for_first_row()
        for fault in plan:
            self._feed.allow((fault.number + FAULTS_AHEAD) / len(plan))
            if fault.waits:
                self._wait_until_rows_grow()
            self._watch(fault.after_s)
            self._apply(fault)
            if fault.number % 10 == 0:
                self._say(f"fault {fault.number}/{len(plan)} · sent {self._feed.sent:,} · rows {self._rows:,}")
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
                extra = self._fleet.add(f"stopping={fault.action}@1", fault.seconds)
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
        lag, since = self._lag(), time.monotonic()
        while lag > 0:
            if time.monotonic() > since + STUCK_LIMIT_S:
                self._say(f"the stream is stuck: {lag:,} messages are not committed")
                for line in self._fleet.where_they_are():
                    self._say(line)
                break
            self._watch(1.0)
            left = self._lag()
            if left < lag:
                lag, since = left, time.monotonic()
        self._fleet.stop()

    def _lag(self) -> int:
        """Messages that the group has not committed; all of them when the broker does not say."""
        try:
            probe = LagProbe(self._settings.kafka)
            try:
                return probe.behind(self._feed.ends)
            finally:
                probe.close()
        except BrokerUnavailable:
            return sum(self._feed.ends.values())

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

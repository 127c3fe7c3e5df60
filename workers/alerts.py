"""`voxpop alerts`: the Faust app that watches `voxpop.insights`, and what surrounds it.

A text is counted in three tables whose changelogs are topics; an alert is told (table, topic) before the tables say that it
was, and a message is acknowledged after what it changed in the tables is (`workers/changelogs.py`). So after a crash the
tables are rebuilt, the texts since the last commit are counted again to the same effect, and an alert that was being told is
told again under its id.

Windows are ours (`workers/alerting`), not Faust's: those expire by the latest event time of a partition, whereas products
and topics keep different time.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from typing import Any

import structlog
from kafka import TopicPartition
from pydantic import ValidationError

from schemas.alerts import Alert
from schemas.insights import Insight
from workers import metrics
from workers.alerting.notify import Notifier
from workers.alerting.text import from_insight
from workers.alerting.watch import Step, Tables, Watch
from workers.changelogs import Changelogs
from workers.errors import VoxpopError
from workers.faust_app import PartitionTable, faust_app
from workers.health import Probes, serving
from workers.publish_alerts import AlertPublisher, Stopped
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.write import Writer
from workers.stream.connect import BrokerUnavailable
from workers.stream.lag import LagProbe
from workers.stream.produce import AcknowledgedProducer
from workers.stream.topics import ensure_changelogs, ensure_topics, partitions_of

log = structlog.get_logger(__name__)

TICK_S = 1.0
OUTSTANDING = 100  # messages whose changes are on their way to the changelogs
STOP_S = 10.0  # for what is on its way when it is told to stop, or partitions move


class AlertsApp:
    """Built within the event loop that runs it."""

    def __init__(self, settings: Settings, publisher: AlertPublisher, notifier: Notifier) -> None:
        self._settings = settings
        self._publisher = publisher
        self._notifier = notifier
        self._watches: dict[int, Watch] = {}
        self._changelogs = Changelogs(OUTSTANDING)
        self._one_at_a_time = asyncio.Lock()
        self._latest_event = time.monotonic()
        self._failure: BaseException | None = None
        self.stop = asyncio.Event()
        partitions = partitions_of(settings.kafka, settings.kafka.insights_topic)
        self.app = faust_app(settings, partitions)
        self._tables = [self._table(name) for name in ("texts", "hours", "products")]
        ensure_changelogs(settings.kafka, [table.changelog_topic_name for table in self._tables], partitions)
        self.app.on_partitions_revoked.connect(self._forget, weak=False)
        self.app.on_partitions_assigned.connect(self._forget, weak=False)
        self._agent(settings.kafka.insights_topic, self._take)
        if notifier.channels:
            self._agent(settings.kafka.alerts_topic, self._notify)

    @property
    def ready(self) -> bool:
        """Whether it owns partitions and its tables are rebuilt."""
        moving = self.app.rebalancing or self.app.in_recovery
        return bool(self.app.assignor.assigned_actives()) and not moving and not self.stop.is_set()

    @property
    def healthy(self) -> bool:
        """Whether nothing has ended it."""
        return not self.app.crashed and self._failure is None

    async def run(self) -> None:
        """Returns after `stop`. Raises what ended it."""
        await self.app.start()
        try:
            while not self.stop.is_set() and self.healthy:
                try:
                    await asyncio.wait_for(self.stop.wait(), TICK_S)
                except TimeoutError:
                    with suppress(Stopped):
                        await self._tick()
            if self.healthy:
                await self._finish()
        finally:
            self._publisher.stopping.set()
            await self.app.stop()
        if self._failure:
            raise self._failure
        if self.app.crashed:
            raise VoxpopError(f"the alerts' stream has failed ({self.app.crash_reason}); start voxpop alerts again")

    async def hurry(self) -> None:
        """Looks at every window that only waits for slower topics, since nothing more is coming."""
        try:
            self._watch_all()
            await self._do(lambda: [(watch, watch.hurry()) for watch in self._watches.values()])
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._failure = error
            return
        metrics.ALERT_HURRIES.inc()

    def _table(self, name: str) -> Any:
        return self.app.Table(name)

    def _agent(self, topic: str, handle: Callable[[Any], Awaitable[None]]) -> None:
        """A message that cannot be handled ends the process: Faust would go on with the next one."""

        async def agent(stream: Any) -> AsyncIterator[None]:
            async for event in stream.noack().events():
                try:
                    await handle(event)
                except Stopped:
                    self.stop.set()
                except Exception as error:  # noqa: BLE001 - raised by `run`
                    self._failure = error
                if self.stop.is_set() or self._failure:
                    return
                yield

        self.app.agent(self.app.topic(topic, value_serializer="raw", key_serializer="raw"), name=f"{topic}-agent")(
            agent
        )

    async def _take(self, event: Any) -> None:
        self._latest_event = time.monotonic()
        partition = event.message.partition

        def take() -> list[tuple[Watch, Step]]:
            try:
                text = from_insight(Insight.model_validate_json(event.value))
            except ValidationError as error:
                log.warning("no insight; skipped", partition=partition, errors=error.error_count())
                return []
            watch = self._watch(partition)
            step = watch.take(text)
            metrics.ALERT_TEXTS.inc()
            metrics.ALERT_LATE_TEXTS.inc(step.late)
            return [(watch, step)]

        await self._do(take, event)

    async def _do(self, steps: Callable[[], list[tuple[Watch, Step]]], event: Any = None) -> None:
        """Tells what comes of these steps, then remembers that it was told, then acknowledges the event that led to them."""
        async with self._one_at_a_time:
            for watch, step in steps():
                if step.alerts:
                    await asyncio.to_thread(self._publisher.publish, step.alerts)
                watch.settle(step)
            self._changelogs.send(event)
            await self._changelogs.acknowledge()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_S), self._one_at_a_time:
                await self._changelogs.acknowledge(everything=True)
        except TimeoutError:
            log.warning("not waiting until the changelogs have everything; the last texts will be read again")

    async def _tick(self) -> None:
        """While nothing comes in, and only if that is not because it could not: the broker away, partitions moving."""
        async with self._one_at_a_time:
            await self._changelogs.acknowledge()
        if not self.ready:
            self._latest_event = time.monotonic()
            return
        if time.monotonic() - self._latest_event < self._settings.alerts.settle_s:
            return
        self._latest_event = time.monotonic()
        if await asyncio.to_thread(self._nothing_waits):
            now_s = int(time.time())
            self._watch_all()
            await self._do(lambda: [(watch, watch.tick(now_s)) for watch in self._watches.values()])

    def _nothing_waits(self) -> bool:
        """Whether every text that the topic holds is counted. What was read may still wait in a queue, so that is told by
        what is committed, a moment after it was counted."""
        partitions = [TopicPartition(tp.topic, tp.partition) for tp in self._partitions()]
        try:
            with closing(LagProbe(self._settings.kafka, self._settings.alerts.group_id)) as probe:
                return not probe.behind(probe.ends_of(partitions))
        except BrokerUnavailable as error:
            log.warning("the broker does not answer", cause=str(error))
            return False

    def _partitions(self) -> list[Any]:
        topic = self._settings.kafka.insights_topic
        return [tp for tp in self.app.consumer.assignment() if tp.topic == topic]

    def _watch_all(self) -> None:
        """After a start there may be products of which nothing has come yet: time passes for them, too."""
        for partition in self._partitions():
            self._watch(partition.partition)

    def _watch(self, partition: int) -> Watch:
        if partition not in self._watches:
            texts, hours, products = self._tables
            tables = Tables(
                PartitionTable(texts, partition, self._changelogs, states=False),
                PartitionTable(hours, partition, self._changelogs, states=False),
                PartitionTable(products, partition, self._changelogs, states=True),
            )
            self._watches[partition] = Watch(self._settings.alerts, tables, partition)
        return self._watches[partition]

    async def _forget(self, *_: object, **__: object) -> None:
        """Partitions move: what is known of them is read from the tables again."""
        await self._finish()
        async with self._one_at_a_time:
            self._changelogs.drop()
            self._watches.clear()

    async def _notify(self, event: Any) -> None:
        try:
            alert = Alert.model_validate_json(event.value)
        except ValidationError as error:
            log.warning("no alert; skipped", errors=error.error_count())
        else:
            await asyncio.to_thread(self._notifier.tell, alert)
        event.ack()


def run_alerts(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, ends cleanly. Raises `VoxpopError` when a part cannot be built or has to give up."""
    ensure_topics(settings.kafka)
    with connect(settings.clickhouse) as client:
        producer = AcknowledgedProducer(settings.kafka)
        publisher = AlertPublisher(settings, Writer(client, settings.clickhouse), producer)
        try:
            asyncio.run(_run(settings, publisher))
        finally:
            producer.close()
    log.info("alerts stopped")


async def _run(settings: Settings, publisher: AlertPublisher) -> None:
    app = AlertsApp(settings, publisher, Notifier(settings.alerts))
    loop = asyncio.get_running_loop()
    hurried: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: hurried.add(loop.create_task(app.hurry())))
    probes = Probes(healthy=lambda: app.healthy, ready=lambda: app.ready)
    with serving(probes, settings.alerts.http_host, settings.alerts.http_port):
        log.info("alerts started", topic=settings.kafka.insights_topic, window_hours=settings.alerts.window_hours)
        await app.run()

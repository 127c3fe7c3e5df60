"""The whole stack on one machine: embedded broker and ClickHouse, migrations, topics, workers, and a stream to run through.

Every part is a process of its own and ends with this one, however this one ends.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.embedded.broker import SESSION_TIMEOUT_MS, EmbeddedBroker
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.kafka import ApacheKafka
from workers.embedded.process import ChildProcess, free_port
from workers.errors import VoxpopError
from workers.settings import Settings, as_environment, usable_cpus
from workers.stack_alerts import StackAlerts, stack_alerts
from workers.stack_dashboard import StackDashboard, stack_dashboard
from workers.stack_digests import start_digests, write_digests
from workers.store.connect import connect
from workers.store.migrate import migrate
from workers.store.query import DigestLine, ProductRow, Reader
from workers.stream.lag import LagProbe
from workers.stream.produce import AcknowledgedProducer, Outgoing, Sent, produce_stream
from workers.stream.topics import ensure_topics

PROGRESS_S = 0.25
UNSEEN_S = 0.1  # between two looks at the lag when nobody is shown anything


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where the stream stands. `produced` counts messages in the topics, the next two rows in ClickHouse."""

    produced: int
    insights: int
    dead_letters: int
    lag: int
    elapsed_s: float
    finished: bool = False

    @property
    def rate(self) -> float:
        """Insights a second since the start."""
        return self.insights / self.elapsed_s if self.elapsed_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished stream came to, read back from ClickHouse. `resends` were left out as already stored."""

    produced: int
    insights: int
    dead_letters: int
    resends: int
    refused: int
    seconds: float
    alerts: int | None = None  # that opened; None when nobody watched for them


class Stack:
    """A running stack. `settings` are those of its parts, for anything else that wants to talk to them."""

    def __init__(
        self,
        settings: Settings,
        workers: list[ChildProcess],
        log_dir: Path,
        dashboard: StackDashboard | None = None,
        alerts: StackAlerts | None = None,
    ) -> None:
        self.settings = settings
        self.workers = workers
        self.dashboard = dashboard
        self.alerts = alerts
        self.log_dir = log_dir
        self.reader = Reader(connect(settings.clickhouse), settings.clickhouse)
        self._before = (0, 0)
        self._alerts_before = 0

    def products(self) -> list[ProductRow]:
        """The results table's rows, by SQL."""
        return self.reader.products()

    def digests(self, most: int) -> list[DigestLine]:
        """Digests of the newest windows that say most, by SQL."""
        return self.reader.digests(most)

    def write_digests(self) -> None:
        """Returns when the newest windows have digests. Raises `VoxpopError`."""
        write_digests(self.settings, self.log_dir, self._check_workers)

    def run_stream(
        self, messages: Iterable[Outgoing], on_progress: Callable[[Snapshot], None] | None = None
    ) -> Summary:
        """Produces the messages while the workers consume them; returns when every one is accounted for. Without
        `on_progress` ClickHouse is asked nothing meanwhile: counting costs computing, too.

        It counts what the tables gain, so nothing else may be under way. Raises `VoxpopError` when a worker ends or the
        broker fails.
        """
        started = time.monotonic()
        self._before = (self.reader.count("insights"), self.reader.count("dead_letters"))
        self._alerts_before = self.reader.alerts()
        feed = _Feed(messages, self.settings)
        feed.start()
        probe = LagProbe(self.settings.kafka)
        try:
            while True:
                self._check_workers()
                fed, sent = feed.finished, feed.sent  # in this order: once it has finished, `sent` is final
                lag = probe.behind(sent.ends, enough=math.inf if on_progress else 1)
                elapsed_s = time.monotonic() - started
                finished = fed and lag == 0
                if finished or on_progress is not None:
                    snapshot = self._snapshot(sent, lag, elapsed_s, finished=finished)
                if on_progress is not None:
                    on_progress(snapshot)
                if finished:
                    break
                time.sleep(PROGRESS_S if on_progress else UNSEEN_S)
        finally:
            feed.stop()
            probe.close()
        resends = snapshot.produced - snapshot.insights - snapshot.dead_letters
        seconds = round(snapshot.elapsed_s, 3)
        counts = (snapshot.produced, snapshot.insights, snapshot.dead_letters, resends, feed.sent.refused)
        return Summary(*counts, seconds, self._alerts_opened())

    def serve(self, until: threading.Event) -> None:
        """Goes on with digests; returns when `until` is set. Raises `VoxpopError` when a part ends by itself."""
        with start_digests(self.settings, self.log_dir) as digests:
            self.workers.append(digests)
            while not until.wait(PROGRESS_S):
                self._check_workers()
            self.workers.remove(digests)

    def _snapshot(self, sent: Sent, lag: int, elapsed_s: float, *, finished: bool) -> Snapshot:
        return Snapshot(
            produced=sent.acknowledged,
            insights=self.reader.count("insights") - self._before[0],
            dead_letters=self.reader.count("dead_letters") - self._before[1],
            lag=lag,
            elapsed_s=elapsed_s,
            finished=finished,
        )

    def _alerts_opened(self) -> int | None:
        if self.alerts is None:
            return None
        self.alerts.finish()
        return self.reader.alerts() - self._alerts_before

    def _check_workers(self) -> None:
        for part in (*self.workers, *([self.alerts.process] if self.alerts else [])):
            if not part.running:
                raise VoxpopError(f"{part.name} ended: {part.last_words()} (its log: {part.log_file})")


class _Feed(threading.Thread):
    """Produces in the background. `finished` raises what stopped it."""

    def __init__(self, messages: Iterable[Outgoing], settings: Settings) -> None:
        super().__init__(name="feed", daemon=True)
        self.sent = Sent()
        self._messages = messages
        self._settings = settings
        self._stopping = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            producer = AcknowledgedProducer(self._settings.kafka)
            try:
                produce_stream(producer, self._until_stopped(), self._settings.kafka, on_progress=self._note)
            finally:
                producer.close()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self._error = error

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=10)

    @property
    def finished(self) -> bool:
        if self.is_alive():
            return False
        if self._error:
            raise self._error
        return True

    def _until_stopped(self) -> Iterator[Outgoing]:
        for message in self._messages:
            if self._stopping.is_set():
                return
            yield message

    def _note(self, sent: Sent) -> None:
        self.sent = sent


@contextmanager
def running_stack(
    settings: Settings,
    data_dir: Path,
    *,
    workers: int = 1,
    broker: EmbeddedBroker | ApacheKafka | None = None,
    http_port: int | None = None,
    kafka_port: int = 0,
    clickhouse_port: int = 0,
    dashboard: bool = False,
    alerts: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Starts everything and stops it again. What ClickHouse holds stays in `data_dir`; ports of 0 are chosen freely.

    A `broker` that is given must run and is left running; without one an embedded broker is started. The `dashboard`
    takes the port of the settings, or a free one where that is taken.
    """
    if dashboard and http_port == 0:
        http_port = free_port(settings.worker.http_host)  # the dashboard asks the worker there
    logs = data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if broker is None:
            on_step("starting the broker")
            broker = stack.enter_context(EmbeddedBroker.start(logs / "broker.log", port=kafka_port))
        on_step("starting ClickHouse")
        clickhouse = stack.enter_context(
            EmbeddedClickHouse(
                data_dir / "clickhouse",
                port=clickhouse_port,
                password=settings.clickhouse.password.get_secret_value(),
                log_file=logs / "clickhouse.log",
            )
        )
        local = _local_settings(settings, broker, clickhouse)
        on_step("applying migrations, creating topics")
        migrate(local)
        ensure_topics(local.kafka)
        on_step("starting the workers")
        processes = [
            stack.enter_context(_start_worker(local, number, workers, http_port, logs))
            for number in range(1, workers + 1)
        ]
        watching = stack.enter_context(stack_alerts(local, logs)) if alerts else None
        screens = stack.enter_context(stack_dashboard(local, http_port, logs)) if dashboard else None
        yield Stack(local, processes, logs, screens, watching)


def _local_settings(
    settings: Settings, broker: EmbeddedBroker | ApacheKafka, clickhouse: EmbeddedClickHouse
) -> Settings:
    embedded = isinstance(broker, EmbeddedBroker)
    kafka = settings.kafka.model_copy(
        update={
            "bootstrap_servers": broker.bootstrap_servers,
            "session_timeout_ms": SESSION_TIMEOUT_MS if embedded else settings.kafka.session_timeout_ms,
            "security_protocol": "PLAINTEXT",
            "sasl_mechanism": None,
            "ssl_certfile": None,
            "ssl_keyfile": None,
        }
    )
    store = settings.clickhouse.model_copy(
        update={
            "host": clickhouse.host,
            "port": clickhouse.port,
            "username": clickhouse.username,
            "secure": False,
            "client_cert_file": None,
        }
    )
    return settings.model_copy(update={"kafka": kafka, "clickhouse": store})


def _start_worker(settings: Settings, number: int, workers: int, http_port: int | None, logs: Path) -> ChildProcess:
    model, worker = settings.model, settings.worker
    if model.replicas is None and workers > 1:
        model = model.model_copy(update={"replicas": max(1, usable_cpus() // workers)})
    if http_port is not None and number == 1:
        worker = worker.model_copy(update={"http_port": http_port})
    own = settings.model_copy(update={"model": model, "worker": worker, "state_dir": settings.state_dir.resolve()})
    command = [sys.executable, "-m", "workers.cli", "worker"]
    log_file = logs / f"worker-{number}.log"
    return ChildProcess(f"worker {number}", command, log_file=log_file, environment=as_environment(own), grace_s=40.0)

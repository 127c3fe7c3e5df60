"""The stack, once a session: a real broker, ClickHouse's real engine, the real pack.

The broker is the embedded one, or Apache Kafka with VOXPOP_TEST_BROKER=kafka.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from schemas.samples import gold_labels, sample_messages
from schemas.taxonomy import load_taxonomy
from tests.by_hand import WINDOW, Rows, empty
from tests.conftest import StartKafka
from workers.analyze.judge import Judge
from workers.analyze.redact import Redactor
from workers.embedded.broker import SESSION_TIMEOUT_MS
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.settings import ClickHouseSettings, KafkaSettings, Settings, WorkerSettings, load_settings
from workers.slm.build import ensure_pack
from workers.stack import Stack, running_stack
from workers.store.migrate import migrate
from workers.stream.produce import Outgoing

Ran = subprocess.CompletedProcess[str]
Voxpop = Callable[..., Ran]

StartStack = Callable[[Path, int], AbstractContextManager[Stack]]


_running: list[Stack] = []
LAST_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells what the parts of the stack wrote last: where it happens, nobody may be there to look."""
    report = yield
    if report.failed:
        for log_file in sorted(log for stack in _running for log in stack.log_dir.glob("*.log")):
            lines = log_file.read_text(errors="replace").splitlines()[-LAST_LINES:]
            report.sections.append((f"last lines of {log_file.name}", "\n".join(lines)))
    return report


def on_apache_kafka() -> bool:
    """Whether the stack's broker is to be Apache Kafka."""
    return os.environ.get("VOXPOP_TEST_BROKER", "embedded") == "kafka"


@pytest.fixture(scope="session")
def start_stack(request: pytest.FixtureRequest) -> StartStack:
    """Starts a stack of its own, broker included: (directory, workers) -> context manager."""
    if not on_apache_kafka():
        return lambda directory, workers: running_stack(Settings(), directory, workers=workers, http_port=0)
    start_kafka: StartKafka = request.getfixturevalue("start_kafka")
    settings = Settings(kafka=KafkaSettings(session_timeout_ms=SESSION_TIMEOUT_MS))

    @contextmanager
    def started(directory: Path, workers: int) -> Iterator[Stack]:
        with (
            start_kafka(directory) as kafka,
            running_stack(settings, directory, workers=workers, broker=kafka, http_port=0) as running,
        ):
            yield running

    return started


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, start_stack: StartStack) -> Iterator[Stack]:
    """Broker, ClickHouse and one worker, on ports of their own, over a new data directory."""
    with start_stack(tmp_path_factory.mktemp("stack"), 1) as running:
        _running.append(running)
        yield running
        _running.remove(running)


@pytest.fixture(scope="session")
def sample(stack: Stack) -> Stack:
    """The stack after the sample stream has run through it. What other tests send has the source "test"."""
    messages = [Outgoing(message.topic, message.key, message.value) for message in sample_messages()]
    summary = stack.run_stream(messages)
    assert (summary.produced, summary.insights) == (len(messages), len(gold_labels()))
    stack.write_digests()
    return stack


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    """What a command line needs to reach that stack."""
    return {
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": stack.settings.kafka.bootstrap_servers,
        "VOXPOP_KAFKA__SESSION_TIMEOUT_MS": "6000",
        "VOXPOP_CLICKHOUSE__PORT": str(stack.settings.clickhouse.port),
        "VOXPOP_STATE_DIR": str(Path(".voxpop").resolve()),
    }


@pytest.fixture(scope="session")
def voxpop() -> Voxpop:
    """Runs `voxpop …` as a user's shell does. `environment` is added to this process's own."""

    def run(*words: str, environment: dict[str, str] | None = None, timeout_s: float = 60) -> Ran:
        command = [sys.executable, "-m", "workers.cli", *words]
        variables = os.environ | {"COLUMNS": "200"} | (environment or {})
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=variables, check=False)

    return run


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """The default pack over the shipped taxonomy."""
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    with closing(Judge(pack, load_taxonomy(), Redactor(), b"salt", replicas=2)) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """A ClickHouse of the module's own: its tests may kill it, as long as they start it again."""
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="module")
def migrated(server: EmbeddedClickHouse) -> Settings:
    """The smallest deduplication window, and retries that do not wait long."""
    made = Settings(
        clickhouse=ClickHouseSettings(port=server.port, deduplication_window=WINDOW),
        worker=WorkerSettings(insert_retry_max_s=0.1),
    )
    migrate(made)
    return made


@pytest.fixture
def settings(migrated: Settings) -> Settings:
    """Over empty tables."""
    empty(migrated)
    return migrated


@pytest.fixture
def rows(settings: Settings) -> Rows:
    """What is in the tables of the test's `settings`."""
    return Rows(settings)

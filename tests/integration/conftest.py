"""The stack, once a session: a real broker, ClickHouse's real engine, the real pack.

The broker is the embedded one, or Apache Kafka with VOXPOP_TEST_BROKER=kafka.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from schemas.samples import gold_labels, sample_messages
from tests.conftest import StartKafka
from workers.embedded.broker import SESSION_TIMEOUT_MS
from workers.settings import KafkaSettings, Settings
from workers.stack import Stack, running_stack
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
    summary = stack.run_stream(messages, lambda _: None)
    assert (summary.produced, summary.insights) == (len(messages), len(gold_labels()))
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

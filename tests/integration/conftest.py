"""The stack, once a session: a real broker, ClickHouse's real engine, the real pack.

The broker is the embedded one, or Apache Kafka with VOXPOP_TEST_BROKER=kafka.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartKafka
from workers.embedded.broker import SESSION_TIMEOUT_MS
from workers.settings import KafkaSettings, Settings
from workers.stack import Stack, running_stack

StartStack = Callable[[Path, int], AbstractContextManager[Stack]]


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
        yield running


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    """What a command line needs to reach that stack."""
    return {
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": stack.settings.kafka.bootstrap_servers,
        "VOXPOP_KAFKA__SESSION_TIMEOUT_MS": "6000",
        "VOXPOP_CLICKHOUSE__PORT": str(stack.settings.clickhouse.port),
        "VOXPOP_STATE_DIR": str(Path(".voxpop").resolve()),
    }

"""The embedded stack, once a session: a real broker, ClickHouse's real engine, the real pack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.settings import Settings
from workers.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Broker, ClickHouse and one worker, on ports of their own, over a new data directory."""
    with running_stack(Settings(), tmp_path_factory.mktemp("stack"), http_port=0) as running:
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

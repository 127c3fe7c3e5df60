"""Apache Kafka itself, once a session."""

from collections.abc import Iterator

import pytest

from tests.conftest import StartKafka
from workers.embedded.kafka import ApacheKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, start_kafka: StartKafka) -> Iterator[ApacheKafka]:
    """A node of its own, on a free port, over a new directory."""
    with start_kafka(tmp_path_factory.mktemp("apache-kafka")) as running:
        yield running

"""Brokers for every suite: Apache Kafka where it is asked for and can run."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.token_endpoint import TokenEndpoint
from workers.embedded.kafka import ApacheKafka, missing_for_kafka

StartKafka = Callable[[Path], AbstractContextManager[ApacheKafka]]


@pytest.fixture(scope="session")
def start_kafka() -> StartKafka:
    """Starts an Apache Kafka of its own in a directory. Skips what needs it where it cannot run, unless it must."""
    missing = missing_for_kafka()
    if missing and os.environ.get("VOXPOP_REQUIRE_KAFKA") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    often = {"log.cleaner.backoff.ms": "100"}  # a compacted topic is compacted while a test waits for it
    return lambda directory: ApacheKafka.start(directory / "kafka", directory / "kafka.log", config=often)


@pytest.fixture
def tokens() -> Iterator[TokenEndpoint]:
    """A token endpoint that knows nobody yet."""
    with TokenEndpoint() as endpoint:
        yield endpoint

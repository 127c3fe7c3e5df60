"""Produces what a block gives and waits until the broker has it."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.future import Future

from workers.settings import KafkaSettings
from workers.stream.connect import ENVELOPE_BYTES, BrokerUnavailable, connect_producer


class Outgoing(NamedTuple):
    """A message to produce. `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class AcknowledgedProducer:
    """Sends messages and returns when every one is acknowledged by all in-sync replicas. Safe for many threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: KafkaProducer = connect_producer(settings)

    def send_all(self, messages: Iterable[Outgoing], *, timeout_s: float = 60.0) -> dict[TopicPartition, int]:
        """Partition -> one past the last offset given. Raises `BrokerUnavailable`; send all of them again then."""
        ends: dict[TopicPartition, int] = {}
        try:
            futures: list[Future] = [self._send(message) for message in messages]
            for future in futures:
                metadata = future.get(timeout=timeout_s)
                partition = TopicPartition(metadata.topic, metadata.partition)
                ends[partition] = max(ends.get(partition, 0), metadata.offset + 1)
        except KafkaError as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise BrokerUnavailable(
                f"the broker at {self._settings.bootstrap_servers} did not acknowledge a message ({said[:160]})"
            ) from error
        return ends

    def _send(self, message: Outgoing) -> Future:
        return self._producer.send(
            message.topic, key=message.key, value=message.value, headers=list(message.headers) or None
        )

    def close(self) -> None:
        """Gives up what is not acknowledged yet after five seconds."""
        self._producer.close(timeout=5)


CHUNK = 500  # acknowledged together: what is in doubt when the broker goes away


class Sent(NamedTuple):
    """What became of a stream of messages: `acknowledged` are in the topic, `refused` were too large to be taken.

    `ends`: partition -> one past the last offset given.
    """

    acknowledged: int = 0
    refused: int = 0
    ends: Mapping[TopicPartition, int] = MappingProxyType({})


def produce_stream(
    producer: AcknowledgedProducer,
    messages: Iterable[Outgoing],
    settings: KafkaSettings,
    *,
    rate: float | None = None,
    on_progress: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Sends a stream of any length in order, at most `rate` messages a second. Raises `BrokerUnavailable`."""
    sent = Sent()
    started = time.monotonic()
    stream = iter(messages)
    size = CHUNK if rate is None else max(1, min(CHUNK, int(rate / 10)))
    while chunk := list(itertools.islice(stream, size)):
        fitting = [message for message in chunk if _fits(message, settings)]
        ends = producer.send_all(fitting)
        refused = len(chunk) - len(fitting)
        sent = Sent(sent.acknowledged + len(fitting), sent.refused + refused, {**sent.ends, **ends})
        on_progress(sent)
        if rate is not None:
            ahead_s = (sent.acknowledged + sent.refused) / rate - (time.monotonic() - started)
            time.sleep(max(0.0, ahead_s))
    return sent


def _fits(message: Outgoing, settings: KafkaSettings) -> bool:
    """Whether a topic takes it. What is too large for an event but fits here becomes a dead letter, which is an answer."""
    return len(message.key or b"") + len(message.value or b"") <= settings.max_message_bytes + ENVELOPE_BYTES // 2

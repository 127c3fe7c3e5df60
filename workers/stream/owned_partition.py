"""What a worker knows of a partition that it owns, and what the coordinator has said about who owns which."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener

from workers.stream.blocks import Block, Message


@dataclass(slots=True)
class OwnedPartition:
    """What this worker knows of a partition it owns. `first` is the committed offset: where the next block begins."""

    epoch: int
    topic_id: str
    first: int
    declared_end: int | None
    buffer: deque[Message] = field(default_factory=deque)
    buffered_bytes: int = 0
    waiting_since: float = 0.0
    in_flight: Block | None = None
    position: int = 0
    seen_id: str = ""  # of the topic, by the consumer's own metadata, which may be older or newer than `topic_id`

    def append(self, message: Message) -> None:
        if not self.buffer:
            self.waiting_since = time.monotonic()
        self.buffer.append(message)
        self.buffered_bytes += message.size


class RebalanceLog(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the coordinator says. Its methods run on the client's own thread, so they only note."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: list[tuple[bool, frozenset[TopicPartition]]] = []

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._notes.append((False, frozenset(revoked)))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._notes.append((True, frozenset(assigned)))

    def take(self) -> list[tuple[bool, frozenset[TopicPartition]]]:
        """The notes since the last call: (assigned?, partitions), in order."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

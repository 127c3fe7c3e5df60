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
    """What this worker knows of a partition it owns. `first` is the committed offset: where the next block begins.
    `waiting_since` is when the buffer's first message came, or when the buffer was emptied; `arrivals` are the first offset
    and the time of what came together, for each lot that the buffer holds some of."""

    epoch: int
    topic_id: str
    first: int
    declared_end: int | None
    buffer: deque[Message] = field(default_factory=deque)
    buffered_bytes: int = 0
    waiting_since: float = 0.0
    arrivals: deque[tuple[int, float]] = field(default_factory=deque)
    in_flight: Block | None = None
    position: int = 0
    seen_id: str = ""  # of the topic, by the consumer's own metadata, which may be older or newer than `topic_id`

    def arrived(self, offset: int) -> None:
        """Messages from this offset on come now."""
        now = time.monotonic()
        self.arrivals.append((offset, now))
        if not self.buffer:
            self.waiting_since = now

    def append(self, message: Message) -> None:
        self.buffer.append(message)
        self.buffered_bytes += message.size

    def taken(self) -> None:
        """Messages have been taken off the buffer's front."""
        first = self.buffer[0].offset if self.buffer else None
        while self.arrivals and (first is None or (len(self.arrivals) > 1 and self.arrivals[1][0] <= first)):
            self.arrivals.popleft()
        self.waiting_since = self.arrivals[0][1] if self.arrivals else time.monotonic()


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

"""Sends the known stream while the faults happen."""

import threading
import time

from kafka import TopicPartition
from kafka.errors import KafkaError

from workers.chaos.known_stream import KnownStream
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.stream.connect import BrokerUnavailable
from workers.stream.produce import AcknowledgedProducer


class Feed(threading.Thread):
    """Produces the stream at an even rate, through outages of the broker: what was not acknowledged is sent again."""

    def __init__(self, stream: KnownStream, settings: Settings, *, events: int, rate: float) -> None:
        super().__init__(name="chaos-feed", daemon=True)
        self._stream, self._settings, self._events, self._rate = stream, settings, events, rate
        self._allowed = 0.0
        self.sent = 0
        self.ends: dict[TopicPartition, int] = {}
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._produce()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self._error = error

    def allow(self, share: float) -> None:
        """How much of the stream may have been sent."""
        self._allowed = share

    def raise_what_stopped_it(self) -> None:
        """Raises what ended the feed early, if anything did."""
        if self._error is not None:
            raise VoxpopError(f"the feed of the chaos run ended early: {self._error}") from self._error

    def _produce(self) -> None:
        due = time.monotonic()
        producer = AcknowledgedProducer(self._settings.kafka)
        messages = iter(self._stream)
        try:
            while chunk := [m for _, m in zip(range(max(1, int(self._rate / 10))), messages, strict=False)]:
                while True:
                    try:
                        ends = producer.send_all(chunk, timeout_s=10)
                        break
                    except (BrokerUnavailable, KafkaError):
                        time.sleep(0.2)
                for partition, end in ends.items():
                    self.ends[partition] = max(end, self.ends.get(partition, 0))
                self.sent += len(chunk)
                while self.sent > self._allowed * self._events:
                    time.sleep(0.05)
                due = max(time.monotonic(), due + len(chunk) / self._rate)
                time.sleep(max(0.0, due - time.monotonic()))
        finally:
            producer.close()

"""How far a group has come: messages in the source topics, and how many of them its commits have passed."""

from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from workers.settings import KafkaSettings
from workers.stream.connect import client_config, unavailable


class Progress(NamedTuple):
    """Message counts over all partitions of the source topics. `lag` = `produced` - `committed`."""

    produced: int
    committed: int

    @property
    def lag(self) -> int:
        return self.produced - self.committed


class LagProbe:
    """Asks the broker; belongs to no group, so it disturbs none. One thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Raises `BrokerUnavailable`."""
        self._settings = settings
        try:
            # A group id lets it read the group's commits; it never subscribes, so it never joins.
            self._consumer = KafkaConsumer(
                **client_config(settings), group_id=settings.group_id, enable_auto_commit=False
            )
        except KafkaError as error:
            raise unavailable(settings, error) from error

    def progress(self) -> Progress:
        """The counts now. Raises `BrokerUnavailable`."""
        try:
            partitions = [
                TopicPartition(topic, number)
                for topic in self._settings.topics
                for number in sorted(self._consumer.partitions_for_topic(topic) or ())
            ]
            begins = self._consumer.beginning_offsets(partitions)
            ends = self._consumer.end_offsets(partitions)
            committed = {p: self._consumer.committed(p) for p in partitions}
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        produced = sum(ends[p] - begins[p] for p in partitions)
        passed = sum(max(0, (committed[p] or begins[p]) - begins[p]) for p in partitions)
        return Progress(produced, passed)

    def close(self) -> None:
        self._consumer.close(autocommit=False)

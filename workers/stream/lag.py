"""How far a group has come towards offsets that a producer was told.

The ends are the producer's own acknowledgements, not the broker's answer to "what is the latest offset?": the embedded
broker (Tansu 0.6) answers with the *first* offset of the last batch, so up to a batch of messages would be overlooked.
"""

import math
import time
from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from workers.settings import KafkaSettings
from workers.stream.connect import client_config, unavailable

READ_ON_MS = 500
ANSWER_S = 30.0
ANY_BATCH = 1_000_000  # messages: as many as one answer can hold


class LagProbe:
    """Asks the group coordinator; never joins the group, so it disturbs nobody. One thread at a time."""

    def __init__(self, settings: KafkaSettings, group_id: str | None = None) -> None:
        """Of the workers' group, if no other is named. Raises `BrokerUnavailable`."""
        self._settings = settings
        try:
            self._consumer = KafkaConsumer(
                **client_config(settings), group_id=group_id or settings.group_id, enable_auto_commit=False
            )
        except KafkaError as error:
            raise unavailable(settings, error) from error

    def behind(self, ends: Mapping[TopicPartition, int], *, enough: float = math.inf) -> int:
        """How many messages below these ends (partition -> one past its last offset) the group has not committed. Asks of
        no more partitions when that are `enough`. Raises `BrokerUnavailable`."""
        behind = 0
        try:
            for partition, end in ends.items():
                behind += max(0, end - (self._consumer.committed(partition) or 0))
                if behind >= enough:
                    break
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        return behind

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Partition -> one past its last message; see `ends_of`."""
        return self.ends_of(
            [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
        )

    def ends_of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Partition -> one past the last message it had when asked, or a later one. Reads the last batch, from where the
        broker says that the end is: see above.

        Raises `BrokerUnavailable`, also when a partition is not answered for in `ANSWER_S` seconds.
        """
        try:
            ends: dict[TopicPartition, int] = dict(self._consumer.end_offsets(list(partitions)))
            self._consumer.assign(list(ends))
            for partition, end in ends.items():
                self._consumer.seek(partition, end)
            asked, give_up = set(ends), time.monotonic() + ANSWER_S
            while asked:
                self._consumer.poll(timeout_ms=READ_ON_MS, max_records=ANY_BATCH)
                answered = {each for each in asked if self._consumer.highwater(each) is not None}
                ends |= {partition: self._consumer.position(partition) for partition in answered}
                self._consumer.pause(*answered)
                asked -= answered
                if asked and time.monotonic() > give_up:
                    raise KafkaTimeoutError(f"no answer for {len(asked)} partitions in {ANSWER_S:.0f} s")
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        return ends

    def close(self) -> None:
        self._consumer.close(autocommit=False)

"""How far a group has come towards offsets that a producer was told.

The ends are the producer's own acknowledgements, not the broker's answer to "what is the latest offset?": the embedded
broker (Tansu 0.6) answers with the *first* offset of the last batch, so up to a batch of messages would be overlooked.
"""

from collections.abc import Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from workers.settings import KafkaSettings
from workers.stream.connect import client_config, unavailable

READ_ON_MS = 500  # without a message for so long, there is none


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

    def behind(self, ends: Mapping[TopicPartition, int]) -> int:
        """How many messages below these ends (partition -> one past its last offset) the group has not committed.

        Raises `BrokerUnavailable`.
        """
        try:
            committed = {partition: self._consumer.committed(partition) or 0 for partition in ends}
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        return sum(max(0, end - committed[partition]) for partition, end in ends.items())

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Partition -> one past its last message. Reads on from what the broker says, which may be too little: see above.

        Raises `BrokerUnavailable`.
        """
        try:
            partitions = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
            ends = dict(self._consumer.end_offsets(partitions))
            self._consumer.assign(partitions)
            for partition in partitions:
                self._consumer.seek(partition, ends[partition])
            while read := self._consumer.poll(timeout_ms=READ_ON_MS):
                for partition, messages in read.items():
                    ends[partition] = messages[-1].offset + 1
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        return ends

    def close(self) -> None:
        self._consumer.close(autocommit=False)

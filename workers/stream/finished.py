"""Which positions lie in blocks that are finished: nobody will insert anything of them again."""

from collections.abc import Collection

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.insights import Position
from workers.settings import KafkaSettings
from workers.stream.connect import client_config, unavailable
from workers.stream.topics import topic_ids


class FinishedBlocks:
    """Asks the group coordinator; never joins the group. One thread at a time. Methods raise `BrokerUnavailable`.

    An offset is committed only once its block is in ClickHouse, so what lies below the committed offset is finished, and
    stays so. So is what lies in a topic that is gone or was made anew, and in a partition of which the group has committed
    nothing: a block that is declared has its first offset committed.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic_ids = topic_ids(settings)
        try:
            self._consumer = KafkaConsumer(
                **client_config(settings), group_id=settings.group_id, enable_auto_commit=False
            )
        except KafkaError as error:
            raise unavailable(settings, error) from error

    def among(self, positions: Collection[Position]) -> set[Position]:
        """Those of the positions that lie in finished blocks."""
        present = [p for p in positions if self._topic_ids.get(p.topic) == p.topic_id]
        committed = {partition: self._committed(partition) for partition in {_partition_of(p) for p in present}}
        unfinished = {p for p in present if (end := committed[_partition_of(p)]) is not None and p.offset >= end}
        return set(positions) - unfinished

    def close(self) -> None:
        self._consumer.close(autocommit=False)

    def _committed(self, partition: TopicPartition) -> int | None:
        try:
            committed: int | None = self._consumer.committed(partition)
        except KafkaError as error:
            raise unavailable(self._settings, error) from error
        return committed


def _partition_of(position: Position) -> TopicPartition:
    return TopicPartition(position.topic, position.partition)

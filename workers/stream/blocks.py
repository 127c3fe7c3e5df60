"""Blocks: the unit of exactly-once delivery.

A block is one contiguous range of offsets [first, end) of one partition. ClickHouse drops an insert whose deduplication
token it has seen, so a block may be inserted any number of times, provided that whoever repeats it repeats exactly that
range. Hence *declare before you insert*:

1. declare: commit, through the group coordinator, `first` for the partition and `end` for the same partition of the
   topic's intents topic. Both offsets travel in one OffsetCommit request and are fenced by the group's generation: a
   worker that has lost the partition cannot declare.
2. insert the rows under the block's token, then dead letters and the produced messages, all acknowledged.
3. finish: commit `end` for the partition. In steady state the same commit declares the next block.

A new owner reads both offsets. When the declared end lies beyond the committed offset, a block is in doubt, and the owner
repeats exactly [committed, declared end) before it cuts blocks of its own.

Apache Kafka could carry the intent in the commit's metadata string; the embedded broker drops that string. Offsets of an
intents topic work on both, so there is one way. Kafka forgets offsets of a topic that nobody subscribes to after
`offsets.retention.minutes` (7 days) without a commit: by then the declared end has long been committed, and a missing
intent means just that. A partition that waits longer than that in the middle of one block is the exception.

Where the guarantee ends: the token must still be among the `non_replicated_deduplication_window` latest of each table when
a block is repeated. The embedded broker keeps everything in memory, so there its own end is the end of the stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from workers.stream.topics import intents_topic


@dataclass(frozen=True, slots=True)
class Message:
    """One record as it lay in the topic: bytes, untouched. `timestamp_ms` is the broker's or the producer's."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int = 0

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Block:
    """Offsets [first, end) of one partition and the messages found there (fewer than end - first where offsets have gaps).

    `epoch` counts the assignments of the partition to this worker; a block of an older epoch is no longer ours to finish.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    end: int
    messages: tuple[Message, ...]
    epoch: int = 0

    @property
    def token(self) -> str:
        """The deduplication token. The topic's id keeps a topic that was deleted and made anew apart from the old one."""
        return f"{self.topic}:{self.partition}:{self.first}:{self.end}:{self.topic_id}"

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def covers(self, topic: str, topic_id: str, partition: int, offset: int) -> bool:
        """Whether a position lies in this very block."""
        same = (topic, topic_id, partition) == (self.topic, self.topic_id, self.partition)
        return same and self.first <= offset < self.end


def intent_partition(partition: TopicPartition) -> TopicPartition:
    """Where the declared end of a partition's block is committed."""
    return TopicPartition(intents_topic(partition.topic), partition.partition)


def settlement(done: Iterable[Block], declared: Iterable[Block]) -> dict[TopicPartition, OffsetAndMetadata]:
    """The one commit that finishes the blocks `done` and declares the blocks `declared`."""
    offsets: dict[TopicPartition, OffsetAndMetadata] = {}
    for block in done:
        offsets[block.topic_partition] = OffsetAndMetadata(block.end, "", -1)
    for block in declared:
        offsets[block.topic_partition] = OffsetAndMetadata(block.first, "", -1)
        offsets[intent_partition(block.topic_partition)] = OffsetAndMetadata(block.end, "", -1)
    return offsets

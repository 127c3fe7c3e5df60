"""Blocks: the unit of exactly-once delivery.

A block is one contiguous range of offsets [first, end) of one partition. ClickHouse drops an insert whose deduplication
token it has seen, so a block may be inserted any number of times, provided that whoever repeats it repeats exactly that
range. Hence *declare before you insert*:

1. declare: commit, through the group coordinator, `first` for the partition and, for its two partitions of the topic's
   intents topic, `first` and `end`. The offsets travel in one OffsetCommit request and are fenced by the group's
   generation: a worker that has lost the partition cannot declare. Declaring grants a lease.
2. insert the rows under the block's token while the lease runs, then dead letters and the produced messages, all
   acknowledged. A block that takes longer is declared again, which the coordinator refuses when the partition is lost.
3. finish: commit `end` for the partition. In steady state the same commit declares the next block.

A new owner reads all three. When the committed offset is the declared first, a block is in doubt, and the owner repeats
exactly [declared first, declared end) before it cuts blocks of its own. A declaration that begins anywhere else means
nothing: its block was finished, or an operator has reset the offset, or the topic was made anew. What is read again then is
cut anew, under other tokens, and the resend check keeps it from counting twice.

Why a lease: tokens are remembered for the latest so-and-so many inserts, not for ever. A worker that is stopped between
declaring and inserting, and wakes when others have written more than that, would insert its block a second time. So each
row carries the time at which its block's lease ends, and a constraint of the table refuses it afterwards, by ClickHouse's
own clock (`lease_until`; `workers/store/server_clock.py`). No check before the insert could do that: the worker can be
stopped between any check and the insert.

What is guaranteed where. Apache Kafka keeps committed offsets on disk; with it the guarantee holds through the death of any
worker, of ClickHouse and of the broker. The embedded broker keeps the same offsets under the same fencing, but in memory:
there the guarantee holds through the death of workers and of ClickHouse, and the broker's end is the end of the stream.
Apache Kafka could carry the intent in the commit's metadata string, which the embedded broker drops; offsets of an intents
topic work on both, so there is one way. Kafka forgets offsets of a topic that nobody subscribes to
`offsets.retention.minutes` (7 days) after their last commit; a block that is in doubt for longer than that, while the group
lives on, is cut anew, and only the resend check still holds its rows back.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from workers.stream.topics import INTENTS_EACH, intents_topic


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


def now_s() -> float:
    """Seconds on a clock that never goes back and, where the system has one, goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(slots=True)
class Lease:
    """The right to insert a declared block. `declared_at` is on the clock of `now_s`, read before the coordinator was asked,
    and moves on when the block is declared again; `lost` is final. Written by the Kafka thread, read by the block thread.
    """

    declared_at: float = 0.0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Offsets [first, end) of one partition and the messages found there (fewer than end - first where offsets have gaps).

    `epoch` counts the assignments of the partition to this worker; a block of an older epoch is no longer ours to finish.
    `repeated` tells that a former owner declared this block and may have inserted it, wholly or in part.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    end: int
    messages: tuple[Message, ...]
    epoch: int = 0
    repeated: bool = False
    lease: Lease = field(default_factory=Lease, compare=False)

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


def intent_partitions(partition: TopicPartition) -> tuple[TopicPartition, TopicPartition]:
    """Where the first offset and the end of a partition's declared block are committed."""
    topic, number = intents_topic(partition.topic), INTENTS_EACH * partition.partition
    return TopicPartition(topic, number), TopicPartition(topic, number + 1)


def settlement(done: Iterable[Block], declared: Iterable[Block]) -> dict[TopicPartition, OffsetAndMetadata]:
    """The one commit that finishes the blocks `done` and declares the blocks `declared`."""
    offsets: dict[TopicPartition, OffsetAndMetadata] = {}
    for block in done:
        offsets[block.topic_partition] = OffsetAndMetadata(block.end, "", -1)
    for block in declared:
        first, end = intent_partitions(block.topic_partition)
        offsets[block.topic_partition] = offsets[first] = OffsetAndMetadata(block.first, "", -1)
        offsets[end] = OffsetAndMetadata(block.end, "", -1)
    return offsets

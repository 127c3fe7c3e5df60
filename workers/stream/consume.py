"""Reads topics block by block. One thread owns the consumer; nothing here knows what a message means."""

import time
from collections.abc import Iterable, Sequence

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    RetriableError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from workers import metrics
from workers.failpoints import failpoint
from workers.settings import KafkaSettings, WorkerSettings
from workers.stream.blocks import Block, Message, intent_partitions, now_s, settlement
from workers.stream.connect import BrokerUnavailable, client_config, unavailable
from workers.stream.header_names import accept_any_header_name
from workers.stream.owned_partition import OwnedPartition, RebalanceLog
from workers.stream.pace import Pace
from workers.stream.topics import present_topics

log = structlog.get_logger(__name__)

IDLE_S = 1.0  # a partition without messages for so long is finished up to where it has been read
BUFFERED_BLOCKS = 2  # a partition that holds so many blocks' messages is paused until one is cut
LARGEST_BLOCK = 10_000  # messages: no worker ever declares a larger one (WorkerSettings.block_records)
COMMIT_TIMEOUT_MS = 10_000
# How long the group waits for a member to join again. This thread always comes round soon; the embedded broker was seen to
# wait that long for one that had died while the group was joining.
REBALANCE_MS = 10_000
JOIN_S = 0.5  # how long a poll may take while the group is joined: nothing arrives and nothing is committed meanwhile
_FENCED = (CommitFailedError, FencedInstanceIdError, IllegalGenerationError, UnknownMemberIdError)


class BlockConsumer:
    """Polls, buffers, pauses, cuts blocks, and settles them with the group coordinator.

    Call from one thread only: `poll` often (at least every `max_poll_interval_ms`), `cut` when there is capacity,
    `settle` to finish blocks and declare the next ones. Raises `BrokerUnavailable` when no broker answers at the start.
    """

    def __init__(self, kafka: KafkaSettings, worker: WorkerSettings) -> None:
        self._settings = kafka
        self._worker = worker
        self._partitions: dict[TopicPartition, OwnedPartition] = {}
        self._unloaded: set[TopicPartition] = set()
        self._made_anew: set[TopicPartition] = set()
        self._epoch = 0
        self._pace = Pace()
        self._rebalances = RebalanceLog()
        accept_any_header_name()
        try:
            self._consumer = KafkaConsumer(
                **client_config(kafka),
                group_id=kafka.group_id,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=kafka.session_timeout_ms,
                heartbeat_interval_ms=max(500, kafka.session_timeout_ms // 6),
                max_poll_interval_ms=max(REBALANCE_MS, kafka.session_timeout_ms),
                partition_assignment_strategy=(CooperativeStickyAssignor,),
                max_poll_records=worker.block_records,
                allow_auto_create_topics=False,
            )
        except KafkaError as error:
            raise unavailable(kafka, error) from error
        self._consumer.subscribe(topics=kafka.topics, listener=self._rebalances)

    @property
    def assigned(self) -> int:
        """How many partitions this worker owns and has loaded."""
        return len(self._partitions)

    @property
    def _most(self) -> int:
        """Messages of a block, for now."""
        return self._worker.block_limit(self._pace.a_second, len(self._partitions))

    def poll(self, timeout_s: float) -> None:
        """Takes what has arrived into the buffers, waiting `timeout_s` seconds for something, `JOIN_S` for the group."""
        self._pause_and_resume()
        self._let_go_of_spent_records()
        if self._see_join_through():
            timeout_s = max(timeout_s, JOIN_S)
        try:
            records = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        except RetriableError as error:
            log.warning("the broker does not answer; trying again", error=repr(error))
            time.sleep(timeout_s)
            return
        self._follow_rebalances()
        self._notice_new_topics()
        for partition, batch in records.items():
            state = self._partitions.get(partition)
            if state is None:
                continue  # not loaded yet: loading seeks back to the committed offset, so nothing is lost
            if batch[0].offset < state.position:
                self._read_anew(partition)
                continue
            if batch[0].offset > state.position:
                self._look_for_loss(partition, state)
            state.arrived(batch[0].offset)
            for record in batch:
                state.append(_message(record))
            state.position = self._read_up_to(partition, batch[-1].offset + 1)
        self._load_assigned()
        self._measure()

    def cut(self) -> list[Block]:
        """At most one block a partition: those that are full, have waited long enough, or are owed from a declaration."""
        blocks = (self._cut(partition, state) for partition, state in self._partitions.items())
        return [block for block in blocks if block is not None]

    def settle(self, done: Sequence[Block], declared: Sequence[Block]) -> list[Block]:
        """Finishes `done` and declares `declared` in one commit. Returns the declared blocks that are ours to insert.

        Blocks of partitions lost meanwhile are left out: their new owner repeats them. When the coordinator refuses or
        does not answer, none is ours; their partitions are read again from the coordinator's own word.
        """
        done = [block for block in done if self._owns(block)]
        declared = [block for block in declared if self._owns(block)]
        offsets = settlement(done, declared)
        if not offsets:
            return []
        asked_at = now_s()
        failpoint("committing")
        try:
            self._commit(offsets)
        except KafkaError as error:
            log.warning("commit refused; the partitions are read again", error=repr(error))
            for block in (*done, *declared):
                self._forget(block.topic_partition)
            return []
        failpoint("committed")
        if done:
            self._pace.finished(sum(len(block.messages) for block in done))
        for block in done:
            self._advance(block)
        for block in declared:
            state = self._partitions[block.topic_partition]
            block.lease.declared_at = asked_at
            state.in_flight, state.declared_end = block, None
            self._drop_taken(state, block)
        return declared

    def renew(self, in_hand: Sequence[Block], *, older_than_s: float) -> None:
        """Declares those of the blocks in hand again that were declared longer ago, so that their leases go on.

        When the coordinator refuses, their leases are lost. When it does not answer they run on until they end.
        """
        due = [b for b in in_hand if self._owns(b) and now_s() - b.lease.declared_at >= older_than_s]
        if not due:
            return
        asked_at = now_s()
        try:
            self._commit(settlement((), due))
        except _FENCED as error:
            log.warning("lease refused; the partitions are read again", error=repr(error))
            for block in due:
                self._forget(block.topic_partition)
        except KafkaError as error:
            log.warning("lease not renewed yet; trying again", error=repr(error))
        else:
            for block in due:
                block.lease.declared_at = asked_at

    def close(self) -> None:
        """Leaves the group at once, so that its partitions find a new owner without waiting for a timeout."""
        self._consumer.close(autocommit=False, timeout_ms=5_000)

    def _commit(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self._consumer.commit(offsets, timeout_ms=COMMIT_TIMEOUT_MS)

    def _owns(self, block: Block) -> bool:
        state = self._partitions.get(block.topic_partition)
        return state is not None and state.epoch == block.epoch

    def _advance(self, block: Block) -> None:
        state = self._partitions[block.topic_partition]
        state.first, state.in_flight = block.end, None

    @staticmethod
    def _drop_taken(state: OwnedPartition, block: Block) -> None:
        for message in block.messages:
            state.buffer.popleft()
            state.buffered_bytes -= message.size
        state.taken()

    def _cut(self, partition: TopicPartition, state: OwnedPartition) -> Block | None:
        first = state.in_flight.end if state.in_flight else state.first
        if state.declared_end is not None:
            return self._cut_owed(partition, state, first, state.declared_end)
        if not state.buffer:
            return self._cut_unseen(partition, state, first)
        if not self._is_due(state):
            return None
        taken: list[Message] = []
        size, most = 0, self._most
        for message in state.buffer:
            if len(taken) == most or (taken and size + message.size > self._worker.block_bytes):
                break
            taken.append(message)
            size += message.size
        return self._block(partition, state, first, taken[-1].offset + 1, taken)

    def _cut_unseen(self, partition: TopicPartition, state: OwnedPartition, first: int) -> Block | None:
        """The block without messages that brings an idle partition's committed offset past what no consumer sees: control
        records, aborted messages, what compaction or retention has removed."""
        if state.in_flight or time.monotonic() - state.waiting_since < IDLE_S:
            return None
        state.waiting_since = time.monotonic()
        end = self._read_up_to(partition, state.position)
        if end <= first:
            return None
        self._look_for_loss(partition, state)
        state.position = end
        return self._block(partition, state, first, end, ())

    def _cut_owed(self, partition: TopicPartition, state: OwnedPartition, first: int, end: int) -> Block | None:
        """The block that a former owner declared and did not finish, once everything below its end has been read."""
        if len(state.buffer) > LARGEST_BLOCK and state.buffer[LARGEST_BLOCK].offset < end:
            log.warning(
                "offsets were reset: what is declared is no block", partition=str(partition), first=first, end=end
            )
            state.declared_end = None
            return None
        if self._read_up_to(partition, state.position) < end:
            return None
        taken = [message for message in state.buffer if message.offset < end]
        return self._block(partition, state, first, end, taken, repeated=True)

    def _read_up_to(self, partition: TopicPartition, known: int) -> int:
        """The next offset to be read, at least `known`: past gaps, which hold no message to tell of themselves."""
        try:
            position = self._consumer.position(partition, timeout_ms=1_000)
        except (KafkaError, AssertionError):
            return known
        return max(known, position or 0)

    def _look_for_loss(self, partition: TopicPartition, state: OwnedPartition) -> None:
        """Says so when a gap in the offsets is what retention has removed before it was read."""
        try:
            kept_from = self._consumer.beginning_offsets([partition])[partition]
        except (KafkaError, AssertionError) as error:
            log.warning("a gap in the offsets could not be looked into", partition=str(partition), error=repr(error))
            return
        self._say_what_is_lost(partition, state.position, kept_from)

    @staticmethod
    def _say_what_is_lost(partition: TopicPartition, first: int, kept_from: int) -> None:
        if kept_from > first:
            log.warning(
                "retention has removed messages before they were read; going on where the topic begins",
                partition=str(partition),
                first=first,
                kept_from=kept_from,
            )

    @staticmethod
    def _block(
        partition: TopicPartition,
        state: OwnedPartition,
        first: int,
        end: int,
        taken: Sequence[Message],
        *,
        repeated: bool = False,
    ) -> Block:
        topic, number = partition.topic, partition.partition
        return Block(topic, state.topic_id, number, first, end, tuple(taken), state.epoch, repeated)

    def _is_due(self, state: OwnedPartition) -> bool:
        full = len(state.buffer) >= self._most or state.buffered_bytes >= self._worker.block_bytes
        return full or time.monotonic() - state.waiting_since >= self._worker.linger_ms / 1000

    def _follow_rebalances(self) -> None:
        for assigned, partitions in self._rebalances.take():
            for partition in partitions:
                self._let_go(partition)
                self._unloaded.discard(partition)
                if assigned:
                    self._unloaded.add(partition)
            if partitions:
                failpoint("rebalancing")
                log.info("partitions assigned" if assigned else "partitions revoked", partitions=_names(partitions))

    def _forget(self, partition: TopicPartition) -> None:
        if self._let_go(partition):
            self._unloaded.add(partition)

    def _let_go(self, partition: TopicPartition) -> bool:
        """Drops what is known of a partition; its block in hand is no longer ours. Whether there was anything."""
        state = self._partitions.pop(partition, None)
        if state is not None and state.in_flight is not None:
            state.in_flight.lease.lost = True
        return state is not None

    def _load_assigned(self) -> None:
        if not self._unloaded:
            return
        self._unloaded &= self._consumer.assignment()
        self._made_anew &= self._unloaded
        try:
            ids = present_topics(self._settings)
            for partition in sorted(self._unloaded):
                self._partitions[partition] = self._load(partition, ids.get(partition.topic, ""))
                self._unloaded.discard(partition)
                self._made_anew.discard(partition)
        except (KafkaError, BrokerUnavailable, AssertionError) as error:
            log.warning("partitions not loaded yet; trying again", error=repr(error))

    def _load(self, partition: TopicPartition, topic_id: str) -> OwnedPartition:
        """Asks the coordinator where the partition stands, and seeks there."""
        kept_from = self._consumer.beginning_offsets([partition])[partition]
        anew = partition in self._made_anew  # what is committed then belongs to the old log
        committed = None if anew else self._consumer.committed(partition)
        declared, end = map(self._consumer.committed, intent_partitions(partition))
        first = kept_from if committed is None else committed
        self._consumer.seek(partition, max(first, kept_from))
        self._epoch += 1
        owed = end if None not in (committed, declared, end) and declared == committed and end > first else None
        if owed is not None:
            log.info("a block is in doubt and is repeated", partition=str(partition), first=first, end=owed)
        self._say_what_is_lost(partition, first, kept_from)
        seen_id = self._seen_id(partition)
        return OwnedPartition(self._epoch, topic_id, first, owed, position=max(first, kept_from), seen_id=seen_id)

    def _notice_new_topics(self) -> None:
        """A topic that was made anew has other messages at the old offsets: it is read from its start."""
        for partition, state in list(self._partitions.items()):
            seen_id = self._seen_id(partition)
            if seen_id != state.seen_id:
                state.seen_id = seen_id
                if seen_id not in ("", state.topic_id):
                    self._read_anew(partition)

    def _seen_id(self, partition: TopicPartition) -> str:
        return str(self._consumer._cluster.topic_id(partition.topic) or "")

    def _read_anew(self, partition: TopicPartition) -> None:
        """Forgets a partition whose log was replaced, all that was buffered and declared; loading reads its new log."""
        log.warning("the topic was made anew and is read from its start", partition=str(partition))
        self._forget(partition)
        self._made_anew.add(partition)

    def _pause_and_resume(self) -> None:
        paused = self._consumer.paused()
        for partition, state in self._partitions.items():
            full = (
                len(state.buffer) >= BUFFERED_BLOCKS * self._most
                or state.buffered_bytes >= BUFFERED_BLOCKS * self._worker.block_bytes
            ) and not self._owes_more(state)
            if full and partition not in paused:
                self._consumer.pause(partition)
            elif not full and partition in paused:
                self._consumer.resume(partition)

    def _let_go_of_spent_records(self) -> None:
        """Works around a fault of kafka-python 3.0.12: records parked while their partition was paused are taken up again
        only when its fetcher holds no current records, and a current batch that is used up counts as held. Once every
        partition has been paused in the middle of a batch, nothing is ever fetched again."""
        fetcher = self._consumer._fetcher
        current = getattr(fetcher, "_next_partition_records", None)
        if current is not None and not current:
            fetcher._next_partition_records = None

    def _see_join_through(self) -> bool:
        """Whether the group is being joined. Works around two faults of kafka-python 3.0.12 that short polls meet: a join
        that changed metadata alone had asked for, and that outlasts the poll which began it, is never taken up, so that the
        member holds nothing, sends no heartbeats and does not know it; and one that ends between two polls is begun anew."""
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()
        return bool(coordinator.rejoining)

    @staticmethod
    def _owes_more(state: OwnedPartition) -> bool:
        return state.declared_end is not None and state.position < state.declared_end

    def _measure(self) -> None:
        for partition, state in self._partitions.items():
            highwater = self._consumer.highwater(partition)
            if highwater is not None:
                metrics.LAG.labels(partition.topic, str(partition.partition)).set(max(0, highwater - state.first))


def _message(record: ConsumerRecord) -> Message:
    return Message(
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers or ()),
        timestamp_ms=record.timestamp or 0,
    )


def _names(partitions: Iterable[TopicPartition]) -> list[str]:
    return sorted(f"{p.topic}:{p.partition}" for p in partitions)

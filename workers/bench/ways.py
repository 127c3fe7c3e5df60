"""The worker's own parts with one thing exchanged: the model, or the protocol. What is not said here is the worker's."""

import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from kafka import TopicPartition

from schemas.events import Event
from schemas.insights import Analysis, AspectMention, Evidence, Sentiment
from workers.analyze.disguise import SafeEvent
from workers.analyze.judge import Judge
from workers.bench.stopwatch import Speed, Stopwatch
from workers.settings import ClickHouseSettings, KafkaSettings, WorkerSettings
from workers.store.query import EventKey, Reader, StoredVersion
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import Block, settlement
from workers.stream.consume import BlockConsumer


class ConstantJudge(Judge):
    """Says the same of every text, in no time. It redacts nothing: only for invented texts."""

    def __init__(self) -> None:
        """Loads nothing."""

    def disguise(self, event: Event) -> SafeEvent:
        return SafeEvent(
            event_id=event.id,
            kind=event.kind,
            source=event.source,
            product=event.product,
            text=event.text,
            title=event.title or "",
            rating=event.rating,
            author="",
            language=event.language or "",
            url=event.url or "",
            metadata=event.metadata,
            event_time=event.created_at,
            redactions={},
        )

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        return [constant_analysis(event.text) for event in events]

    def close(self) -> None:
        """Nothing to end."""


def constant_analysis(text: str) -> Analysis:
    """An answer of the usual size."""
    return _analysis(min(40, len(text))).model_copy(update={"text": text})


@lru_cache
def _analysis(end: int) -> Analysis:
    first = Evidence(start=0, end=end)
    return Analysis(
        text=" " * end,
        language="en",
        sentiment=Sentiment(label="positive", score=0.5, confidence=0.7),
        aspects=(AspectMention(aspect="battery", sentiment="positive", confidence=0.8, evidence=first),),
        intents=("praise",),
        pack="constant",
        pack_version="1",
    )


class Meter:
    """Counts messages whose offsets are committed. `done` is set when `expected` of them are, and then `speed` is theirs,
    from before the first declaration to after the last commit."""

    def __init__(self, expected: int) -> None:
        self.done = threading.Event()
        self.speed = Speed(0.0, 0.0)
        self._expected, self._count = expected, 0
        self._watch: Stopwatch | None = None

    def begin(self) -> None:
        """The first block is about to be declared."""
        self._watch = self._watch or Stopwatch()

    def add(self, blocks: Sequence[Block]) -> None:
        """These are committed."""
        self._count += sum(len(block.messages) for block in blocks)
        if self._count >= self._expected and self._watch and not self.done.is_set():
            self.speed = self._watch.speed(self._count)
            self.done.set()


class MeteredConsumer(BlockConsumer):
    """The worker's consumer, metered."""

    def __init__(self, kafka: KafkaSettings, worker: WorkerSettings, meter: Meter) -> None:
        super().__init__(kafka, worker)
        self._meter = meter

    def settle(self, done: Sequence[Block], declared: Sequence[Block]) -> list[Block]:
        if declared:
            self._meter.begin()
        settled = self._settle(done, declared)
        self._meter.add(done)
        return settled

    def _settle(self, done: Sequence[Block], declared: Sequence[Block]) -> list[Block]:
        return super().settle(done, declared)


class AtLeastOnceConsumer(MeteredConsumer):
    """Commits what is inserted, and declares nothing."""

    def _settle(self, done: Sequence[Block], declared: Sequence[Block]) -> list[Block]:
        if done:
            self._commit(settlement(done, ()))
        for block in done:
            self._advance(block)
        for block in declared:
            state = self._partitions[block.topic_partition]
            state.in_flight = block
            self._drop_taken(state, block)
        return list(declared)

    def renew(self, in_hand: Sequence[Block], *, older_than_s: float) -> None:
        """No lease."""

    def _load(self, partition: TopicPartition, topic_id: str) -> Any:
        state = super()._load(partition, topic_id)
        state.declared_end = None
        return state


class AtLeastOnceReader(Reader):
    """Asks nobody whether an event came before."""

    def stored_versions(self, keys: Collection[EventKey], window_days: int) -> dict[EventKey, list[StoredVersion]]:
        return {}


class AtLeastOnceWriter(Writer):
    """Inserts without a token and without a lease."""

    def _insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
        token: str,
        lease_until: datetime | None = None,
        ingested_at: datetime | None = None,
    ) -> None:
        super()._insert(table, names, types, columns, token)

    def _insert_settings(self, token: str) -> dict[str, Any]:
        return {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}


class NoClock(ServerClock):
    """No lease, so nobody's clock."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings

    def at(self, reading_s: float) -> datetime:
        return datetime.now(UTC)

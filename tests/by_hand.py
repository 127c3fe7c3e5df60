"""A worker moved by hand, one step at a time, so that a test can stop it at any place and look."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from schemas.events import Event
from schemas.insights import Analysis, AspectMention, Evidence, Sentiment, SentimentLabel
from workers.analyze.disguise import SafeEvent, disguise
from workers.analyze.judge import Judge
from workers.analyze.redact import Redactor
from workers.chaos.known_stream import Expected
from workers.chaos.verdict import judge_outcome
from workers.pipeline import BlockProcessor
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.query import Reader
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import Block, Lease, Message, now_s
from workers.stream.consume import BlockConsumer
from workers.stream.produce import AcknowledgedProducer, Outgoing

SOURCE = "test"
SALT = b"salt"
WINDOW = 100  # inserts that a table remembers: the fewest the settings allow
LIMIT_S = 60.0
_TONES: dict[str, SentimentLabel] = {"love": "positive", "hate": "negative"}
_ASPECT = re.compile(r"battery|price|sound")


class WordJudge:
    """Stands in for the models where only the way of the rows is tested: the tone is a word, an aspect is its name.

    Another version may know other words.
    """

    def __init__(
        self, version: str = "1", tones: Mapping[str, SentimentLabel] = _TONES, aspects: re.Pattern[str] = _ASPECT
    ) -> None:
        self._version, self._tones, self._aspects = version, tones, aspects

    def disguise(self, event: Event) -> SafeEvent:
        return disguise(event, Redactor(), SALT)

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        return [self._analysis(event.text) for event in events]

    def _analysis(self, text: str) -> Analysis:
        label = next((tone for word, tone in self._tones.items() if word in text), "neutral")
        sentiment = Sentiment(label=label, score={"positive": 0.5, "negative": -0.5}.get(label, 0.0), confidence=0.9)
        aspects = tuple(
            AspectMention(
                aspect=found[0],
                sentiment=label,
                confidence=0.9,
                evidence=Evidence(start=found.start(), end=found.end()),
            )
            for found in self._aspects.finditer(text)
        )
        return Analysis(
            text=text,
            language="en",
            sentiment=sentiment,
            aspects=aspects,
            intents=("other",),
            pack="words",
            pack_version=self._version,
            topic_vector=(int(self._version), min(127, len(text))),
        )


def text_of(number: int) -> str:
    """A text whose figures differ from its neighbours'."""
    tone, aspect = ("love", "hate", "know")[number % 3], ("battery", "price", "sound", "colour")[number % 4]
    return f"I {tone} the {aspect} of it, number {number}"


def review(number: int, text: str = "", *, event_id: str = "", product: str = "", month: int = 0) -> bytes:
    """An event; neighbours lie in three months of 2026 (three partitions of each table) unless `month` says which."""
    event = {
        "id": event_id or f"e-{number}",
        "kind": "review",
        "source": SOURCE,
        "product": product or f"Product {number % 5}",
        "text": text or text_of(number),
        "created_at": f"2026-{month or 6 + number % 3:02}-{1 + number % 28:02}T{number % 24:02}:00:00Z",
        "rating": 1 + number % 5,
    }
    return json.dumps(event).encode()


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Returns once the condition holds; fails the test when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s:.0f} s in vain for {what}"
        time.sleep(0.02)


class Rows:
    """What ClickHouse holds."""

    def __init__(self, settings: Settings) -> None:
        self.reader = Reader(connect(settings.clickhouse), settings.clickhouse)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.reader.select(sql).result_rows]

    def count(self, table: str = "insights") -> int:
        return self.reader.count(table)

    def assert_are(self, texts: dict[str, str], malformed: dict[bytes, int] | None = None) -> None:
        """Every event once with its newest text, every aggregate equal to a recount, every dead letter once."""
        verdict = judge_outcome(self.reader, Expected(texts, malformed or {}), None, 0)
        assert verdict.kept, verdict.examples

    def assert_are_reviews(self, numbers: Iterable[int]) -> None:
        """Every one of these unchanged reviews is in once, in rows and aggregates."""
        self.assert_are({f"e-{number}": text_of(number) for number in numbers})


def empty(settings: Settings) -> None:
    """Empties every table that holds rows."""
    tables = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
        " AND name != 'schema_migrations'"
    )
    with connect(settings.clickhouse) as client:
        for (table,) in client.query(tables).result_rows:
            client.command(f"TRUNCATE TABLE {table}")


class RememberingProducer:
    """Stands in for the broker where a test needs none: `sent` holds what was produced."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def send_all(self, messages: Iterable[Outgoing]) -> None:
        self.sent += messages


def processor(
    settings: Settings, producer: AcknowledgedProducer | RememberingProducer, judge: Judge | None = None
) -> BlockProcessor:
    """A block processor over real ClickHouse connections of its own, with a `WordJudge` unless another is given."""
    reading, writing = connect(settings.clickhouse), connect(settings.clickhouse)
    return BlockProcessor(
        settings,
        judge or cast(Judge, WordJudge()),
        Reader(reading, settings.clickhouse),
        Writer(writing, settings.clickhouse),
        cast(AcknowledgedProducer, producer),
        ServerClock(reading, settings.clickhouse, now_s),
        SALT,
    )


def block(first: int, end: int, values: dict[int, bytes] | None = None, *, repeated: bool = False) -> Block:
    """A block that has just been declared. Its messages are `values`, or the reviews of its offsets."""
    held = {offset: review(offset) for offset in range(first, end)} if values is None else values
    messages = tuple(Message(offset, b"key", value) for offset, value in sorted(held.items()))
    return Block("reviews", "topic-id", 0, first, end, messages, 1, repeated, Lease(now_s()))


def process(settings: Settings, *blocks: Block) -> RememberingProducer:
    """Each block by a worker that has just been started. What it produced."""
    producer = RememberingProducer()
    for each in blocks:
        assert processor(settings, producer).process([each]) == [each]
    return producer


class Crash(Exception):
    """The worker dies here."""


def crash_after(settings: Settings, crashing: Block, step: str) -> None:
    """Processes the block in a worker that dies once it has done this step of the writer's."""
    dying = processor(settings, RememberingProducer())
    does: Callable[..., None] = getattr(dying._writer, step)

    def does_and_dies(*arguments: object) -> None:
        does(*arguments)
        raise Crash

    setattr(dying._writer, step, does_and_dies)
    with pytest.raises(Crash):
        dying.process([crashing])


def retract_what_never_was(settings: Settings, parts: int) -> None:
    """As many updates would do to the deduplication window of `retractions`; no aggregate is changed by them."""
    never: list[list[Any]] = [
        ["filler", str(n), "", "", 0, n, "filler", "", month, None, "neutral", 0.0, 0.0, [], [], 0.0, "", [], "", "", 0]
        for n, month in enumerate(datetime(2010 + n // 12, 1 + n % 12, 1, tzinfo=UTC) for n in range(parts))
    ]
    with connect(settings.clickhouse) as client:
        writer, now = Writer(client, settings.clickhouse), datetime.now(UTC)
        writer.insert_retractions(never, "filler", now + timedelta(minutes=5), now)
        client.command(
            "INSERT INTO sentiment_hourly (hour, product, source, language, texts, neutral)"
            " SELECT hour, product, source, language, -texts, -neutral FROM sentiment_hourly WHERE product = 'filler'",
            settings={"max_partitions_per_insert_block": 0},
        )
        client.command(
            "INSERT INTO judgements_daily (day, language, pack, pack_version, band, texts, neutral, no_emotion)"
            " SELECT day, language, pack, pack_version, band, -texts, -neutral, -no_emotion FROM judgements_daily"
            " WHERE pack = ''",
            settings={"max_partitions_per_insert_block": 0},
        )


class HandWorker:
    """A worker's parts without its threads: it does nothing that it is not told to."""

    def __init__(self, settings: Settings) -> None:
        self.consumer = BlockConsumer(settings.kafka, settings.worker)
        self.producer = AcknowledgedProducer(settings.kafka)
        self.processor = processor(settings, self.producer)
        self.done: Sequence[Block] = ()

    def declare(self) -> list[Block]:
        """The next blocks, declared and not inserted; what was done before is finished."""
        blocks: list[Block] = []

        def declared() -> bool:
            self.consumer.poll(0.02)
            blocks[:] = self.consumer.settle(self.done, self.consumer.cut())
            self.done = ()
            return bool(blocks)

        wait_until(declared, "a block")
        return blocks

    def step(self) -> None:
        """Polls, finishes what was done, declares what is due and inserts it."""
        self.consumer.poll(0.02)
        declared = self.consumer.settle(self.done, self.consumer.cut())
        self.done = self.processor.process(declared) if declared else ()

    def run_until(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Works until the condition holds and the last block is finished."""

        def met() -> bool:
            self.step()
            return not self.done and condition()

        wait_until(met, what, limit_s)

    def owns(self, partitions: int) -> bool:
        """Whether it has loaded so many partitions."""
        self.consumer.poll(0.02)
        return self.consumer.assigned == partitions

    def close(self) -> None:
        """Leaves the group as a worker does that ends, whatever it had declared."""
        with suppress(Exception):
            self.consumer.close()
        self.producer.close()

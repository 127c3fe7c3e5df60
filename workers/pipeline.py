"""The whole way of a text, in one file: topic -> block -> events -> insights -> ClickHouse -> topics -> commit.

Two threads. The *Kafka thread* (`Worker.run`) polls, so that heartbeats and rebalances go on whatever else happens, cuts
blocks and settles them with the group coordinator. The *block thread* (`BlockProcessor.process`) turns declared blocks into
rows. One batch of blocks is in hand at a time; what arrives meanwhile is buffered up to a limit, then its partition is
paused. So memory is bounded, and a slow ClickHouse slows the intake.

    poll ─> buffers ─> cut ─> settle: finish the last batch, declare this one ─> process:
            decode -> leave out resends -> analyze -> insert -> dead letters -> produce      (repeats until acknowledged)

Why a block is declared before it is inserted: `workers/stream/blocks.py`.
"""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import orjson
import structlog

from schemas.events import InvalidMessage, Reason, decode_json, unknown_fields, validate_event
from schemas.insights import Analysis, DeadLetter, Insight, Position
from schemas.taxonomy import load_taxonomy
from workers import metrics
from workers.analyze.disguise import SafeEvent
from workers.analyze.judge import Judge
from workers.analyze.redact import Redactor
from workers.health import HealthServer, Probes
from workers.salt import author_salt
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.store.connect import StoreUnavailable, connect
from workers.store.query import EventKey, Reader
from workers.store.write import Writer
from workers.stream.bad_share import BadShare
from workers.stream.blocks import Block, Message
from workers.stream.connect import BrokerUnavailable
from workers.stream.consume import BlockConsumer
from workers.stream.deadletters import dead_letter, to_headers
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics

log = structlog.get_logger(__name__)
T = TypeVar("T")

POLL_S = 0.02
STUCK_AFTER_S = 60.0  # the Kafka thread comes round many times a second; when it does not, something hangs


class Stopped(Exception):
    """The worker was told to stop while a block waited for ClickHouse or the broker. Its new owner repeats the block."""


@dataclass(slots=True)
class BlockResult:
    """A block sorted into what it holds. `offset`s of the three kinds together are the block's messages."""

    block: Block
    events: list[tuple[Message, SafeEvent]] = field(default_factory=list)
    resends: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    insights: list[Insight] = field(default_factory=list)


class BlockProcessor:
    """Turns declared blocks into rows, dead letters and messages. Used by one thread at a time."""

    def __init__(
        self, settings: Settings, judge: Judge, reader: Reader, writer: Writer, producer: AcknowledgedProducer
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._reader = reader
        self._writer = writer
        self._producer = producer
        self._bad_share = BadShare(settings.worker.bad_share_limit, settings.worker.bad_share_over)
        self.stopping = threading.Event()

    def process(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """Returns the blocks once ClickHouse and the broker have acknowledged everything in them.

        Raises `TooManyBad`, `StoreRefused` (no repetition would help) or `Stopped`; the blocks are then unfinished.
        """
        results = [self._decode(block) for block in blocks]
        with metrics.STAGE_SECONDS.labels("resends").time():
            self._leave_out_resends(results)
        with metrics.STAGE_SECONDS.labels("analyze").time():
            self._analyze(results)
        for result in results:
            self._bad_share.note(result.block, len(result.letters))
        with metrics.STAGE_SECONDS.labels("insert").time():
            for result in results:
                self._insert(result)
        with metrics.STAGE_SECONDS.labels("produce").time():
            self._produce(results)
        for result in results:
            self._count(result)
        return blocks

    def _decode(self, block: Block) -> BlockResult:
        result = BlockResult(block)
        for message in block.messages:
            try:
                document = decode_json(message.value, max_bytes=self._settings.kafka.max_message_bytes)
                result.events.append((message, self._judge.disguise(validate_event(document))))
                metrics.UNKNOWN_FIELDS.labels(block.topic).inc(unknown_fields(document))
            except InvalidMessage as invalid:
                result.letters.append(dead_letter(block, message, invalid.reason, invalid.sentence))
        return result

    def _leave_out_resends(self, results: Sequence[BlockResult]) -> None:
        """An event counts once: not when it is stored elsewhere already, nor twice in these blocks.

        A row inside the very block in hand is no resend but this block's own earlier insert, so repeating a block gives
        the same rows again and the token decides.
        """
        keys = {_key(event) for result in results for _, event in result.events}
        window_days = self._settings.worker.resend_window_days
        stored = self._until_done("resends", lambda: self._reader.stored_positions(keys, window_days))
        taken: set[EventKey] = set()
        for result in results:
            kept = []
            for message, event in result.events:
                key = _key(event)
                elsewhere = any(not _within(result.block, position) for position in stored.get(key, ()))
                if window_days and (elsewhere or key in taken):
                    result.resends += 1
                    continue
                taken.add(key)
                kept.append((message, event))
            result.events = kept

    def _analyze(self, results: Sequence[BlockResult]) -> None:
        analyses = iter(self._judge.judge_events([event for result in results for _, event in result.events]))
        now = datetime.now(UTC)
        for result in results:
            for message, event in result.events:
                analysis = next(analyses)
                if analysis is None:
                    sentence = "no model could judge this text; see the worker's log"
                    result.letters.append(dead_letter(result.block, message, Reason.ANALYSIS_FAILED, sentence))
                else:
                    result.insights.append(_insight(result.block, message, event, analysis, now))

    def _insert(self, result: BlockResult) -> None:
        token = result.block.token
        self._until_done("insert", lambda: self._writer.insert_insights(result.insights, token))
        self._until_done("insert", lambda: self._writer.insert_dead_letters(result.letters, f"{token}:dead"))

    def _produce(self, results: Sequence[BlockResult]) -> None:
        kafka = self._settings.kafka
        outgoing = [
            Outgoing(kafka.insights_topic, insight.product.encode(), orjson.dumps(insight.model_dump(mode="json")))
            for result in results
            for insight in result.insights
        ] + [
            Outgoing(kafka.dead_letters_topic, letter.key, letter.value, to_headers(letter))
            for result in results
            for letter in result.letters
        ]
        self._until_done("produce", lambda: self._producer.send_all(outgoing))

    def _until_done(self, operation: str, attempt: Callable[[], T]) -> T:
        """Repeats an attempt until it passes, with exponential backoff and full jitter (Brooker, 2015).

        Raises `Stopped` when the worker is told to stop meanwhile; what no repetition mends is raised at once.
        """
        pause_s = 0.1
        while True:
            try:
                return attempt()
            except (StoreUnavailable, BrokerUnavailable) as error:
                metrics.RETRIES.labels(operation).inc()
                log.warning("trying again", operation=operation, cause=str(error), at_most_s=round(pause_s, 1))
            if self.stopping.wait(random.uniform(0, pause_s)):  # noqa: S311 - jitter, not a secret
                raise Stopped
            pause_s = min(pause_s * 2, self._settings.worker.insert_retry_max_s)

    def _count(self, result: BlockResult) -> None:
        topic = result.block.topic
        metrics.MESSAGES.labels(topic).inc(len(result.block.messages))
        metrics.INSIGHTS.labels(topic).inc(len(result.insights))
        metrics.RESENDS.labels(topic).inc(result.resends)
        metrics.BLOCKS.labels(topic).inc()
        metrics.LAST_BLOCK_TIME.set_to_current_time()
        for letter in result.letters:
            metrics.DEAD_LETTERS.labels(topic, str(letter.reason)).inc()
        now_ms = time.time() * 1000
        for message in result.block.messages:
            if message.timestamp_ms > 0:
                metrics.LATENCY_SECONDS.observe(max(0.0, (now_ms - message.timestamp_ms) / 1000))
        log.info(
            "block written",
            topic=topic,
            partition=result.block.partition,
            first=result.block.first,
            end=result.block.end,
            insights=len(result.insights),
            dead_letters=len(result.letters),
            resends=result.resends,
        )


def _key(event: SafeEvent) -> EventKey:
    return EventKey(event.source, event.event_id)


def _insight(block: Block, message: Message, event: SafeEvent, analysis: Analysis, now: datetime) -> Insight:
    return Insight(
        **dict(analysis),
        topic=block.topic,
        topic_id=block.topic_id,
        partition=block.partition,
        offset=message.offset,
        event_id=event.event_id,
        kind=event.kind,
        source=event.source,
        product=event.product,
        title=event.title,
        rating=event.rating,
        author=event.author,
        url=event.url,
        metadata=event.metadata,
        event_time=event.event_time,
        ingested_at=now,
    )


def _within(block: Block, position: Position) -> bool:
    return block.covers(position.topic, position.topic_id, position.partition, position.offset)


class Worker:
    """Runs until told to stop. Build it with everything it uses; it closes the consumer and the producer itself."""

    def __init__(
        self, settings: Settings, consumer: BlockConsumer, processor: BlockProcessor, producer: AcknowledgedProducer
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._processor = processor
        self._producer = producer
        self._stop = threading.Event()
        self._in_hand: Future[Sequence[Block]] | None = None
        self.last_tick = time.monotonic()

    @property
    def healthy(self) -> bool:
        """Whether its loop still turns."""
        return time.monotonic() - self.last_tick < STUCK_AFTER_S

    @property
    def ready(self) -> bool:
        """Whether it owns partitions and is taking messages."""
        return self._consumer.assigned > 0 and not self._stop.is_set()

    def stop(self) -> None:
        """Asks it to end cleanly: the batch in hand is finished and committed. Callable from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Returns after `stop`. Raises what stopped it: `TooManyBad`, `StoreRefused`, or a fault of our own."""
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as thread:
            try:
                while not self._stop.is_set():
                    self._tick(thread)
                self._finish()
            finally:
                self._processor.stopping.set()
                self._consumer.close()
                self._producer.close()

    def _tick(self, thread: ThreadPoolExecutor) -> None:
        self.last_tick = time.monotonic()
        self._consumer.poll(POLL_S)
        metrics.PARTITIONS.set(self._consumer.assigned)
        if self._in_hand is not None and not self._in_hand.done():
            return
        done = self._in_hand.result() if self._in_hand else ()
        self._in_hand = None
        blocks = self._consumer.settle(done, self._consumer.cut())
        if blocks:
            self._in_hand = thread.submit(self._processor.process, blocks)

    def _finish(self) -> None:
        """Gives the batch in hand its time, keeping the group membership alive, and commits it."""
        deadline = time.monotonic() + self._settings.worker.stop_timeout_s
        while self._in_hand is not None:
            if time.monotonic() > deadline:
                log.warning("stopped with a batch in hand; its blocks are declared and will be repeated")
                return
            self._consumer.poll(POLL_S)
            if self._in_hand.done():
                self._consumer.settle(self._in_hand.result(), ())
                self._in_hand = None


def build_judge(settings: Settings) -> Judge:
    """The judge that these settings ask for; builds the pack when it is missing. Raises `PackError`, `TaxonomyError`."""
    pack = ensure_pack(
        settings.model.pack,
        settings.packs_dir,
        settings.cache_dir,
        choice=settings.model.base_source,
        progress=lambda line: log.info(line),
    )
    redactor = Redactor(regions=settings.privacy.phone_regions, public_handles=settings.privacy.public_handles)
    return Judge(
        pack,
        load_taxonomy(settings.taxonomy),
        redactor,
        author_salt(settings),
        replicas=settings.model.replicas,
        headline_min_chars=settings.model.headline_min_chars,
    )


def run_worker(settings: Settings) -> None:
    """`voxpop worker`: builds all parts, runs until SIGTERM or SIGINT, ends cleanly.

    Raises `VoxpopError` when a part cannot be built or the worker has to give up.
    """
    judge = build_judge(settings)
    with connect(settings.clickhouse) as reading, connect(settings.clickhouse) as writing:
        ensure_topics(settings.kafka)
        producer = AcknowledgedProducer(settings.kafka)
        reader, writer = Reader(reading, settings.clickhouse), Writer(writing, settings.clickhouse)
        processor = BlockProcessor(settings, judge, reader, writer, producer)
        worker = Worker(settings, BlockConsumer(settings.kafka, settings.worker), processor, producer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        with _probes(settings, worker):
            log.info("worker started", pack=settings.model.pack, topics=settings.kafka.topics)
            worker.run()
    judge.close()
    log.info("worker stopped")


@contextmanager
def _probes(settings: Settings, worker: Worker) -> Iterator[None]:
    if settings.worker.http_port is None:
        yield
        return
    probes = Probes(healthy=lambda: worker.healthy, ready=lambda: worker.ready)
    server = HealthServer(settings.worker.http_host, settings.worker.http_port, probes)
    log.info("serving /metrics /healthz /readyz", host=settings.worker.http_host, port=server.port)
    try:
        yield
    finally:
        server.close()

"""The whole way of a text, in one file: topic -> block -> events -> insights -> ClickHouse -> topics -> commit.

Three threads. The *Kafka thread* (`Worker.run`) polls, so that heartbeats and rebalances go on whatever else happens, cuts
blocks and settles them with the group coordinator. The *judging thread* (`BlockProcessor.judge_ahead`) decodes the blocks
that come next and has the models judge them, which asks nobody and writes nothing. The *block thread*
(`BlockProcessor.process`) turns declared blocks into rows meanwhile, and has a helper produce each that is in while the next
is inserted. One batch of blocks is in hand at a time, and one is looked ahead at; what
arrives meanwhile is buffered up to a limit, then its partition is paused. So memory is bounded, and a slow ClickHouse slows
the intake.

    poll ─> buffers ─> cut ─> judge ahead: decode -> analyze ─> settle: finish the last batch, declare this one ─> process:
            sort out resends and updates -> insert -> dead letters -> produce  (until acknowledged)

Why a block is declared before it is inserted: `workers/stream/blocks.py`. How what was erased stays out: `workers/erase.py`.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog

from schemas.events import InvalidMessage, Reason, decode_json, unknown_fields, validate_event
from schemas.insights import Position
from workers import metrics
from workers.analyze.judge import Judge
from workers.block_result import (
    BlockResult,
    insight_of,
    key_of,
    place_of,
    sort_out,
    turn_away,
    updates_of,
    version_of,
)
from workers.failpoints import failpoint
from workers.settings import Settings
from workers.store.connect import StoreUnavailable
from workers.store.pages import Pages
from workers.store.query import TOKENS_TRUSTED, EventKey, Reader
from workers.store.receipts import Receipts
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.bad_share import BadShare
from workers.stream.blocks import Block, now_s
from workers.stream.connect import BrokerUnavailable
from workers.stream.consume import BlockConsumer
from workers.stream.deadletters import dead_letter, to_headers
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.turned_away import TurnedAway

log = structlog.get_logger(__name__)
T = TypeVar("T")

BUSY_POLL_S = 0.2  # between two polls while there is no room for what they bring
POLL_S = 0.05  # half of the client's computing went with polls every 20 ms that brought nothing
# Texts: more fill the model's batches no better, and a worker that is told to stop waits for them.
JUDGED_AT_ONCE = 1_024
CHOSEN_S = 0.02  # between two looks at a page that is being chosen
RENEWED_AT = 1 / 3  # of a lease's time: two renewals may fail before it ends
POSITION_HEADER = "voxpop-position"  # of an insight in its topic: a reader that has seen it has seen the insight
STUCK_AFTER_S = 60.0  # the Kafka thread comes round many times a second; when it does not, something hangs


class Stopped(Exception):
    """The worker was told to stop before a block was done. Its new owner repeats the block."""


class LeaseLost(Exception):
    """The partition went to another worker while its block was in hand. That worker repeats the block."""


class BlockProcessor:
    """Turns declared blocks into rows, dead letters and messages. One thread at a time processes, another looks ahead."""

    def __init__(
        self,
        settings: Settings,
        judge: Judge,
        reader: Reader,
        writer: Writer,
        producer: AcknowledgedProducer,
        clock: ServerClock,
        salt: bytes,
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._reader = reader
        self._writer = writer
        self._producer = producer
        self._clock = clock
        self._pages = Pages(reader, writer, clock, settings.clickhouse)
        self._turned_away = TurnedAway(reader, Receipts(reader, salt), salt)
        self._bad_share = BadShare(settings.worker)
        self._resent = False  # most of the last batch was: then the next is not judged before that is known of it, too
        self.stopping = threading.Event()

    def judge_ahead(self, blocks: Sequence[Block]) -> Sequence[BlockResult]:
        """What blocks hold that may never be declared, and what the models say of it. Nothing is asked, nothing written."""
        results: list[BlockResult] = []
        with ThreadPoolExecutor(1, "decoding") as decoding, metrics.STAGE_SECONDS.labels("analyze").time():
            for result in decoding.map(self._decode, blocks):
                results.append(result)
                if not self._resent:
                    self._judge_events(results, at_least=JUDGED_AT_ONCE)
            if not self._resent:
                self._judge_events(results)
        return results

    def process(self, blocks: Sequence[Block], ahead: Sequence[BlockResult] = ()) -> Sequence[Block]:
        """Returns the blocks once ClickHouse and the broker have acknowledged everything in them. `ahead` is what
        `judge_ahead` has made of some of them.

        A block whose partition was lost meanwhile is left as it is. Raises `TooManyBad`, `StoreRefused` (no repetition
        would help) or `Stopped`; the blocks are then unfinished.
        """
        known = {id(result.block): result for result in ahead}
        results = [known.get(id(block)) or self._decode(block) for block in blocks]
        with metrics.STAGE_SECONDS.labels("resends").time():
            self._sort_out_known(results)
        with metrics.STAGE_SECONDS.labels("analyze").time():
            self._judge_events(results)
            self._make_insights(results)
        failpoint("classified")
        for result in results:
            self._bad_share.note(result.block, [letter.position.offset for letter in result.letters])
        with ThreadPoolExecutor(1, "producing") as producing:
            kept = self._write_and_produce(results, producing)
        for result in kept:
            self._count(result)
        return [result.block for result in kept]

    def _decode(self, block: Block) -> BlockResult:
        result, unknown = BlockResult(block, token=block.token), 0
        for message in block.messages:
            try:
                document = decode_json(message.value, max_bytes=self._settings.kafka.max_message_bytes)
                result.events.append((message, self._judge.disguise(validate_event(document))))
                unknown += unknown_fields(document)
            except InvalidMessage as invalid:
                result.letters.append(dead_letter(block, message, invalid.reason, invalid.sentence))
        metrics.UNKNOWN_FIELDS.labels(block.topic).inc(unknown)
        return result

    def _sort_out_known(self, results: Sequence[BlockResult]) -> None:
        """An event counts once: a version that came before is left out, a new version takes the place of the old ones.

        Rows inside a block that is repeated are its own earlier insert: no resend, and its token decides. Rows inside a
        block that is not repeated came in under another token (offsets were reset): those are.
        """
        window_days = self._settings.worker.resend_window_days
        if not window_days:
            return
        keys = {key_of(event) for result in results for _, event in result.events}
        events = sum(len(result.events) for result in results)
        self._note_retracted(results)
        stored = self._until_done("resends", lambda: self._reader.stored_versions(keys, window_days))
        sort_out(results, stored)
        self._resent = 2 * sum(result.resends for result in results) > events

    def _note_retracted(self, results: Sequence[BlockResult]) -> None:
        """What has been taken off the aggregates already of the events of repeated blocks."""
        for result in results:
            if result.block.repeated and result.events:
                keys = {key_of(event) for _, event in result.events}
                result.retracted = self._until_done("resends", lambda keys=keys: self._reader.retracted(keys))  # type: ignore[misc]

    def _judge_events(self, results: Sequence[BlockResult], at_least: int = 1) -> None:
        """All that are not judged yet at once, the more, the better they fill the model's batches; none when they are fewer
        than `at_least`."""
        unknown = [(r, m.offset, event) for r in results for m, event in r.events if m.offset not in r.analyses]
        if len(unknown) < at_least:
            return
        for first in range(0, len(unknown), JUDGED_AT_ONCE):
            if self.stopping.is_set():
                raise Stopped
            some = unknown[first : first + JUDGED_AT_ONCE]
            analyses = self._judge.judge_events([event for _, _, event in some])
            for (result, offset, _), analysis in zip(some, analyses, strict=True):
                result.analyses[offset] = analysis

    def _make_insights(self, results: Sequence[BlockResult]) -> None:
        now = datetime.now(UTC)
        for result in results:
            for message, event in result.events:
                analysis = result.analyses[message.offset]
                if analysis is None:
                    sentence = "no model could judge this text; see the worker's log"
                    result.letters.append(dead_letter(result.block, message, Reason.ANALYSIS_FAILED, sentence))
                else:
                    result.insights.append(insight_of(result.block, message, event, analysis, now))

    def _claim_updates(self, results: Sequence[BlockResult]) -> None:
        """From here on nobody else changes the rows that updates are to replace: no page of `voxpop reprocess` is about to
        be staged with them, and those that are staged have been written. See `workers/store/pages.py`."""
        updates = [update for result in results for update in updates_of(result)]
        if not updates:
            return
        keys = {EventKey(update.source, update.event_id) for update in updates}
        self._until_done("claim", lambda: self._pages.claim_updates(updates))
        while self._until_done("claim", lambda: self._pages.being_chosen(keys)):
            if self.stopping.wait(CHOSEN_S):
                raise Stopped
        for page in self._until_done("claim", lambda: self._pages.staged_with(keys)):
            self._until_done("claim", lambda page=page: self._pages.complete(page))  # type: ignore[misc]

    def _turn_away(self, result: BlockResult, *, again: bool = False) -> None:
        """Takes out what was erased. What a try before this one may have begun to write is written to its end: the program
        that erases waits for the block, then finds it. See `workers/erase.py`."""
        looked_at = now_s()
        offsets = self._turned_away.of_block(result)
        if offsets and (again or result.block.repeated):
            offsets -= self._begun(result, updates=again)
        turn_away(result, offsets)
        result.looked_at = looked_at

    def _begun(self, result: BlockResult, *, updates: bool) -> set[int]:
        """Offsets of the block whose rows are in, or whose old rows are off the aggregates. With `updates` every update."""
        block = result.block
        first = Position(topic=block.topic, topic_id=block.topic_id, partition=block.partition, offset=block.first)
        off = self._reader.retracted({EventKey(v.source, v.event_id) for v in result.replaced})
        begun = {EventKey(v.source, v.event_id) for v in result.replaced if updates or v.position in off}
        stored = self._reader.stored_offsets("insights", first, block.end)
        return stored | {message.offset for message, event in result.events if key_of(event) in begun}

    def _write_and_produce(self, results: Sequence[BlockResult], producing: Executor) -> list[BlockResult]:
        """The blocks that are in ClickHouse, wholly, and in the topics. While one is inserted, the last is produced; one
        with updates when the rows that they replace are gone."""
        told: list[Future[None]] = []
        with metrics.STAGE_SECONDS.labels("insert").time():
            self._claim_updates(results)
            for result in results:
                self._until_done("erased", lambda result=result: self._turn_away(result))  # type: ignore[misc]
            kept = []
            for result in results:
                if self._write(result):
                    kept.append(result)
                    if not result.replaced:
                        told.append(producing.submit(self._produce, result))
            self._remove_replaced(kept)
        failpoint("inserted")
        with metrics.STAGE_SECONDS.labels("produce").time():
            told += [producing.submit(self._produce, result) for result in kept if result.replaced]
            for each in told:
                each.result()
        return kept

    def _write(self, result: BlockResult) -> bool:
        """Whether the block is in ClickHouse, wholly; not when its partition was lost.

        An update takes the old figures off the aggregates, then adds the new row with its figures; `_remove_replaced` takes
        the old row out. Each step may be repeated: two have tokens, and the third only removes what the first has seen.
        """
        block, now = result.block, datetime.now(UTC)
        try:
            if block.repeated:
                self._leave_out_inserted(result)
            if result.replaced:
                old = self._rows_to_retract(result)
                self._insert(
                    result, lambda lease: self._writer.insert_retractions(old, f"{block.token}:old", lease, now)
                )
            self._insert(result, lambda lease: self._insert_insights(result, lease))
            failpoint("inserting")
            self._insert(result, lambda lease: self._insert_dead_letters(result, lease))
            self._insert(result, lambda _: self._insert_superseded(result, now))
        except LeaseLost:
            log.warning("partition lost; its new owner repeats the block", token=block.token)
            return False
        return True

    def _insert_insights(self, result: BlockResult, lease: datetime) -> None:
        insights = [insight for insight in result.insights if insight.offset not in result.inserted]
        self._writer.insert_insights(insights, result.token, lease)

    def _insert_dead_letters(self, result: BlockResult, lease: datetime) -> None:
        letters = [letter for letter in result.letters if letter.position.offset not in result.inserted]
        self._writer.insert_dead_letters(letters, f"{result.token}:dead", lease)

    def _insert_superseded(self, result: BlockResult, now: datetime) -> None:
        superseded = [version_of(result.block, message, event) for message, event in result.superseded]
        self._writer.insert_superseded(superseded, f"{result.token}:new", now)

    def _remove_replaced(self, results: Sequence[BlockResult]) -> None:
        """Removes the rows that updates have replaced: at once for all blocks, since a delete costs the same for one row."""
        replaced = [version for result in results for version in result.replaced]
        if replaced:
            self._until_done("retract", lambda: self._writer.delete_versions(replaced))

    def _leave_out_inserted(self, result: BlockResult) -> None:
        """What of a repeated block is in already and would not be recognised by its token any more.

        Dead letters are told by their position. So are insights once the tables have taken so many parts since that they
        may have forgotten the token; until then the token decides, since it also completes views that a crash left out.
        Rows that were judged again since have left the parts that the token is remembered with.
        """
        block, window = result.block, self._settings.clickhouse.deduplication_window
        first = Position(topic=block.topic, topic_id=block.topic_id, partition=block.partition, offset=block.first)
        result.inserted = self._until_done(
            "resends", lambda: self._reader.stored_offsets("dead_letters", first, block.end)
        )
        stored = self._until_done("resends", lambda: self._reader.stored_offsets("insights", first, block.end))
        replaced = {p.offset for p in result.retracted if block.covers(*place_of(p))}
        result.inserted |= self._until_done("resends", lambda: self._reader.rejudged_offsets(first, block.end))
        if not stored:
            result.inserted |= replaced
            return
        parts = self._until_done("resends", lambda: self._reader.parts_inserted_since(first, block.end))
        if parts >= TOKENS_TRUSTED * window:
            log.warning("block repeated after its token may be forgotten", token=block.token, parts_since=parts)
            result.inserted |= stored | replaced
            result.token += ":late"

    def _rows_to_retract(self, result: BlockResult) -> list[Sequence[Any]]:
        """The old rows of a block's updates, less those taken off before under a token that may be forgotten."""
        old = self._until_done("retract", lambda: self._reader.rows_to_retract(result.replaced))
        taken_off = [v for v in result.replaced if v.position in result.retracted]
        if not taken_off:
            return old
        parts = self._until_done("retract", lambda: self._reader.parts_retracted_since(taken_off))
        if parts < TOKENS_TRUSTED * self._settings.clickhouse.deduplication_window:
            return old
        log.warning("block repeated after its token may be forgotten", token=result.block.token, parts_since=parts)
        places = {place_of(position) for position in result.retracted}
        return [row for row in old if tuple(row[2:6]) not in places]

    def _insert(self, result: BlockResult, insert: Callable[[datetime], None]) -> None:
        """Repeats an insert under the block's lease until it passes. Raises `LeaseLost`, or what `_until_done` does.

        Nor does it pass more than a lease's time after what was erased was looked for: then that is looked for again.
        """
        lease_s = self._settings.worker.lease_s

        def attempt() -> None:
            if result.block.lease.lost:
                raise LeaseLost
            if now_s() - result.looked_at > lease_s * RENEWED_AT:
                self._turn_away(result, again=True)
            since_s = min(result.block.lease.declared_at, result.looked_at)
            insert(self._clock.at(since_s) + timedelta(seconds=lease_s))

        self._until_done("insert", attempt)

    def _produce(self, result: BlockResult) -> None:
        kafka = self._settings.kafka
        outgoing = [
            Outgoing(
                kafka.insights_topic,
                insight.product.encode(),
                insight.model_dump_json().encode(),
                ((POSITION_HEADER, f"{insight.topic}:{insight.partition}:{insight.offset}".encode()),),
            )
            for insight in result.insights
        ] + [
            Outgoing(kafka.dead_letters_topic, letter.key, letter.value, to_headers(letter))
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
        metrics.ERASED.labels(topic).inc(result.erased)
        metrics.UPDATES.labels(topic).inc(
            len(result.superseded) + len({EventKey(v.source, v.event_id) for v in result.replaced})
        )
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
            erased=result.erased,
        )


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
        self._ahead: Future[Sequence[BlockResult]] | None = None
        self._declared: Sequence[Block] = ()
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
        with ThreadPoolExecutor(1, "blocks") as blocks, ThreadPoolExecutor(1, "judging") as judging:
            try:
                while not self._stop.is_set():
                    self._tick(blocks, judging)
                self._finish()
            finally:
                self._processor.stopping.set()
                self._consumer.close()
                self._producer.close()

    def _tick(self, blocks: ThreadPoolExecutor, judging: ThreadPoolExecutor) -> None:
        self.last_tick = time.monotonic()
        self._consumer.poll(0.0 if self._wait_for_work() else POLL_S)
        metrics.PARTITIONS.set(self._consumer.assigned)
        failpoint("polled")
        self._look_ahead(judging)
        if self._in_hand is not None and not self._in_hand.done():
            self._renew()
            return
        done = self._in_hand.result() if self._in_hand else ()
        self._in_hand = None
        ahead: Sequence[BlockResult] = ()
        if self._ahead is not None and self._ahead.done():
            ahead, self._ahead = self._ahead.result(), None
        self._declared = self._consumer.settle(done, [result.block for result in ahead])
        if self._declared:
            failpoint("declared")
            self._in_hand = blocks.submit(self._processor.process, self._declared, ahead)
            self._look_ahead(judging)

    def _wait_for_work(self) -> bool:
        """Whether there was something to wait for: a batch in hand with the next judged ahead, or one being judged with none
        in hand. What arrives meanwhile can be taken afterwards, so polling for it would only take computing."""
        first: Future[Any] | None = self._in_hand or self._ahead
        if first is None or self._ahead is None:
            return False
        wait([first], timeout=BUSY_POLL_S)
        return True

    def _look_ahead(self, judging: ThreadPoolExecutor) -> None:
        """Has the blocks that come next judged, before they are declared: only when nothing else is ahead."""
        if self._ahead is None and (cut := self._consumer.cut()):
            self._ahead = judging.submit(self._processor.judge_ahead, cut)

    def _renew(self) -> None:
        self._consumer.renew(self._declared, older_than_s=self._settings.worker.lease_s * RENEWED_AT)

    def _finish(self) -> None:
        """Gives the batch in hand its time, keeping the group membership alive, and commits it."""
        deadline = time.monotonic() + self._settings.worker.stop_timeout_s
        while self._in_hand is not None:
            if time.monotonic() > deadline:
                log.warning("stopped with a batch in hand; its blocks are declared and will be repeated")
                return
            self._consumer.poll(POLL_S)
            self._renew()
            failpoint("stopping")
            if self._in_hand.done():
                self._consumer.settle(self._in_hand.result(), ())
                self._in_hand = None

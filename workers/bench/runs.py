"""One run of the worker's loop in this process, over a topic of its own that is full before the clock starts."""

import itertools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from workers.analyze.judge import Judge
from workers.bench.stopwatch import Speed
from workers.bench.ways import (
    AtLeastOnceConsumer,
    AtLeastOnceReader,
    AtLeastOnceWriter,
    Meter,
    MeteredConsumer,
    NoClock,
)
from workers.errors import VoxpopError
from workers.pipeline import BlockProcessor, Worker
from workers.salt import author_salt
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.query import Reader
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.consume import BlockConsumer
from workers.stream.produce import AcknowledgedProducer, Outgoing, produce_stream
from workers.stream.topics import ensure_topics

WAIT_S = 600.0
PRODUCTS = 12
_numbers = itertools.count(1)


def events_of(texts: Sequence[str], topic: str, source: str) -> list[Outgoing]:
    """A message a text, keyed by one of a dozen products."""
    at = datetime(2026, 11, 2, 10, tzinfo=UTC).isoformat()
    return [
        Outgoing(
            topic,
            f"Product {number % PRODUCTS}".encode(),
            orjson.dumps(
                {
                    "id": f"{source}-{number}",
                    "kind": "review",
                    "source": source,
                    "product": f"Product {number % PRODUCTS}",
                    "text": text,
                    "created_at": at,
                }
            ),
        )
        for number, text in enumerate(texts)
    ]


def own_topic(settings: Settings, texts: Sequence[str]) -> Settings:
    """Settings with a new topic that holds these texts, and a new group to read it."""
    name = f"bench-{next(_numbers)}"
    kafka = settings.kafka.model_copy(update={"topics": (name,), "group_id": name})
    ensure_topics(kafka)
    producer = AcknowledgedProducer(kafka)
    try:
        produce_stream(producer, events_of(texts, name, name), kafka)
    finally:
        producer.close()
    return settings.model_copy(update={"kafka": kafka})


def exactly_once_speed(settings: Settings, judge: Judge, texts: Sequence[str]) -> Speed:
    """Messages a second of the worker as it is."""
    return _speed(own_topic(settings, texts), judge, len(texts), exactly_once=True)


def at_least_once_speed(settings: Settings, judge: Judge, texts: Sequence[str]) -> Speed:
    """The same without declarations, tokens, leases and the look-up of resends."""
    return _speed(own_topic(settings, texts), judge, len(texts), exactly_once=False)


def _speed(settings: Settings, judge: Judge, count: int, *, exactly_once: bool) -> Speed:
    meter = Meter(count)
    with connect(settings.clickhouse) as reading, connect(settings.clickhouse) as writing:
        producer = AcknowledgedProducer(settings.kafka)
        consumer: BlockConsumer
        if exactly_once:
            reader, writer = Reader(reading, settings.clickhouse), Writer(writing, settings.clickhouse)
            clock = ServerClock(reading, settings.clickhouse, now_s)
            consumer = MeteredConsumer(settings.kafka, settings.worker, meter)
        else:
            reader, writer = (
                AtLeastOnceReader(reading, settings.clickhouse),
                AtLeastOnceWriter(writing, settings.clickhouse),
            )
            clock = NoClock(settings.clickhouse)
            consumer = AtLeastOnceConsumer(settings.kafka, settings.worker, meter)
        processor = BlockProcessor(settings, judge, reader, writer, producer, clock, author_salt(settings))
        _run_until_done(Worker(settings, consumer, processor, producer), meter)
        stored = Reader(reading, settings.clickhouse).select(
            f"SELECT count() FROM insights WHERE topic = '{settings.kafka.topics[0]}'"  # noqa: S608 - our own name
        )
    if int(stored.result_rows[0][0]) != count:
        raise VoxpopError(f"{stored.result_rows[0][0]} of {count} events are stored: this run measured nothing")
    return meter.speed


def _run_until_done(worker: Worker, meter: Meter) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            failed.append(error)
            meter.done.set()

    thread = threading.Thread(target=run, name="measured worker")
    thread.start()
    in_time = meter.done.wait(WAIT_S)
    worker.stop()
    thread.join()
    if failed:
        raise failed[0]
    if not in_time:
        raise VoxpopError(f"the run was not done after {WAIT_S:.0f} s; is the machine busy? try --quick")

"""The worker without its model, beside the loop that one would write first: kafka-python in, clickhouse-connect out."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer

from workers.bench.rounds import Measured, in_turn, markdown
from workers.bench.runs import exactly_once_speed, own_topic
from workers.bench.stopwatch import Speed, Stopwatch
from workers.bench.ways import ConstantJudge
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.connect import connect
from workers.stream.connect import client_config

COLUMNS = (
    "topic",
    "partition",
    "offset",
    "event_id",
    "kind",
    "source",
    "product",
    "text",
    "sentiment",
    "event_time",
    "ingested_at",
)
FIRST_WAIT_S = 60.0


def measure_plumbing(settings: Settings, texts: Sequence[str], rounds: int, said: Callable[[str], None]) -> Measured:
    """Messages a second of both on topics of the same messages, in turn."""
    judge = ConstantJudge()
    ways = {
        "voxpop worker": lambda _: exactly_once_speed(settings, judge, texts),
        "minimal loop": lambda _: minimal_speed(own_topic(settings, texts), len(texts)),
    }
    contest = in_turn(ways, rounds, said)
    ratio = contest.ratio("voxpop worker", "minimal loop")
    rows = [
        ["Voxpop's worker, a constant for a model", f"{contest.median('voxpop worker'):,.0f}", f"{ratio:.2f}"],
        ["minimal kafka-python + clickhouse-connect loop", f"{contest.median('minimal loop'):,.0f}", "1.00"],
    ]
    table = markdown(["loop", "messages/s", "ratio"], rows)
    figures = {
        "plumbing_to_minimal": ratio,
        "plumbing_to_minimal_cpu": contest.core_ratio("voxpop worker", "minimal loop"),
    }
    return Measured("plumbing", table, figures, {"rounds": rounds, "speeds": contest.as_document()})


def minimal_speed(settings: Settings, count: int) -> Speed:
    """Poll, decode, insert, commit: no validation, no dead letters, no protocol, no second topic, one thread."""
    consumer = KafkaConsumer(
        *settings.kafka.topics,
        **client_config(settings.kafka),
        group_id=settings.kafka.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=settings.kafka.session_timeout_ms,
    )
    done = 0
    watch: Stopwatch | None = None
    deadline = time.monotonic() + FIRST_WAIT_S
    with connect(settings.clickhouse) as client:
        try:
            while done < count:
                if time.monotonic() > deadline:
                    raise VoxpopError(f"the minimal loop got {done} of {count} messages; see the broker's log")
                polled = consumer.poll(timeout_ms=100)
                watch = watch or (Stopwatch() if polled else None)
                rows = [_row(record) for records in polled.values() for record in records]
                if not rows:
                    continue
                client.insert("insights", rows, column_names=COLUMNS)
                consumer.commit()
                done += len(rows)
                deadline = time.monotonic() + FIRST_WAIT_S
            return (watch or Stopwatch()).speed(done)
        finally:
            consumer.close(autocommit=False)


def _row(record: Any) -> list[Any]:
    event = json.loads(record.value)
    return [
        record.topic,
        record.partition,
        record.offset,
        event["id"],
        event["kind"],
        event["source"],
        event["product"],
        event["text"],
        "positive",
        datetime.fromisoformat(event["created_at"]),
        datetime.now(UTC),
    ]

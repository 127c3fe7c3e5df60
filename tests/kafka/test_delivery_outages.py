"""Exactly once through outages, and when to give up: what mends itself is waited for, what does not is said in one line."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.insights import Insight
from tests.by_hand import HandWorker, Rows, review, text_of, wait_until
from tests.conftest import StartKafka
from tests.kafka.cluster import Cluster
from tests.kafka.conftest import StartWorker
from workers.chaos.proxy import Fault, FaultKind, FaultProxy
from workers.pipeline import Worker
from workers.settings import KafkaSettings, Settings, as_environment
from workers.store.connect import connect
from workers.stream.consume import BUFFERED_BLOCKS
from workers.stream.topics import ensure_topics

SESSION_S, LEASE_S = 6.0, 5.0


class Running:
    """A worker in its own threads, over parts that a test can look into."""

    def __init__(self, settings: Settings, parts: HandWorker) -> None:
        self.parts = parts
        self.worker = Worker(settings, parts.consumer, parts.processor, parts.producer)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)

    @property
    def membership(self) -> tuple[str, int]:
        """Member id and generation: another one after any rebalance."""
        generation = self.parts.consumer._consumer._coordinator._generation
        return generation.member_id, generation.generation_id

    @property
    def buffered(self) -> int:
        """Messages in memory, the block in hand left out."""
        return sum(len(state.buffer) for state in list(self.parts.consumer._partitions.values()))


@contextmanager
def running(settings: Settings, parts: HandWorker) -> Iterator[Running]:
    started = Running(settings, parts)
    started.thread.start()
    try:
        yield started
    finally:
        started.worker.stop()
        started.parts.processor.stopping.set()
        started.thread.join(60)
    assert not started.thread.is_alive()


def seconds_pass(seconds: float) -> Callable[[], bool]:
    """A condition that comes true after so many seconds: for what must not happen meanwhile."""
    passed = threading.Event()
    timer = threading.Timer(seconds, passed.set)
    timer.daemon = True
    timer.start()
    return passed.is_set


def test_clickhouse_away_for_longer_than_lease_and_session_costs_neither_membership_nor_memory_nor_a_row(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker, proxy: FaultProxy
) -> None:
    cluster.send_reviews(range(50))
    with running(settings, start_worker(lease_s=LEASE_S)) as worker:
        wait_until(lambda: cluster.caught_up(), "the first rows")
        member = worker.membership
        try:
            proxy.set(Fault(FaultKind.REFUSE))
            cluster.send_reviews(range(50, 1_000))
            over = seconds_pass(SESSION_S + 2)
            most = 0

            def watched() -> bool:
                nonlocal most
                most = max(most, worker.buffered)
                return over()

            wait_until(watched, "the outage to last")
            assert worker.parts.consumer._consumer.paused() == {cluster.partition}
            assert rows.count() == 50
        finally:
            proxy.set(None)
        wait_until(lambda: rows.count() > 50, "it to go on by itself")
        assert worker.membership == member
        block = settings.worker.block_records
        assert most <= (BUFFERED_BLOCKS + 1) * block, "a poll may bring a block more than fills the buffer"
        wait_until(cluster.caught_up, "all of it", 120)
    rows.assert_are_reviews(range(1_000))


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(
    tmp_path: Path, start_kafka: StartKafka, settings: Settings, rows: Rows
) -> None:
    with start_kafka(tmp_path) as kafka:
        own = settings.kafka.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})
        settings = settings.model_copy(update={"kafka": own})
        ensure_topics(settings.kafka)
        cluster = Cluster(settings)
        cluster.send_reviews(range(200))
        parts = HandWorker(settings)
        with running(settings, parts) as worker:
            wait_until(lambda: rows.count() > 0, "the first rows")
            kafka.kill()
            most = worker.buffered
            kafka.restart()
            wait_until(cluster.caught_up, "it to go on by itself", 120)
            assert max(most, worker.buffered) <= (BUFFERED_BLOCKS + 1) * settings.worker.block_records
        cluster.close()
    rows.assert_are_reviews(range(200))


def run_worker(settings: Settings) -> subprocess.CompletedProcess[str]:
    """`voxpop worker` until it ends by itself."""
    state = settings.model_copy(update={"state_dir": settings.state_dir.resolve()})
    command = [sys.executable, "-m", "workers.cli", "worker"]
    return subprocess.run(command, env=as_environment(state), capture_output=True, text=True, timeout=90)


def test_a_column_that_is_missing_stops_the_worker_with_its_mend(
    settings: Settings, cluster: Cluster, rows: Rows
) -> None:
    cluster.send_reviews(range(5))
    with connect(settings.clickhouse) as client:
        client.command("ALTER TABLE insights DROP COLUMN url")
        try:
            done = run_worker(settings)
        finally:
            client.command("ALTER TABLE insights ADD COLUMN url String CODEC(ZSTD(3)) AFTER author")
    assert done.returncode == 1
    assert "url" in done.stderr.strip().splitlines()[-1]
    assert (rows.count(), cluster.committed()) == (0, 0)


def test_a_run_of_bad_messages_stops_every_start_of_the_worker_before_anything_is_written(
    settings: Settings, cluster: Cluster, rows: Rows
) -> None:
    limited = settings.worker.model_copy(update={"bad_run_limit": 8})
    cluster.send([review(0), *[b"{broken"] * 9])
    for _ in range(2):
        done = run_worker(settings.model_copy(update={"worker": limited}))
        assert done.returncode == 1
        said = done.stderr.strip().splitlines()[-1]
        assert "8 messages in a row" in said
        assert "VOXPOP_WORKER__BAD_RUN_LIMIT" in said
    assert (rows.count(), rows.count("dead_letters"), cluster.committed()) == (0, 0, 0)


def test_every_insight_is_in_its_topic_with_its_position_after_a_crash_before_it_was_produced(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    def crash(*_: object) -> None:
        raise Crash

    cluster.send_reviews(range(30))
    dead = start_worker()
    monkeypatch.setattr(dead.processor, "_produce", crash)
    with pytest.raises(Crash):
        dead.processor.process(dead.declare())
    assert rows.count() == 10
    dead.close()
    start_worker().run_until(cluster.caught_up, "the end")
    found = read_topic(settings.kafka)
    assert {(i.topic, i.partition, i.offset) for _, i in found} == {(cluster.topic, 0, n) for n in range(30)}
    assert all(at == f"{i.topic}:{i.partition}:{i.offset}" for at, i in found)
    rows.assert_are({f"e-{n}": text_of(n) for n in range(30)})


def read_topic(kafka: KafkaSettings) -> list[tuple[str, Insight]]:
    """All that the insights topic holds: (position header, insight)."""
    reading = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
    place = TopicPartition(kafka.insights_topic, 0)
    reading.assign([place])
    reading.seek_to_beginning(place)
    end = reading.end_offsets([place])[place]
    found: list[tuple[str, Insight]] = []

    def at_end() -> bool:
        for record in reading.poll(timeout_ms=100).get(place, ()):
            headers = dict(record.headers)
            found.append((headers["voxpop-position"].decode(), Insight.model_validate_json(record.value)))
        return bool(reading.position(place) >= end)

    wait_until(at_end, "the end of the topic")
    reading.close()
    return found

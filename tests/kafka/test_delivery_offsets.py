"""Exactly once whatever becomes of offsets: gaps, transactions, retention, resets, new partitions, a topic made anew."""

import pytest
import structlog
from kafka import KafkaProducer

from tests.by_hand import Rows, review, text_of
from tests.kafka.cluster import Cluster
from tests.kafka.conftest import StartWorker
from workers.settings import Settings
from workers.stream import consume


def test_a_topic_made_anew_under_a_stale_declaration_is_read_from_its_start(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    cluster.send_reviews(range(25))
    first = start_worker()
    first.run_until(lambda: cluster.committed() == 20, "two blocks")
    assert first.declare()[0].end == 25
    first.close()
    cluster.make_anew()
    cluster.send_reviews(range(100, 108))
    start_worker().run_until(cluster.caught_up, "the new messages")
    rows.assert_are_reviews([*range(20), *range(100, 108)])


@pytest.mark.parametrize("new", [8, 60])
def test_a_topic_made_anew_under_a_running_worker_is_read_from_its_start(
    cluster: Cluster, rows: Rows, start_worker: StartWorker, new: int
) -> None:
    """Also when it has more messages at once than the old one had: the old position is inside the new log then."""
    cluster.send_reviews(range(25))
    worker = start_worker()
    worker.run_until(cluster.caught_up, "the old messages")
    cluster.make_anew()
    cluster.send_reviews(range(100, 100 + new))
    worker.run_until(cluster.caught_up, "the new messages")
    rows.assert_are_reviews([*range(25), *range(100, 100 + new)])


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_messages_of_added_partitions_come_once(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker, when: str
) -> None:
    worker = start_worker()
    cluster.send_reviews(range(20))
    worker.run_until(cluster.caught_up, "the first partition")
    if when == "stopped":
        worker.close()
    cluster.add_partitions(3)
    for partition in range(3):
        cluster.send_reviews(range(20 + 10 * partition, 30 + 10 * partition), partition=partition)
    if when == "stopped":
        worker = start_worker()

    def caught_up() -> bool:
        worker.consumer._consumer._cluster.request_update()  # by itself every five minutes; the broker may not know yet
        return cluster.caught_up(3)

    worker.run_until(caught_up, "the new partitions")
    rows.assert_are_reviews(range(50))


def test_a_compacted_topic_comes_once_also_when_a_declared_block_ends_in_a_gap(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    cluster.alter(cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01", delete_retention_ms="0")
    keys = [b"k%d" % (n % 10) for n in range(40)]
    cluster.send(map(review, range(10)), keys=keys[:10])
    dead = start_worker(block_records=7)
    assert dead.declare()[0].end == 7
    dead.close()
    cluster.send(map(review, range(10, 40)), keys=keys[10:])
    cluster.wait_until_compacted(below=30)
    left = cluster.messages()
    assert len(left) < 40
    heir = start_worker(block_records=7)
    heir.run_until(cluster.caught_up, "the end")
    rows.assert_are_reviews(left)


def test_committed_transactions_come_once_and_aborted_ones_never(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    """Blocks end in messages, in control records and in aborted messages, which a consumer never sees."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=f"sender-of-{cluster.topic}"
    )
    producer.init_transactions()

    def transaction(numbers: range, *, commit: bool) -> None:
        producer.begin_transaction()
        for number in numbers:
            producer.send(cluster.topic, review(number), key=b"key", partition=0)
        producer.flush()
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()

    transaction(range(5), commit=True)
    transaction(range(50, 55), commit=False)
    dead = start_worker()
    (declared,) = dead.declare()
    dead.close()
    transaction(range(5, 17), commit=True)
    heir = start_worker()
    (repeated,) = heir.declare()
    assert repeated.token == declared.token
    heir.done = heir.processor.process([repeated])
    heir.run_until(cluster.caught_up, "the lag to be 0")
    transaction(range(55, 60), commit=False)
    heir.run_until(cluster.caught_up, "the lag to be 0 after an aborted transaction")
    producer.close()
    rows.assert_are_reviews(range(17))


@pytest.mark.parametrize("last", ["a control record", "an aborted message"])
def test_a_declared_block_that_ends_in_what_no_consumer_sees_is_completed(
    settings: Settings, cluster: Cluster, rows: Rows, start_worker: StartWorker, last: str
) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=f"sender-of-{cluster.topic}"
    )
    producer.init_transactions()
    producer.begin_transaction()
    for number in range(5):
        producer.send(cluster.topic, review(number), key=b"key", partition=0)
    producer.flush()
    if last == "a control record":
        producer.commit_transaction()
    else:
        producer.abort_transaction()
    producer.close()
    end = 6 if last == "a control record" else 5
    cluster.declare(0, end)
    start_worker().run_until(cluster.caught_up, "the lag to be 0")
    rows.assert_are_reviews(range(5) if last == "a control record" else ())


@pytest.mark.parametrize(("gone", "left"), [(5, 25), (15, 15), (25, 5), (30, 0)])
def test_what_retention_has_eaten_is_left_behind_and_said(
    cluster: Cluster, rows: Rows, start_worker: StartWorker, gone: int, left: int
) -> None:
    """Before, in, and beyond a block [10, 20) that was declared; and all there was."""
    cluster.send_reviews(range(30))
    first = start_worker()
    first.done = first.processor.process(first.declare())
    assert first.declare()[0].end == 20
    first.close()
    cluster.delete_before(gone)
    with structlog.testing.capture_logs() as said:
        worker = start_worker()
        worker.run_until(cluster.caught_up, "the end", limit_s=20)
    expected = {*range(10), *range(max(gone, 10), 30)}
    rows.assert_are_reviews(expected)
    lost = [line for line in said if "retention" in line["event"]]
    assert [(line["first"], line["kept_from"]) for line in lost] == ([(10, gone)] if gone > 10 else [])


def test_retention_that_overtakes_a_running_worker_is_said(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    cluster.send_reviews(range(10))
    worker = start_worker()
    worker.run_until(cluster.caught_up, "the first messages")
    cluster.send_reviews(range(10, 20))
    cluster.delete_before(20)
    cluster.send_reviews(range(20, 25))
    with structlog.testing.capture_logs() as said:
        worker.run_until(cluster.caught_up, "the end", limit_s=20)
    assert rows.count() in {15, 25}, "it had fetched them before, or not"
    assert (rows.count() == 15) == any("retention" in line["event"] for line in said)


@pytest.mark.parametrize("to", [0, 5, 10, 13])
def test_offsets_that_an_operator_reset_count_nothing_twice(
    cluster: Cluster, rows: Rows, start_worker: StartWorker, to: int
) -> None:
    cluster.send_reviews(range(45))
    first = start_worker()
    first.run_until(cluster.caught_up, "the end")
    first.close()
    cluster.reset(to)
    cluster.send_reviews(range(45, 50))
    worker = start_worker(block_records=7)
    worker.run_until(cluster.caught_up, "the end again")
    rows.assert_are_reviews(range(50))


def test_a_declaration_larger_than_any_block_is_void_and_buffers_no_more_than_that(
    cluster: Cluster, rows: Rows, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consume, "LARGEST_BLOCK", 30)
    cluster.send_reviews(range(100))
    cluster.declare(0, 100)
    worker = start_worker()
    largest = 0

    def come_to_the_end() -> bool:
        nonlocal largest
        largest = max([largest, *(len(state.buffer) for state in worker.consumer._partitions.values())])
        return cluster.caught_up()

    worker.run_until(come_to_the_end, "the end")
    assert largest <= 30 + 2 * 10
    rows.assert_are({f"e-{n}": text_of(n) for n in range(100)})

"""Exactly once while workers come, go, freeze and wake: what a worker may still do is decided by lease and coordinator."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from kafka.errors import CommitFailedError, UnknownMemberIdError

from schemas.insights import Analysis
from tests.by_hand import HandWorker, Rows, WordJudge, review, text_of, wait_until
from tests.kafka.cluster import Cluster
from tests.kafka.conftest import StartWorker
from workers import metrics
from workers.analyze.disguise import SafeEvent
from workers.stream.blocks import Block, settlement


class FrozenJudge(WordJudge):
    """Freezes its worker where no check of its own protects it any more: resends are sorted out, nothing is inserted."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.wake = Event(), Event()

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        self.reached.set()
        assert self.wake.wait(120)
        return super().judge_events(events)


def overtake(
    cluster: Cluster, rows: Rows, frozen: HandWorker, start_worker: StartWorker, thread: ThreadPoolExecutor
) -> Future[Sequence[Block]]:
    """Freezes a worker in a declared block until others have written more than the deduplication window holds."""
    cluster.send_reviews(range(10))
    judge = frozen.processor._judge = FrozenJudge()  # type: ignore[assignment]
    waking = thread.submit(frozen.processor.process, frozen.declare())
    assert judge.reached.wait(30)
    cluster.evict(frozen)
    heir = start_worker()
    heir.run_until(lambda: cluster.committed() == 10, "the heir to repeat the block")
    cluster.send_reviews(range(10, 510))  # 50 blocks of three months: 150 parts, and 100 tokens are remembered
    heir.run_until(lambda: cluster.caught_up(), "the heir to go on")
    assert rows.count() == 510
    judge.wake.set()
    return waking


def test_a_worker_that_wakes_after_its_token_was_forgotten_doubles_nothing(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    frozen = start_worker(lease_s=1.0)
    refused = metrics.RETRIES.labels("insert")
    before = refused._value.get()
    with ThreadPoolExecutor(1) as thread:
        waking = overtake(cluster, rows, frozen, start_worker, thread)
        wait_until(lambda: refused._value.get() > before, "ClickHouse to refuse the rows")
        assert not waking.done()
        cluster.wake(frozen)
        wait_until(lambda: frozen.owns(0) or waking.done(), "the woken worker to notice")
        assert waking.result(30) == []
    rows.assert_are_reviews(range(510))


def test_without_an_end_of_its_lease_that_worker_would_double_its_block(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    """The proof that the test above tests something."""
    with ThreadPoolExecutor(1) as thread:
        overtake(cluster, rows, start_worker(lease_s=600.0), start_worker, thread).result(30)
    assert rows.count() == 520


def test_a_zombie_can_neither_finish_nor_declare_nor_renew(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    cluster.send_reviews(range(20))
    zombie = start_worker()
    declared = zombie.declare()
    done = zombie.processor.process(declared)
    cluster.evict(zombie)
    heir = start_worker()
    heir.run_until(lambda: cluster.committed() == 20, "the heir to come to the end")
    with pytest.raises((CommitFailedError, UnknownMemberIdError)):
        zombie.consumer._commit(settlement(done, zombie.consumer.cut()))
    assert (cluster.committed(), cluster.declared()) == (20, 20)
    zombie.consumer.renew(declared, older_than_s=0)
    assert [block.lease.lost for block in declared] == [True]
    assert zombie.consumer.settle(done, zombie.consumer.cut()) == []
    assert (cluster.committed(), cluster.declared()) == (20, 20)
    rows.assert_are_reviews(range(20))


@pytest.mark.parametrize("place", ["declared", "inserted"])
def test_the_next_owner_repeats_exactly_the_block_that_was_declared(
    cluster: Cluster, rows: Rows, start_worker: StartWorker, place: str
) -> None:
    cluster.send_reviews(range(7))
    dead = start_worker()
    declared = dead.declare()
    if place == "inserted":
        dead.processor.process(declared)
    dead.close()
    cluster.send_reviews(range(7, 30))
    heir = start_worker()
    (repeated,) = heir.declare()
    assert (repeated.token, repeated.repeated) == (declared[0].token, True)
    heir.done = heir.processor.process([repeated])
    heir.run_until(cluster.caught_up, "the heir to come to the end")
    rows.assert_are_reviews(range(30))


@pytest.mark.parametrize("partitions", [4])
def test_a_worker_that_joins_and_leaves_in_mid_stream_loses_and_doubles_nothing(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    def send(numbers: range) -> None:
        for partition in range(4):
            cluster.send_reviews(numbers[partition::4], partition=partition)

    send(range(400))
    first = start_worker()
    first.run_until(lambda: rows.count() >= 40, "the first rows")
    second = start_worker()

    def both() -> bool:
        first.step()
        second.step()
        return (first.consumer.assigned, second.consumer.assigned) == (2, 2)

    wait_until(both, "the partitions to be shared")
    send(range(400, 600))
    wait_until(lambda: both() and rows.count() >= 500, "both to work")
    held = second.declare() if not cluster.caught_up(4) else []
    second.close()
    first.run_until(lambda: first.consumer.assigned == 4 and cluster.caught_up(4), "the first to come to the end")
    assert held or rows.count() == 600
    rows.assert_are_reviews(range(600))


def test_a_copy_and_an_update_after_a_takeover_are_known_for_what_they_are(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    cluster.send_reviews(range(20))
    first = start_worker()
    first.run_until(cluster.caught_up, "the first worker to come to the end")
    first.close()
    resends, updates = metrics.RESENDS.labels(cluster.topic), metrics.UPDATES.labels(cluster.topic)
    cluster.send([review(3), review(4, "I hate the sound now"), review(20), review(4)])
    start_worker().run_until(cluster.caught_up, "the second worker to come to the end")
    rows.assert_are({f"e-{n}": text_of(n) for n in range(21)} | {"e-4": "I hate the sound now"})
    assert (resends._value.get(), updates._value.get()) == (2, 1)


def test_a_join_that_outlasts_the_poll_which_began_it_is_taken_up(
    cluster: Cluster, rows: Rows, start_worker: StartWorker
) -> None:
    """Otherwise the worker would believe itself a member, send no heartbeats and read nothing for ever."""
    worker = start_worker()
    wait_until(lambda: worker.owns(1), "its partition")
    coordinator = worker.consumer._consumer._coordinator
    coordinator._assignment_snapshot = {}  # as when other metadata arrives: nothing else asks for this join
    worker.consumer._consumer.poll(timeout_ms=0)
    assert coordinator.rejoining
    wait_until(lambda: coordinator._join_task.is_done, "the broker's answer, which comes between two polls")
    cluster.send_reviews(range(20))
    worker.run_until(cluster.caught_up, "the messages")
    assert not coordinator.rejoining
    assert coordinator._heartbeat_enabled
    rows.assert_are_reviews(range(20))

"""Blocks grow where texts go fast, and stay small where they do not."""

import pytest

from workers.settings import BATCH_S, BLOCK_FLOOR, WorkerSettings
from workers.stream import pace
from workers.stream.pace import Pace

WORKER = WorkerSettings()


def test_a_block_is_what_a_worker_finishes_in_its_time_over_all_partitions() -> None:
    assert WORKER.block_limit(600.0, 4) == 600 * BATCH_S / 4
    assert WORKER.block_limit(600.0, 2) == 600 * BATCH_S / 2


def test_no_pace_makes_blocks_smaller_than_what_fills_batches_nor_larger_than_the_setting() -> None:
    assert WORKER.block_limit(0.0, 0) == BLOCK_FLOOR
    assert WORKER.block_limit(100.0, 4) == BLOCK_FLOOR
    assert WORKER.block_limit(1e6, 4) == WORKER.block_records > BLOCK_FLOOR


def test_a_setting_below_the_floor_is_kept() -> None:
    small = WorkerSettings(block_records=7)
    assert {small.block_limit(pace, 4) for pace in (0.0, 100.0, 1e6)} == {7}


def test_the_pace_is_that_of_the_slower_of_the_last_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    measured = Pace()

    def seen(seconds: float, messages: int) -> float:
        now[0] += seconds
        measured.finished(messages)
        return measured.a_second

    assert seen(0, 4_000) == 0.0, "nobody knows how long the first one took"
    assert seen(2, 1_000) == 0.0, "one alone is not trusted"
    assert seen(2, 2_000) == 500.0
    assert seen(1, 900) == 900.0
    assert seen(300, 900) == 3.0
    assert seen(1, 4_000) == 3.0, "it was judged long before, while ClickHouse was away"
    assert seen(1, 4_000) == 4_000.0

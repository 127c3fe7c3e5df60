"""Blocks grow where texts go fast, and stay small where they do not."""

import pytest

from workers.settings import WorkerSettings
from workers.stream import pace
from workers.stream.pace import BATCH_S, FLOOR, Pace, block_limit

WORKER = WorkerSettings()


def test_a_block_is_what_a_worker_finishes_in_its_time_over_all_partitions() -> None:
    assert block_limit(WORKER, 600.0, 4) == 600 * BATCH_S / 4
    assert block_limit(WORKER, 600.0, 2) == 600 * BATCH_S / 2


def test_no_pace_makes_blocks_smaller_than_what_fills_batches_nor_larger_than_the_setting() -> None:
    assert block_limit(WORKER, 0.0, 0) == FLOOR
    assert block_limit(WORKER, 100.0, 4) == FLOOR
    assert block_limit(WORKER, 1e6, 4) == WORKER.block_records > FLOOR


def test_a_setting_below_the_floor_is_kept() -> None:
    small = WorkerSettings(block_records=7)
    assert {block_limit(small, pace, 4) for pace in (0.0, 100.0, 1e6)} == {7}


def test_the_pace_is_that_of_the_last_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    measured = Pace()
    measured.finished(4_000)
    assert measured.a_second == 0.0, "nobody knows how long the first one took"
    now[0] += 2
    measured.finished(1_000)
    assert measured.a_second == 500.0
    now[0] += 8
    measured.finished(800)
    assert measured.a_second == 100.0

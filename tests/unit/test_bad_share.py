"""A worker that would send a whole topic to the dead letters stops instead, and says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import VoxpopError
from workers.settings import WorkerSettings
from workers.stream.bad_share import BadShare, TooManyBad
from workers.stream.blocks import Block, Message


def block(count: int, partition: int = 0, topic: str = "voxpop.reviews") -> Block:
    return Block(topic, "", partition, 0, count, tuple(Message(offset, None, b"x") for offset in range(count)))


def watch(limit: float = 0.5, over: int = 100, run: int = 10_000) -> BadShare:
    return BadShare(WorkerSettings(bad_share_limit=limit, bad_share_over=over, bad_run_limit=run))


def note(share: BadShare, block: Block, bad: int) -> None:
    """The first `bad` messages of the block cannot be used."""
    share.note(block, range(bad))


def test_a_run_as_long_as_the_limit_stops_it_in_whatever_blocks_it_comes() -> None:
    share = watch(run=30)
    share.note(block(50), range(21, 50))
    with pytest.raises(TooManyBad, match=r"30 messages in a row of voxpop.reviews:0 .* VOXPOP_WORKER__BAD_RUN_LIMIT"):
        share.note(block(50), [0])


def test_a_good_message_ends_a_run() -> None:
    share = watch(run=30, over=1_000)
    share.note(block(50), range(21, 50))
    share.note(block(50), range(1, 30))


def test_a_block_of_nothing_but_bad_messages_stops_a_worker_with_default_settings_before_it_is_written() -> None:
    settings = WorkerSettings()
    with pytest.raises(TooManyBad):
        BadShare(settings).note(block(settings.block_records), range(settings.block_records))


def test_it_stops_once_a_full_window_is_worse_than_the_limit() -> None:
    share = watch()
    note(share, block(50), 50)
    with pytest.raises(TooManyBad):
        note(share, block(50), 1)


def test_exactly_the_limit_is_still_the_producers_matter() -> None:
    share = watch()
    note(share, block(100), 50)
    note(share, block(100), 50)


def test_a_partition_that_begins_with_bad_messages_is_not_judged_by_too_few_of_them() -> None:
    share = watch()
    note(share, block(99), 99)


def test_old_messages_fall_out_of_the_window() -> None:
    share = watch()
    note(share, block(50), 50)
    note(share, block(1_000), 0)
    note(share, block(50), 50)


def test_partitions_and_topics_are_judged_apart() -> None:
    share = watch()
    note(share, block(60), 60)
    note(share, block(60, partition=1), 60)
    note(share, block(60, topic="voxpop.social"), 60)


def test_the_line_names_the_count_the_partition_and_the_mend() -> None:
    with pytest.raises(TooManyBad) as stopped:
        note(watch(), block(120, partition=3), 120)
    line = str(stopped.value)
    assert isinstance(stopped.value, VoxpopError)
    assert len(line.splitlines()) == 1
    assert "100 of the last 100 messages of voxpop.reviews:3" in line
    assert "voxpop deadletters list" in line
    assert "VOXPOP_WORKER__BAD_SHARE_LIMIT" in line


@given(
    st.lists(st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=40),
    st.floats(0.05, 1),
)
def test_the_share_is_that_of_the_latest_messages_however_they_are_cut_into_blocks(
    blocks: list[tuple[int, int]], limit: float
) -> None:
    over, share, all_so_far = 50, watch(limit, 50), list[bool]()
    for count, bad in blocks:
        all_so_far += [True] * bad + [False] * (count - bad)
        latest = all_so_far[-over:]
        if len(latest) == over and sum(latest) > limit * over:
            with pytest.raises(TooManyBad):
                note(share, block(count), bad)
            return
        note(share, block(count), bad)

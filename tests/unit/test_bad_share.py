"""A worker that would send a whole topic to the dead letters stops instead, and says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import VoxpopError
from workers.stream.bad_share import BadShare, TooManyBad
from workers.stream.blocks import Block, Message


def block(count: int, partition: int = 0, topic: str = "voxpop.reviews") -> Block:
    return Block(topic, "", partition, 0, count, tuple(Message(offset, None, b"x") for offset in range(count)))


def test_it_stops_once_a_full_window_is_worse_than_the_limit() -> None:
    share = BadShare(limit=0.5, over=100)
    share.note(block(50), bad=50)
    with pytest.raises(TooManyBad):
        share.note(block(50), bad=1)


def test_exactly_the_limit_is_still_the_producers_matter() -> None:
    share = BadShare(limit=0.5, over=100)
    share.note(block(100), bad=50)
    share.note(block(100), bad=50)


def test_a_partition_that_begins_with_bad_messages_is_not_judged_by_too_few_of_them() -> None:
    share = BadShare(limit=0.5, over=100)
    share.note(block(99), bad=99)


def test_old_messages_fall_out_of_the_window() -> None:
    share = BadShare(limit=0.5, over=100)
    share.note(block(50), bad=50)
    share.note(block(1_000), bad=0)
    share.note(block(50), bad=50)


def test_partitions_and_topics_are_judged_apart() -> None:
    share = BadShare(limit=0.5, over=100)
    share.note(block(60), bad=60)
    share.note(block(60, partition=1), bad=60)
    share.note(block(60, topic="voxpop.social"), bad=60)


def test_the_line_names_the_count_the_partition_and_the_mend() -> None:
    with pytest.raises(TooManyBad) as stopped:
        BadShare(limit=0.5, over=100).note(block(120, partition=3), bad=120)
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
    over, share, all_so_far = 50, BadShare(limit, 50), list[bool]()
    for count, bad in blocks:
        all_so_far += [True] * bad + [False] * (count - bad)
        latest = all_so_far[-over:]
        if len(latest) == over and sum(latest) > limit * over:
            with pytest.raises(TooManyBad):
                share.note(block(count), bad)
            return
        share.note(block(count), bad)

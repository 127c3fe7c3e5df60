"""A join that ends between two polls is taken up, unless the member has lost its place since."""

from kafka.future import Future

from workers.stream.kept_join import KeptJoin, kept_join


def test_a_finished_join_does_not_count_as_done_and_gives_its_outcome_at_once() -> None:
    join, seen = Future(), []
    kept = kept_join(join, 3)
    assert isinstance(kept, KeptJoin)
    join.success(b"partitions")
    again = kept_join(kept, 3)
    assert again is kept
    assert not kept.is_done
    kept.add_callback(seen.append)
    assert seen == [b"partitions"]


def test_the_error_of_a_finished_join_is_given_too() -> None:
    join, seen = Future(), []
    join.failure(RuntimeError("gone"))
    kept = kept_join(join, -1)
    assert kept is not None
    kept.add_errback(seen.append)
    assert [str(error) for error in seen] == ["gone"]


def test_a_join_whose_member_has_lost_its_place_is_begun_anew() -> None:
    join = Future()
    kept = kept_join(join, -1)
    assert kept is not None, "it goes on: a first join has no generation yet"
    join.success(b"partitions")
    assert kept_join(kept, -1) is None
    assert kept_join(None, 3) is None

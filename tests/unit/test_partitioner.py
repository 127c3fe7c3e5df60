"""A product's messages go where Kafka's other clients send them."""

from typing import Any, cast

import pytest
from kafka.partitioner.default import DefaultPartitioner

from workers.stream.partitioner import KeyPartitioner


class Cluster:
    """What a partitioner asks of the client's metadata."""

    def __init__(self, partitions: set[int]) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return {"reviews"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._partitions if topic == "reviews" else None

    def available_partitions_for_topic(self, topic: str) -> set[int]:
        return self._partitions


KEYS = [b"", b"a", b"My Phone", "Café Ñandú 北京".encode(), *(f"Product {n}".encode() * (n % 5) for n in range(200))]


@pytest.mark.parametrize("partitions", [{0}, {0, 1, 2, 3}, set(range(7))])
def test_it_answers_as_the_default_partitioner_does(partitions: set[int]) -> None:
    cluster, ours = cast(Any, Cluster(partitions)), KeyPartitioner()
    for key in [*KEYS, *KEYS]:
        usual = DefaultPartitioner().partition("reviews", key, key, None, None, cluster)
        assert ours.partition("reviews", key, key, None, None, cluster) == usual


def test_a_topic_that_grows_is_noticed() -> None:
    ours, few, many = KeyPartitioner(), cast(Any, Cluster({0})), cast(Any, Cluster(set(range(50))))
    assert {ours.partition("reviews", key, key, None, None, few) for key in KEYS} == {0}
    assert len({ours.partition("reviews", key, key, None, None, many) for key in KEYS}) > 20


def test_a_message_without_a_key_goes_anywhere() -> None:
    cluster = cast(Any, Cluster({0, 1, 2, 3}))
    assert {KeyPartitioner().partition("reviews", None, None, None, None, cluster) for _ in range(200)} == {0, 1, 2, 3}


def test_a_topic_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        KeyPartitioner().partition("elsewhere", b"k", b"k", None, None, cast(Any, Cluster({0})))

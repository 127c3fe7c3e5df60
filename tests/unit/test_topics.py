"""Topics: a linear layer on mean states, of length one, and nothing where there was nothing to read."""

import numpy as np
import pytest

from workers.slm.topics import Topics


def test_topics_are_the_layer_brought_to_length_one() -> None:
    topics = Topics(np.array([[2, 0], [0, 1]], np.float32), np.array([1, 0], np.float32))
    found = topics(np.array([[1, 0], [0, 1]], np.float32))
    assert found == pytest.approx(np.array([[1, 0], [np.sqrt(0.5), np.sqrt(0.5)]]))


def test_a_span_without_tokens_is_about_nothing() -> None:
    topics = Topics(np.eye(2, dtype=np.float32), np.array([5, 5], np.float32))
    assert topics(np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]


def test_a_pack_that_was_not_taught_topics_has_none() -> None:
    assert Topics.read({"topic.weight": np.eye(2)}) is None
    assert Topics.read({"topic.weight": np.eye(2), "topic.bias": np.zeros(2)}) is not None

"""Which aspects count as spoken of: the sure ones, and of each clause the likeliest few."""

import numpy as np

from workers.analyze.aspects_by_attention import _summed, spoken_of


def test_an_aspect_below_the_threshold_is_not_spoken_of() -> None:
    present, on_clauses = np.array([0.9, 0.4, 0.5], np.float32), np.eye(3, dtype=np.float32)
    assert spoken_of(present, on_clauses, 0.5, 3) == [0, 2]


def test_a_clause_speaks_of_its_likeliest_aspects_only() -> None:
    present = np.array([0.7, 0.9, 0.8, 0.6], np.float32)
    on_clauses = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    assert spoken_of(present, on_clauses, 0.5, 2) == [1, 2, 3]
    assert spoken_of(present, on_clauses, 0.5, 1) == [1, 3]


def test_attention_is_summed_over_the_tokens_of_each_clause_and_none_is_counted_twice() -> None:
    looked = np.array([[0.1, 0.2, 0.3, 0.25]], np.float32)
    offsets = np.array([(0, 3), (3, 8), (8, 12), (12, 20)], np.int32)
    assert np.allclose(_summed(looked, offsets, [(0, 8), (9, 20)]), [[0.3, 0.55]])


def test_tokens_of_a_title_before_the_first_clause_belong_to_no_clause() -> None:
    looked = np.array([[0.6, 0.1]], np.float32)
    assert np.allclose(_summed(looked, np.array([(0, 5), (6, 10)], np.int32), [(6, 10)]), [[0.1]])


def test_a_text_without_clauses_gets_no_column() -> None:
    assert _summed(np.zeros((2, 1), np.float32), np.array([(0, 1)], np.int32), []).shape == (2, 0)

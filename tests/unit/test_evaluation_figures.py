"""The figures of an evaluation are those of the papers: worked by hand, and the same as the scorer they are judged by."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.evaluate import metrics
from workers.evaluate.bootstrap import interval, paired_difference, resampled

SCORER = Path(__file__).resolve().parents[3] / "shared" / "eval" / "score.py"
LABELS = ("negative", "neutral", "positive")
# True rows, given columns: 4 of 6 negative found, 1 of 3 neutral, 1 of 1 positive; given 5, 3 and 2 times.
BY_HAND = np.array([[4, 1, 1], [1, 1, 0], [0, 1, 1]])


def one_hot(gold: list[int], said: list[int], labels: int) -> np.ndarray:
    outcomes = np.zeros((len(gold), labels, labels), np.int8)
    outcomes[np.arange(len(gold)), gold, said] = 1
    return outcomes


def test_a_confusion_matrix_has_true_rows_and_given_columns() -> None:
    gold, said = np.array([0, 0, 2, 1, 2]), np.array([0, 1, 2, 0, 2])
    assert metrics.confusion(gold, said, 3).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 2]]


def test_accuracy_macro_recall_and_macro_f1_are_as_worked_by_hand() -> None:
    assert metrics.accuracy(BY_HAND) == pytest.approx(6 / 10)
    assert metrics.macro_recall(BY_HAND) == pytest.approx((4 / 6 + 1 / 2 + 1 / 2) / 3)
    # F1 = 2 · right / (true + given): 8 / (6 + 5), 2 / (2 + 3), 2 / (2 + 2).
    assert metrics.macro_f1(BY_HAND) == pytest.approx((8 / 11 + 2 / 5 + 2 / 4) / 3)


def test_a_label_that_is_never_true_is_no_part_of_a_mean_but_giving_it_is_a_mistake() -> None:
    matrix = np.array([[2, 0, 2], [0, 4, 0], [0, 0, 0]])
    assert metrics.macro_recall(matrix) == pytest.approx((1 / 2 + 1) / 2)
    assert metrics.macro_f1(matrix) == pytest.approx((4 / 6 + 1) / 2)
    assert metrics.accuracy(matrix) == pytest.approx(6 / 8)


def test_many_matrices_are_measured_as_one_by_one() -> None:
    both = np.stack([BY_HAND, BY_HAND.T])
    for measure in metrics.MEASURES.values():
        assert measure(both).tolist() == pytest.approx([measure(BY_HAND), measure(BY_HAND.T)])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_the_figures_agree_with_the_scorer_that_judges(pairs: list[tuple[int, int]]) -> None:
    if not SCORER.is_file():
        pytest.skip(f"{SCORER} is not on this machine")
    spec = importlib.util.spec_from_file_location("score", SCORER)
    assert spec
    assert spec.loader
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    expected = score.sentiment([{"label": LABELS[g]} for g, _ in pairs], [{"label": LABELS[s]} for _, s in pairs])
    matrix = metrics.confusion(*(np.array(side) for side in zip(*pairs, strict=True)), 3)
    for name, measure in metrics.MEASURES.items():
        assert 100 * float(measure(matrix)) == pytest.approx(expected[name])


# --- calibration and coverage ------------------------------------------------------------------------------------------


def test_the_calibration_error_is_as_worked_by_hand() -> None:
    confidence = np.array([0.95, 0.85, 0.95, 0.15, 0.25])
    hit = np.array([True, True, False, False, True])
    bins = metrics.calibration_bins(confidence, hit, bins=2)
    assert [(b.low, b.high, b.n) for b in bins] == [(0, 0.5, 2), (0.5, 1, 3)]
    assert [b.confidence for b in bins] == pytest.approx([0.2, 2.75 / 3])
    assert [b.accuracy for b in bins] == pytest.approx([0.5, 2 / 3])
    assert metrics.expected_calibration_error(bins) == pytest.approx(2 / 5 * 0.3 + 3 / 5 * 0.25)


def test_a_text_on_a_bins_edge_belongs_to_the_upper_bin_and_full_confidence_to_the_last() -> None:
    bins = metrics.calibration_bins(np.array([0.0, 0.5, 1.0]), np.array([True, True, True]), bins=2)
    assert [b.n for b in bins] == [1, 2]


def test_one_who_is_as_sure_as_often_right_has_no_calibration_error() -> None:
    confidence, hit = np.full(10, 0.7), np.arange(10) < 7
    assert metrics.expected_calibration_error(metrics.calibration_bins(confidence, hit)) == pytest.approx(0)


def test_abstaining_answers_the_surest_first_and_those_of_equal_confidence_together() -> None:
    confidence = np.array([0.6, 0.9, 0.6, 0.8])
    hit = np.array([False, True, True, False])
    assert metrics.coverage_curve(confidence, hit) == [
        metrics.Coverage(0.9, 0.25, 1.0),
        metrics.Coverage(0.8, 0.5, 0.5),
        metrics.Coverage(0.6, 1.0, 0.5),
    ]
    assert metrics.at_confidence(confidence, hit, 0.8) == metrics.Coverage(0.8, 0.5, 0.5)
    assert metrics.at_confidence(confidence, hit, 0.95) is None


def test_a_long_coverage_curve_is_thinned_but_ends_where_all_are_answered() -> None:
    rng = np.random.default_rng(0)
    confidence, hit = rng.random(5_000), rng.random(5_000) < 0.8
    curve = metrics.coverage_curve(confidence, hit)
    assert len(curve) == metrics.MOST_POINTS
    assert (curve[-1].coverage, curve[-1].accuracy) == (1, hit.mean())


# --- bootstrap ---------------------------------------------------------------------------------------------------------


def test_resamples_hold_as_many_texts_and_are_the_same_for_a_seed() -> None:
    outcomes = one_hot([0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0], 2)
    draws = resampled(outcomes, resamples=250)
    assert draws.shape == (250, 2, 2)
    assert set(draws.sum(axis=(1, 2)).tolist()) == {6}
    assert np.array_equal(draws, resampled(outcomes, resamples=250))
    assert not np.array_equal(draws, resampled(outcomes, seed=1, resamples=250))


def test_an_interval_has_the_spread_that_theory_gives() -> None:
    """Of accuracy p over n texts the standard deviation is sqrt(p (1 - p) / n): 95 % lie within 1.96 of it."""
    gold = [0] * 400
    outcomes = one_hot(gold, [int(i >= 320) for i in range(400)], 2)
    found = interval(metrics.accuracy, outcomes.sum(axis=0, dtype=np.int64), resampled(outcomes, resamples=20_000))
    half = 1.96 * (0.8 * 0.2 / 400) ** 0.5
    assert found.value == 0.8
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.003)


def test_texts_that_all_fare_alike_leave_nothing_to_doubt() -> None:
    outcomes = one_hot([0] * 9, [0] * 9, 2)
    assert interval(metrics.accuracy, outcomes.sum(axis=0), resampled(outcomes)) == (1, 1, 1)


def test_a_difference_is_taken_on_the_same_resample() -> None:
    """Two contestants that answer alike differ by nothing in every resample, however far each of them moves."""
    same = one_hot([0, 1] * 20, [0, 0] * 20, 2)
    outcomes = np.stack([same, same], axis=1)
    counts, draws = outcomes.sum(axis=0, dtype=np.int64), resampled(outcomes)
    alone = interval(metrics.macro_f1, counts[0], draws[:, 0])
    assert alone.high - alone.low > 0.05
    pair = paired_difference(metrics.macro_f1, (counts[0], counts[1]), (draws[:, 0], draws[:, 1]))
    assert pair == (0, 0, 0)


def test_a_text_of_several_judgements_is_drawn_whole() -> None:
    """Its two aspects come and go together, so each count is even."""
    outcomes = np.zeros((5, 2, 2), np.int8)
    outcomes[:3, 0, 0] = 2
    outcomes[3:, 0, 1] = 2
    draws = resampled(outcomes)
    assert set(draws.sum(axis=(1, 2)).tolist()) == {10}
    assert (draws % 2 == 0).all()

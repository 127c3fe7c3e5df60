"""A head of one layer: the regression is scikit-learn's to the digit, nothing is tuned on what it was learnt from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from workers.slm.fitting import calibration, figures
from workers.slm.fitting.folds import folds, kept, strata
from workers.slm.fitting.head import FOLDS, fit_head
from workers.slm.fitting.logistic import fit_binary, fit_softmax
from workers.slm.heads import Heads, Layer


def embeddings(n: int, d: int, labels: int, spread: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Texts of `labels` kinds as an encoder gives them: unit vectors that lie close together."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(n) % labels)
    centres = rng.normal(size=(labels, d))
    x = 3 + centres[label] + spread * rng.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True), label


def onehot(label: NDArray[np.int64], labels: int) -> NDArray[np.bool_]:
    matrix: NDArray[np.bool_] = label[:, None] == np.arange(labels)[None]
    return matrix


# --- the regression -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
def test_the_regression_is_scikit_learns(labels: int, c: float) -> None:
    x, label = embeddings(300, 24, labels, 3.0, seed=labels)
    ours = fit_softmax(x, label, labels, c, tolerance=1e-8)
    theirs = LogisticRegression(C=c, tol=1e-8, max_iter=5_000).fit(x, label)
    probabilities = calibration.probabilities("softmax", ours(x))
    assert probabilities == pytest.approx(theirs.predict_proba(x), abs=5e-4)
    if labels > 2:
        assert ours.weight == pytest.approx(theirs.coef_, abs=5e-4)
    else:
        assert ours.weight[1:] - ours.weight[:1] == pytest.approx(theirs.coef_, abs=5e-4)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_binary_regression_is_scikit_learns_when_labels_are_rare_too(share: float) -> None:
    x, _ = embeddings(400, 16, 2, 3.0, seed=1)
    yes = x[:, 0] > np.quantile(x[:, 0], 1 - share)
    ours = fit_binary(x, yes, 10.0, tolerance=1e-8)
    theirs = LogisticRegression(C=10.0, tol=1e-8, max_iter=5_000).fit(x, yes)
    assert ours.weight == pytest.approx(theirs.coef_, abs=5e-4)
    assert ours.bias == pytest.approx(theirs.intercept_, abs=5e-4)


def test_texts_that_a_line_parts_wholly_end_the_search_too() -> None:
    x, label = embeddings(60, 8, 3, 0.01, seed=2)
    layer = fit_softmax(x, label, 3, 300.0)
    assert np.isfinite(layer.weight).all()
    assert (layer(x).argmax(axis=1) == label).all()


# --- figures ------------------------------------------------------------------------------------------------------------

MATRICES = st.integers(2, 5).flatmap(
    lambda labels: st.lists(
        st.tuples(st.integers(0, labels - 1), st.integers(0, labels - 1)), min_size=1, max_size=40
    ).map(lambda pairs: (labels, np.array(pairs)))
)


@settings(deadline=None)
@given(MATRICES)
def test_the_figures_are_scikit_learns(drawn: tuple[int, NDArray[np.int64]]) -> None:
    labels, pairs = drawn
    gold, said = pairs.T
    names = [str(number) for number in range(labels)]
    ours = figures.per_label(onehot(gold, labels), onehot(said, labels), names)
    theirs = precision_recall_fscore_support(gold, said, labels=range(labels), zero_division=0)
    assert pytest.approx(np.array(theirs), abs=1e-4) == np.array([[f.precision, f.recall, f.f1, f.n] for f in ours]).T
    there = np.unique(gold)
    macro = figures.macro_f1(onehot(gold, labels), onehot(said, labels))
    assert macro == pytest.approx(f1_score(gold, said, labels=there, average="macro", zero_division=0))
    assert figures.confusion(onehot(gold, labels), onehot(said, labels)) == (
        confusion_matrix(gold, said, labels=range(labels)).tolist()
    )


def test_the_interval_holds_the_figure_and_narrows_with_more_texts() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for n in (50, 2_000):
        gold = onehot(rng.integers(0, 3, n), 3)
        said = np.where((rng.random(n) < 0.7)[:, None], gold, np.roll(gold, 1, axis=1))
        low, high = figures.interval(gold, said, seed=0)
        assert low <= figures.macro_f1(gold, said) <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
    perfect = onehot(np.arange(30) % 3, 3)
    assert figures.interval(perfect, perfect, seed=0) == (0.9, 1.0)


def test_always_the_most_frequent_label_is_what_it_says() -> None:
    gold = onehot(np.array([0, 0, 0, 1]), 2)
    assert figures.of_most_frequent(gold) == pytest.approx((6 / 7) / 2)


# --- folds and holdout --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=20, max_size=120), st.integers(0, 9))
def test_folds_share_out_every_label_and_leave_one_of_each_to_learn_from(groups: list[int], seed: int) -> None:
    rows = np.array(groups)
    fold = folds(rows, FOLDS, seed)
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 1
    for group in set(groups):
        counts = np.bincount(fold[rows == group], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
        assert groups.count(group) == 1 or counts.max() < groups.count(group)


def test_the_holdout_has_its_share_of_every_label_and_a_text_stays_on_its_side_when_the_file_grows() -> None:
    texts = [f"text {number}" for number in range(1_000)]
    groups = np.arange(1_000) % 4
    few, many = (kept(texts[:n], groups[:n], 0.2, seed=0) for n in (500, 1_000))
    assert [int(many[groups == group].sum()) for group in range(4)] == [50] * 4
    assert (few != many[:500]).mean() < 0.03
    assert (kept(texts, groups, 0.2, seed=1) != many).any()


def test_of_two_texts_of_a_label_neither_is_held_out() -> None:
    held = kept(list("abcdefg"), np.array([0, 0, 1, 1, 1, 2, 2]), 0.5, seed=0)
    assert held.tolist() == [False, False, *held[2:5].tolist(), False, False]
    assert held[2:5].sum() == 1


def test_a_text_of_several_labels_is_dealt_by_the_rarest() -> None:
    gold = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], bool)
    assert strata(gold).tolist() == [1, 0, 0, -1]


# --- a whole head -------------------------------------------------------------------------------------------------------


def test_a_head_is_honest_about_texts_it_has_not_seen() -> None:
    """Labels by chance: what it says of its own training texts may be right, what it says out of fold is not."""
    x, _ = embeddings(400, 300, 2, 3.0, seed=4)
    label = np.random.default_rng(5).integers(0, 2, 400)
    fitted = fit_head(x.astype(np.float32), onehot(label, 2), "softmax", ("no", "yes"), {}, seed=0)
    assert figures.macro_f1(onehot(label, 2), fitted.out_of_fold) < 0.6
    assert fitted.error_after < 0.15
    assert fitted.card.temperature > 1.5


def test_a_head_learns_what_can_be_learnt_and_serving_gives_the_same_answer() -> None:
    x, label = embeddings(300, 32, 3, 1.0, seed=6)
    vectors = x.astype(np.float32)
    fitted = fit_head(vectors, onehot(label, 3), "softmax", ("a", "b", "c"), {"a": 0.6}, seed=0)
    assert figures.macro_f1(onehot(label, 3), fitted.out_of_fold) > 0.95
    layer = Layer(fitted.layer.weight.astype(np.float32), fitted.layer.bias.astype(np.float32))
    served = Heads({"h": fitted.card}, {"h": (layer,)}, None).probabilities("h", vectors)
    ours = calibration.probabilities("softmax", fitted.layer(x), fitted.card.temperature)
    assert served == pytest.approx(ours, abs=1e-3)
    assert fitted.card.thresholds == {"a": 0.6}


def test_few_texts_that_are_all_right_make_no_head_certain() -> None:
    x, label = embeddings(20, 32, 2, 0.1, seed=7)
    fitted = fit_head(x.astype(np.float32), onehot(label, 2), "softmax", ("a", "b"), {}, seed=0)
    p = calibration.probabilities("softmax", fitted.layer(x), fitted.card.temperature)
    assert 0.9 < p.max(axis=1).mean() < 0.995


def test_a_sigmoid_head_gives_any_number_of_labels_with_thresholds_of_its_own() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(500, 32))
    gold = np.stack([x[:, 0] > 0, x[:, 1] > 1.2, x[:, 2] > -0.5], axis=1)
    x = (3 + x) / np.linalg.norm(3 + x, axis=1, keepdims=True)
    fitted = fit_head(x.astype(np.float32), gold, "sigmoid", ("a", "rare", "c"), {}, seed=0)
    assert figures.macro_f1(gold, fitted.out_of_fold) > 0.85
    assert set(fitted.card.thresholds) == {"a", "rare", "c"}
    assert {0, 1, 2, 3} == set(fitted.out_of_fold.sum(axis=1).tolist())


def test_the_same_texts_and_seed_give_the_same_head() -> None:
    x, label = embeddings(100, 16, 3, 2.0, seed=9)
    first, second = (
        fit_head(x.astype(np.float32), onehot(label, 3), "softmax", ("a", "b", "c"), {}, 0) for _ in range(2)
    )
    assert first.card == second.card
    assert np.array_equal(first.layer.weight, second.layer.weight)


def test_the_temperature_found_is_the_best_of_all_temperatures() -> None:
    x, label = embeddings(200, 16, 3, 4.0, seed=10)
    logits = 10 * fit_softmax(x, label, 3, 300.0)(x)
    found = calibration.fit_temperature("softmax", logits, onehot(label, 3))
    least = calibration.surprise("softmax", logits, onehot(label, 3), found)
    others = [calibration.surprise("softmax", logits, onehot(label, 3), t) for t in np.geomspace(0.05, 50, 200)]
    assert least <= min(others) + 1e-4
    before, after = (calibration.probabilities("softmax", logits, t) for t in (1.0, found))
    gold = onehot(label, 3)
    assert calibration.error("softmax", after, gold) < calibration.error("softmax", before, gold) / 2

"""Figures from confusion matrices and confidences, in numpy alone.

A confusion matrix (..., k, k) counts texts: rows are the true labels, columns the given ones. Macro figures are means over
the labels that the truth holds, as the papers of SemEval and XLM-T have them. All figures are shares in [0, 1].
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Hits = NDArray[np.bool_]

BINS = 15
MOST_POINTS = 200  # of a coverage curve: more cannot be seen


class Bin(NamedTuple):
    """The texts whose confidence lies in [low, high), the last bin's in [low, high]: how many, how sure, how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Coverage(NamedTuple):
    """Of the texts answered with at least `confidence`: their share of all, and how often the answer is right."""

    confidence: float
    coverage: float
    accuracy: float


def confusion(gold: Labels, said: Labels, labels: int) -> NDArray[np.int64]:
    """True and given labels (n,) as indices below `labels` -> the confusion matrix (labels, labels)."""
    counts = np.bincount(gold * labels + said, minlength=labels * labels)
    return counts.reshape(labels, labels).astype(np.int64)


def accuracy(matrix: NDArray[np.generic]) -> Array:
    """Matrices (..., k, k) -> the share of texts on the diagonal (...)."""
    right, _, _ = _counts(matrix)
    share: Array = right.sum(axis=-1) / np.asarray(matrix, float).sum(axis=(-2, -1))
    return share


def macro_recall(matrix: NDArray[np.generic]) -> Array:
    """Matrices (..., k, k) -> the mean over true labels of the share that was found (...)."""
    right, true, _ = _counts(matrix)
    return _mean_of_true(right / np.maximum(true, 1), true)


def macro_f1(matrix: NDArray[np.generic]) -> Array:
    """Matrices (..., k, k) -> the mean over true labels of F1 = 2 · right / (true + given) (...)."""
    right, true, given = _counts(matrix)
    return _mean_of_true(2 * right / np.maximum(true + given, 1), true)


MEASURES: Mapping[str, Callable[[NDArray[np.generic]], Array]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "macro_recall": macro_recall,
}


def calibration_bins(confidence: Array, hit: Hits, bins: int = BINS) -> list[Bin]:
    """Confidences in [0, 1] (n,) and whether the answer was right (n,) -> the bins of equal width that hold texts."""
    slot = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for each in np.unique(slot).tolist():
        inside = slot == each
        mean, share = float(confidence[inside].mean()), float(hit[inside].mean())
        found.append(Bin(each / bins, (each + 1) / bins, int(inside.sum()), mean, share))
    return found


def expected_calibration_error(bins: list[Bin]) -> float:
    """The mean gap between how sure and how often right, each bin by its size (Naeini et al. 2015)."""
    total = sum(each.n for each in bins)
    return sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / total


def coverage_curve(confidence: Array, hit: Hits) -> list[Coverage]:
    """Accuracy when only texts of at least some confidence are answered: from the surest alone to all. Texts of the same
    confidence come in together."""
    order = np.argsort(-confidence, kind="stable")
    sure, right = confidence[order], np.cumsum(hit[order])
    last = np.flatnonzero(np.append(np.diff(sure) != 0, True))
    if len(last) > MOST_POINTS:
        last = last[np.linspace(0, len(last) - 1, MOST_POINTS).round().astype(int)]
    return [Coverage(float(sure[i]), (i + 1) / len(sure), float(right[i] / (i + 1))) for i in last.tolist()]


def at_confidence(confidence: Array, hit: Hits, least: float) -> Coverage | None:
    """What is left when the model abstains below `least`; None when it then answers nothing."""
    answered = confidence >= least
    if not answered.any():
        return None
    return Coverage(least, float(answered.mean()), float(hit[answered].mean()))


def _counts(matrix: NDArray[np.generic]) -> tuple[Array, Array, Array]:
    """A label each (..., k): rightly given, true, given."""
    counts = np.asarray(matrix, float)
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def _mean_of_true(figures: Array, true: Array) -> Array:
    there = true > 0
    mean: Array = (figures * there).sum(axis=-1) / there.sum(axis=-1)
    return mean

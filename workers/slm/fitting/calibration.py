"""Turns logits into honest probabilities, and probabilities into labels: one temperature a head, one threshold a label."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.slm.fitting.figures import Given, calibration_error
from workers.slm.fitting.logistic import Matrix
from workers.slm.heads import HeadCard

Kind = Literal["softmax", "sigmoid"]
THRESHOLDS = np.arange(0.1, 0.91, 0.025)
GOLDEN = (np.sqrt(5) - 1) / 2


def probabilities(kind: Kind, logits: Matrix, temperature: float = 1.0) -> Matrix:
    """Logits (n, labels) -> probabilities (n, labels)."""
    scaled = logits / temperature
    if kind == "sigmoid":
        return np.exp(-np.logaddexp(0, -scaled))
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares


def surprise(kind: Kind, logits: Matrix, gold: Given, temperature: float) -> float:
    """The mean negative log-likelihood, with one text's worth of doubt spread over all labels: or few texts that are all
    right would make a head certain (after Platt 1999, "Probabilistic Outputs for Support Vector Machines")."""
    p = np.clip(probabilities(kind, logits, temperature), 1e-12, 1 - 1e-12)
    doubt = 1 / (len(gold) + 1)
    if kind == "softmax":
        target = (1 - doubt) * gold + doubt / gold.shape[1]
        return float(-(target * np.log(p)).sum(axis=1).mean())
    target = (1 - doubt) * gold + doubt / 2
    return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).mean())


def fit_temperature(kind: Kind, logits: Matrix, gold: Given) -> float:
    """The temperature of the least surprise (Guo et al. 2017), by golden section over e^-4 … e^4."""
    low, high = -4.0, 4.0
    while high - low > 1e-3:
        width = GOLDEN * (high - low)
        left, right = (surprise(kind, logits, gold, float(np.exp(at))) for at in (high - width, low + width))
        low, high = (low, low + width) if left < right else (high - width, high)
    return round(float(np.exp((low + high) / 2)), 4)


def fit_thresholds(p: Matrix, gold: Given) -> NDArray[np.float64]:
    """For each label of a sigmoid head, the threshold of the highest F1; of several, the one nearest to one half."""
    chosen = np.full(p.shape[1], 0.5)
    grid = sorted(THRESHOLDS.tolist(), key=lambda t: abs(t - 0.5))
    for column, (scores, right) in enumerate(zip(p.T, gold.T, strict=True)):
        f1 = [2 * (right & (scores >= t)).sum() / max(1, right.sum() + (scores >= t).sum()) for t in grid]
        chosen[column] = round(grid[int(np.argmax(f1))], 3)
    return chosen


def given_by(card: HeadCard, probabilities: NDArray[np.floating]) -> Given:
    """Probabilities (n, labels) -> the labels given, thresholds of a softmax head left aside."""
    if card.kind == "softmax":
        best: Given = np.arange(len(card.labels))[None] == probabilities.argmax(axis=1)[:, None]
        return best
    given: Given = probabilities >= np.array([card.thresholds.get(label, 0.5) for label in card.labels])
    return given


def error(kind: Kind, p: Matrix, gold: Given) -> float:
    """Expected calibration error, a share of 1: of a softmax head's likeliest label; of every label of a sigmoid head."""
    if kind == "softmax":
        best = p.argmax(axis=1)
        rows = np.arange(len(p))
        return calibration_error(p[rows, best], gold[rows, best])
    return calibration_error(p.ravel(), gold.ravel())

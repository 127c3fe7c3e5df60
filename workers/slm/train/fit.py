"""Fits one linear head on embeddings, calibrates it on other data, and measures it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, recall_score

from workers.slm.fitting import figures

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LinearHead:
    """`weight` (labels, d), `bias` (labels,) and the temperature fitted on dev."""

    weight: Array
    bias: Array
    temperature: float

    def logits(self, x: Array) -> Array:
        return x @ self.weight.T + self.bias


def fit_softmax(
    x: Array, labels: NDArray[np.int64], weights: Array, dev: tuple[Array, NDArray[np.int64]], c: float
) -> LinearHead:
    """Multinomial logistic regression (L2, inverse strength `c`); temperature by dev likelihood (Guo et al. 2017)."""
    model = LogisticRegression(C=c, max_iter=2000).fit(x, labels, sample_weight=weights)
    head = LinearHead(model.coef_.astype(np.float32), model.intercept_.astype(np.float32), 1.0)
    logits = head.logits(dev[0])
    return LinearHead(head.weight, head.bias, temperature(logits, dev[1]))


def fit_plain(x: Array, labels: NDArray[np.int64], weights: Array, c: float) -> LinearHead:
    """Logistic regression without a temperature; of two labels one column, the second one's."""
    model = LogisticRegression(C=c, max_iter=2000).fit(x, labels, sample_weight=weights)
    return LinearHead(model.coef_.astype(np.float32), model.intercept_.astype(np.float32), 1.0)


def rare_weights(labels: NDArray[np.int64], power: float) -> Array:
    """A weight a text: its label's rarity to a power, 0 for all alike, 1 for labels that count alike; mean 1."""
    counts = np.bincount(labels)[labels]
    weights = (len(labels) / counts) ** power
    scaled: Array = (weights / weights.mean()).astype(np.float32)
    return scaled


def fit_sigmoid(x: Array, targets: NDArray[np.bool_], c: float, weights: Array | None = None) -> LinearHead:
    """One balanced logistic regression a column of `targets` (n, labels). `weights` (n,) of the texts."""
    models = [
        LogisticRegression(C=c, max_iter=2000, class_weight="balanced").fit(x, column, sample_weight=weights)
        for column in targets.T
    ]
    weight = np.concatenate([model.coef_ for model in models]).astype(np.float32)
    bias = np.concatenate([model.intercept_ for model in models]).astype(np.float32)
    return LinearHead(weight, bias, 1.0)


def balanced(domains: list[str], labels: NDArray[np.int64]) -> Array:
    """Weights that let every domain, and in it every label, count alike; a domain's square root of size is kept."""
    weights = np.zeros(len(labels), np.float32)
    names = np.array(domains)
    for domain in sorted(set(domains)):
        inside = names == domain
        present = sorted(set(labels[inside].tolist()))
        for label in present:
            chosen = inside & (labels == label)
            weights[chosen] = np.sqrt(inside.sum()) / (len(present) * chosen.sum())
    scaled: Array = weights * np.float32(len(weights) / weights.sum())
    return scaled


def best_threshold(probabilities: Array, gold: NDArray[np.bool_]) -> float:
    """The threshold of a grid with the highest F1."""
    grid = np.arange(0.1, 0.95, 0.025)
    return float(grid[int(np.argmax([f1_score(gold, probabilities >= t, zero_division=0) for t in grid]))])


def macro_recall(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return round(100 * float(recall_score(gold, said, average="macro")), 2)


def macro_f1(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return round(100 * float(f1_score(gold, said, average="macro")), 2)


def f1(said: NDArray[np.bool_], gold: NDArray[np.bool_]) -> float:
    hit = int((said & gold).sum())
    return round(200 * hit / max(1, int(said.sum()) + int(gold.sum())), 2)


def accuracy_at_coverage(logits: Array, gold: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy in percent when only the surest 100, 90, 75 and 50 percent are answered."""
    shares = _softmax(logits)
    order = np.argsort(-shares.max(axis=1), kind="stable")
    hit = (shares.argmax(axis=1) == gold)[order]
    return {
        f"accuracy_at_{c}": round(100 * float(hit[: max(1, len(hit) * c // 100)].mean()), 2) for c in (100, 90, 75, 50)
    }


def calibration_error(logits: Array, gold: NDArray[np.int64], temperature: float) -> float:
    """Expected calibration error of the likeliest label, in percent."""
    shares = _softmax(logits / temperature)
    return round(100 * figures.calibration_error(shares.max(axis=1), shares.argmax(axis=1) == gold), 2)


def temperature(logits: Array, gold: NDArray[np.int64]) -> float:
    """The temperature of the highest likelihood (Guo et al. 2017)."""

    def loss(log_t: float) -> float:
        shares = _softmax(logits / np.exp(log_t))
        return float(-np.log(np.maximum(shares[np.arange(len(gold)), gold], 1e-9)).mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 4)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares

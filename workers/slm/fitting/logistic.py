"""Logistic regression with an L2 penalty, multinomial and binary, by L-BFGS: what a head of one layer needs.

It minimises the mean negative log-likelihood plus |weight|² / (2 · c · n), as scikit-learn's LogisticRegression(C=c) does;
the bias bears no penalty. A test holds the two equal.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Matrix = NDArray[np.float64]
Loss = Callable[[Matrix], tuple[float, Matrix]]

MOST_STEPS = 1_000


@dataclass(frozen=True)
class Linear:
    """One linear layer: `weight` (labels, d), `bias` (labels,)."""

    weight: Matrix
    bias: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        """(n, d) -> logits (n, labels)."""
        return x @ self.weight.T + self.bias


def fit_softmax(x: Matrix, label: NDArray[np.int64], labels: int, c: float, tolerance: float = 1e-6) -> Linear:
    """From embeddings (n, d) and each one's label, a column of `labels`. Two labels are one binary regression."""
    if labels == 2:
        one = fit_binary(x, label == 1, c, tolerance)
        return Linear(np.concatenate([-one.weight, one.weight]) / 2, np.concatenate([-one.bias, one.bias]) / 2)
    n, d = x.shape
    rows = np.arange(n)

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        weight, bias = _parts(flat, labels, d)
        logits = x @ weight.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1)
        value = (np.log(total) - logits[rows, label]).mean() + (weight * weight).sum() / (2 * c * n)
        off = powers / total[:, None]
        off[rows, label] -= 1
        return float(value), np.concatenate([(off.T @ x / n + weight / (c * n)).ravel(), off.mean(axis=0)])

    weight, bias = _parts(_least(loss, np.zeros(labels * (d + 1)), tolerance), labels, d)
    return Linear(weight, bias)


def fit_binary(x: Matrix, yes: NDArray[np.bool_], c: float, tolerance: float = 1e-6) -> Linear:
    """From embeddings (n, d) and whether each bears the label; a layer of one logit."""
    n, d = x.shape
    sign = np.where(yes, 1.0, -1.0)

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        weight, bias = flat[:d], flat[d]
        margin = sign * (x @ weight + bias)
        value = np.logaddexp(0, -margin).mean() + (weight @ weight) / (2 * c * n)
        off = -sign * np.exp(-np.logaddexp(0, margin))
        return float(value), np.append(off @ x / n + weight / (c * n), off.mean())

    flat = _least(loss, np.zeros(d + 1), tolerance)
    return Linear(flat[None, :d], flat[d:])


def _least(loss: Loss, start: Matrix, tolerance: float) -> Matrix:
    """Where a smooth convex function is least: the largest part of its gradient is at most `tolerance`, or no step helps."""
    options = {"gtol": tolerance, "ftol": 0.0, "maxiter": MOST_STEPS}
    found: Matrix = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return found


def _parts(flat: Matrix, labels: int, d: int) -> tuple[Matrix, Matrix]:
    return flat[: labels * d].reshape(labels, d), flat[labels * d :]

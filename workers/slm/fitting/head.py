"""Fits a head of one layer on embeddings: cross-validation chooses the penalty, its out-of-fold logits the temperature and
the thresholds, so nothing is tuned on what it was learnt from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.slm.fitting.calibration import (
    Kind,
    error,
    fit_temperature,
    fit_thresholds,
    given_by,
    probabilities,
    surprise,
)
from workers.slm.fitting.figures import Given, macro_f1
from workers.slm.fitting.folds import folds, strata
from workers.slm.fitting.logistic import Linear, Matrix, fit_binary, fit_softmax
from workers.slm.heads import Array, HeadCard

FOLDS = 5
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # inverse, of the L2 penalty, on features of total variance 1
PATIENCE = 2  # so many weaker penalties in a row that were no better end the search
ROUGH = 1e-4  # of the gradient: enough to compare penalties


@dataclass(frozen=True)
class Fitted:
    """A head, and what it said of each training text (n, labels) when it had not learnt from that text's fold.

    `error_before` and `error_after` are the calibration errors without and with a temperature, of texts that had no part
    in fitting it. `strength` is the penalty's, inverse.
    """

    card: HeadCard
    layer: Linear
    out_of_fold: Given
    error_before: float
    error_after: float
    strength: float


def fit_head(
    vectors: Array,
    gold: Given,
    kind: Kind,
    labels: tuple[str, ...],
    thresholds: Mapping[str, float],
    seed: int,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> Fitted:
    """From embeddings (n, d) and the labels they bear (n, labels). `thresholds` are a softmax head's, to be kept.

    Every label must have two rows or more, so that each fold leaves one to learn from.
    """
    x, scale = _scaled(vectors)
    fold = folds(strata(gold), FOLDS, seed)
    choices: list[_Choice] = []
    for done, strength in enumerate(STRENGTHS):
        on_step(done, len(STRENGTHS))
        logits = _out_of_fold(x, gold, fold, kind, strength)
        temperature = fit_temperature(kind, logits, gold)
        figure = macro_f1(gold, _crossed(logits, gold, fold, kind, labels)[0])
        choices.append(_Choice(strength, logits, temperature, figure, surprise(kind, logits, gold, temperature)))
        best = max(choices, key=lambda choice: (round(choice.figure, 9), -choice.surprise))
        if len(choices) - choices.index(best) > PATIENCE:
            break
    said, before, after = _crossed(best.logits, gold, fold, kind, labels)
    chosen = dict(thresholds)
    if kind == "sigmoid":
        values = fit_thresholds(probabilities(kind, best.logits, best.temperature), gold)
        chosen = {label: float(value) for label, value in zip(labels, values, strict=True)}
    card = HeadCard(kind=kind, labels=labels, temperature=best.temperature, thresholds=chosen)
    return Fitted(card, scale.undone(_layer(x, gold, kind, best.strength)), said, before, after, best.strength)


@dataclass(frozen=True, eq=False)
class _Choice:
    strength: float
    logits: Matrix
    temperature: float
    figure: float
    surprise: float


@dataclass(frozen=True)
class _Scale:
    """Features were centred on `middle` and divided by `size`: it makes the search quick and the penalties comparable."""

    middle: Matrix
    size: float

    def undone(self, layer: Linear) -> Linear:
        """The layer that gives, on features as they were, what `layer` gives on the scaled ones."""
        weight = layer.weight / self.size
        return Linear(weight, layer.bias - weight @ self.middle)


def _scaled(vectors: Array) -> tuple[Matrix, _Scale]:
    x = vectors.astype(np.float64)
    middle = x.mean(axis=0)
    size = float(np.sqrt(((x - middle) ** 2).sum(axis=1).mean())) or 1.0
    return (x - middle) / size, _Scale(middle, size)


def _out_of_fold(x: Matrix, gold: Given, fold: NDArray[np.int64], kind: Kind, strength: float) -> Matrix:
    logits = np.zeros(gold.shape)
    for number in np.unique(fold):
        inside = fold == number
        logits[inside] = _layer(x[~inside], gold[~inside], kind, strength, ROUGH)(x[inside])
    return logits


def _layer(x: Matrix, gold: Given, kind: Kind, strength: float, tolerance: float = 1e-6) -> Linear:
    if kind == "softmax":
        return fit_softmax(x, gold.argmax(axis=1), gold.shape[1], strength, tolerance)
    ones = [fit_binary(x, column, strength, tolerance) for column in gold.T]
    return Linear(np.concatenate([one.weight for one in ones]), np.concatenate([one.bias for one in ones]))


def _crossed(
    logits: Matrix, gold: Given, fold: NDArray[np.int64], kind: Kind, labels: Sequence[str]
) -> tuple[Given, float, float]:
    """The labels given, and the calibration errors before and after, each fold under what the other folds have fitted."""
    said = np.zeros(gold.shape, bool)
    tempered = np.zeros(gold.shape)
    for number in np.unique(fold):
        inside = fold == number
        temperature = fit_temperature(kind, logits[~inside], gold[~inside])
        tempered[inside] = probabilities(kind, logits[inside], temperature)
        thresholds = {}
        if kind == "sigmoid":
            values = fit_thresholds(probabilities(kind, logits[~inside], temperature), gold[~inside])
            thresholds = dict(zip(labels, values.tolist(), strict=True))
        said[inside] = given_by(HeadCard(kind=kind, labels=tuple(labels), thresholds=thresholds), tempered[inside])
    return said, error(kind, probabilities(kind, logits), gold), error(kind, tempered, gold)

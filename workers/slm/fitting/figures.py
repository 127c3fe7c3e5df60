"""How good a head is. Labels given and labels that are right are boolean matrices (n, labels): one True a row for a softmax
head, any number for a sigmoid head. Every figure is a share of 1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Given = NDArray[np.bool_]
DRAWS = 500


@dataclass(frozen=True)
class LabelFigures:
    """Of one label: `n` texts bear it."""

    label: str
    n: int
    precision: float
    recall: float
    f1: float


def per_label(gold: Given, said: Given, labels: Sequence[str]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of every label; 0 where nothing was said or nothing was there."""
    hit, told, there = (gold & said).sum(axis=0), said.sum(axis=0), gold.sum(axis=0)
    precision, recall = hit / np.maximum(told, 1), hit / np.maximum(there, 1)
    f1 = 2 * hit / np.maximum(told + there, 1)
    columns = zip(labels, there, precision, recall, f1, strict=True)
    return tuple(LabelFigures(name, int(n), *(round(float(x), 4) for x in rest)) for name, n, *rest in columns)


def macro_f1(gold: Given, said: Given) -> float:
    """The mean F1 of the labels that some text bears; 0 when no text bears any."""
    return float(_macro(*(part.sum(axis=0, keepdims=True).astype(float) for part in (gold & said, said, gold)))[0])


def interval(gold: Given, said: Given, seed: int) -> tuple[float, float]:
    """Where the macro F1 of 95 of 100 such samples would lie (bootstrap percentiles, Efron 1979). Without a single error the
    bootstrap knows no other sample: then up to 3 in n may be wrong (Hanley and Lippman-Hand 1983, the rule of three)."""
    if (gold == said).all():
        return round(max(0.0, 1 - 3 / len(gold)), 4), 1.0
    n, rng = len(gold), np.random.default_rng(seed)
    drawn = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(DRAWS)]).astype(float)
    figures = _macro(*(drawn @ part.astype(float) for part in (gold & said, said, gold)))
    low, high = np.percentile(figures, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def of_most_frequent(gold: Given) -> float:
    """The macro F1 of giving every text the most frequent label and no other."""
    said = np.zeros_like(gold)
    said[:, int(gold.sum(axis=0).argmax())] = True
    return macro_f1(gold, said)


def confusion(gold: Given, said: Given) -> list[list[int]]:
    """Of a softmax head: how many texts of the row's label were given the column's."""
    counted: list[list[int]] = (gold.astype(int).T @ said.astype(int)).tolist()
    return counted


def calibration_error(confidence: NDArray[np.floating], right: Given, bins: int = 15) -> float:
    """Expected calibration error of answers (n,) and whether they were right (Naeini et al. 2015)."""
    slot = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(slot, minlength=bins)
    gaps = np.abs(np.bincount(slot, confidence, bins) - np.bincount(slot, right.astype(float), bins))
    return round(float(gaps.sum() / max(1, count.sum())), 4)


def _macro(hit: NDArray[np.float64], told: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """From counts (samples, labels) -> macro F1 (samples,)."""
    f1 = np.where(there > 0, 2 * hit / np.maximum(told + there, 1), 0)
    mean: NDArray[np.float64] = f1.sum(axis=1) / np.maximum((there > 0).sum(axis=1), 1)
    return mean

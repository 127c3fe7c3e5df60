"""How far a figure would move with other texts of the same kind: percentile bootstrap over texts (Efron 1979).

Texts that fared alike are one pattern, so a resample is one multinomial draw over the patterns, however many the texts.
All contestants are resampled together: a difference between two of them is paired.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
AT_ONCE = 100  # resamples drawn together, so that many patterns need little room
SEED = 20_261_124
LEVEL = 0.95


class Interval(NamedTuple):
    """A figure and the ends of its confidence interval, in the figure's own unit."""

    value: float
    low: float
    high: float


def resampled(outcomes: NDArray[np.integer[Any]], seed: int = SEED, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """What each text adds to the counts, (n, ...) -> the counts of each resample of n texts, (resamples, ...)."""
    count, *shape = outcomes.shape
    patterns, times = np.unique(outcomes.reshape(count, -1), axis=0, return_counts=True)
    plain, shares = patterns.astype(float), times / count  # floats hold counts exactly, and multiply far faster
    rng = np.random.default_rng(seed)
    starts = range(0, resamples, AT_ONCE)
    drawn = [rng.multinomial(count, shares, size=min(AT_ONCE, resamples - start)) @ plain for start in starts]
    return np.concatenate(drawn).astype(np.int64).reshape(resamples, *shape)


def interval(
    figure: Callable[[NDArray[np.generic]], NDArray[np.float64]],
    counts: NDArray[np.int64],
    resamples: NDArray[np.int64],
) -> Interval:
    """The figure of `counts` (...) with the percentiles of the same figure over `resamples` (resamples, ...)."""
    return Interval(float(figure(counts)), *_ends(figure(resamples)))


def paired_difference(
    figure: Callable[[NDArray[np.generic]], NDArray[np.float64]],
    counts: tuple[NDArray[np.int64], NDArray[np.int64]],
    resamples: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Interval:
    """The first's figure minus the second's, both on the same texts of each resample."""
    ours, theirs = counts
    return Interval(float(figure(ours) - figure(theirs)), *_ends(figure(resamples[0]) - figure(resamples[1])))


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)

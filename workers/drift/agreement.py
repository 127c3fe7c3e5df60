"""How often people disagree with the model, in two windows: the only direct evidence of its quality.

Intervals of shares are Wilson's (1927), that of their difference is Newcombe's hybrid score interval (1998, method 10).
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from scipy.special import ndtri

LEAST_LOOKED_AT = 20  # texts of each window: below it nothing is read into them


class Bounds(NamedTuple):
    """A share or a difference of shares, and the ends of its interval."""

    value: float
    low: float
    high: float


class Trend(StrEnum):
    """What the difference says. Programs may switch on these."""

    WORSE = "worse"
    BETTER = "better"
    NO_DIFFERENCE = "no_difference"
    TOO_FEW = "too_few"


class Looked(NamedTuple):
    """Of so many texts that people gave a label, how many got another one than the model's."""

    texts: int
    disagreed: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """`share` and `reference_share` are of texts on which people disagreed, `change` the first minus the second; None for an
    empty side."""

    now: Looked
    reference: Looked
    share: Bounds | None
    reference_share: Bounds | None
    change: Bounds | None
    trend: Trend


def wilson(counted: int, of: int, level: float = 0.05) -> Bounds:
    """A share (0…1) with its interval of confidence 1 − `level`; `of` ≥ 1."""
    z = float(ndtri(1 - level / 2))
    share = counted / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Bounds(share, min(share, middle - half), max(share, middle + half))


def agreement(now: Looked, reference: Looked, level: float = 0.05) -> Agreement:
    """Both windows side by side; `level` (0…1) is that of every interval, and of the trend that is read off the last."""
    a = wilson(now.disagreed, now.texts, level) if now.texts else None
    b = wilson(reference.disagreed, reference.texts, level) if reference.texts else None
    if a is None or b is None:
        return Agreement(now, reference, a, b, None, Trend.TOO_FEW)
    change = a.value - b.value
    low = change - sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    high = change + sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Agreement(now, reference, a, b, Bounds(change, low, high), _trend(now, reference, low, high))


def _trend(now: Looked, reference: Looked, low: float, high: float) -> Trend:
    if min(now.texts, reference.texts) < LEAST_LOOKED_AT:
        return Trend.TOO_FEW
    if low > 0:
        return Trend.WORSE
    return Trend.BETTER if high < 0 else Trend.NO_DIFFERENCE

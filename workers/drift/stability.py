"""The population stability index of two mixtures, how it is read, and what of it chance alone would give."""

import math
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from scipy.special import chdtri

MAX_NOISE = 0.05  # of the index, expected by chance alone: beyond it there are too few texts to read anything into it
RARE = 0.01  # of the reference: kinds below it count as one
OTHER = "other"
LOWEST_BAND = 5  # below one half the bands of confidence count as one
MOVING, SHIFTED = 0.1, 0.25  # the usual limits of credit scoring (Siddiqi, Credit Risk Scorecards, 2006)


class Reading(StrEnum):
    """How an index is usually read. Programs may switch on these."""

    STEADY = "steady"  # < 0.1
    MOVING = "moving"  # 0.1 … 0.25
    SHIFTED = "shifted"  # > 0.25
    TOO_FEW = "too_few"


def psi(reference: Counter[str], now: Counter[str]) -> float | None:
    """Sum over all kinds of (a − b) · ln(a / b), a and b the shares now and in the reference; ≥ 0.

    Half a text is added to every kind, so that one that is new or gone gives a number. None when chance alone would be
    expected to give more than MAX_NOISE: (kinds − 1) · (1/n + 1/m) for n and m texts (Yurdakul and Naranjo, 2020).
    """
    kinds = sorted(reference | now)
    n, m = now.total(), reference.total()
    if not n or not m or (len(kinds) - 1) * (1 / n + 1 / m) > MAX_NOISE:
        return None
    half = 0.5 * len(kinds)
    shares = [((now[kind] + 0.5) / (n + half), (reference[kind] + 0.5) / (m + half)) for kind in kinds]
    return math.fsum((a - b) * math.log(a / b) for a, b in shares)


def chance_limit(reference: Counter[str], now: Counter[str], level: float) -> float:
    """What the index of two samples of one mixture exceeds with a probability of `level` (0…1): (1/n + 1/m) times the
    quantile of chi-square with kinds − 1 degrees of freedom (Yurdakul and Naranjo, 2020). Infinite for an empty side."""
    kinds = len(reference | now)
    n, m = now.total(), reference.total()
    if not n or not m:
        return math.inf
    return float(chdtri(kinds - 1, level)) * (1 / n + 1 / m) if kinds > 1 else 0.0


def reading(index: float | None) -> Reading:
    """The usual words for it."""
    if index is None:
        return Reading.TOO_FEW
    if index < MOVING:
        return Reading.STEADY
    return Reading.MOVING if index <= SHIFTED else Reading.SHIFTED


def band_name(band: int) -> str:
    """Of a band of confidence in tenths, 0 to 9: where it begins."""
    return f"{band / 10 if band >= LOWEST_BAND else 0.0}"


def frequent(reference: Mapping[str, int]) -> set[str]:
    """The kinds that are not rare in the reference."""
    rare = RARE * sum(reference.values())
    return {name for name, texts in reference.items() if texts >= rare}


def join_rare(counts: Counter[str], kept: set[str], called: str = OTHER) -> None:
    """Counts as one what is not among `kept`; leaves everything as it is when nothing is."""
    if kept:
        for name in [name for name in counts if name not in kept]:
            counts[called] += counts.pop(name)

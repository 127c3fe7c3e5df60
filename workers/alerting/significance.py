"""The tests: how likely is what a window shows, if the product is as it was in the windows before?

Both are predictive: that the past is known from a few windows only is part of the answer, and so is that windows of the past
vary more than chance (overdispersion). With one text a window more or less they are exact, so a p value below a level comes
by chance at most as often as the level says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, gammaln

BETA_BINOMIAL = "beta-binomial"
NEGATIVE_BINOMIAL = "negative binomial"
_JEFFREYS = 0.5
_PRIOR_WINDOWS = 6.0  # how many windows the belief that a past varies by chance alone is worth


@dataclass(frozen=True, slots=True)
class Finding:
    """`expected` counts what `observed` counts; `p_value` 0…1."""

    expected: float
    p_value: float


def share_is_high(observed: int, texts: int, past: Sequence[tuple[int, int]]) -> Finding:
    """P(at least `observed` of `texts`), given (counted, texts) of each window of the past.

    The share is beta distributed: Jeffreys' prior and the past's counts. Windows of the past that differ more than chance
    lets them (Pearson's chi-square) add their variance as a correlation of the texts in a window.
    """
    counted, of = sum(row[0] for row in past), sum(row[1] for row in past)
    share = (counted + _JEFFREYS) / (of + 2 * _JEFFREYS)
    spread, mean_texts = _share_spread(past, counted / of if of else 0.0)
    between = max(0.0, (spread - 1) / (mean_texts - 1)) if mean_texts > 1 else 0.0
    between = min(between, 0.5)
    known = 1 / (of / spread + 2)
    together = between + (1 - between) * known
    concentration = 1 / together - 1
    return Finding(
        texts * share, _beta_binomial_tail(observed, texts, share * concentration, (1 - share) * concentration)
    )


def count_is_high(observed: int, past: Sequence[int]) -> Finding:
    """P(at least `observed`), given the counts of the windows of the past.

    Gamma-Poisson predictive: negative binomial of mean m = (sum + 1/2) / windows and variance m·f·(1 + 1/windows), where
    f is how much more the past varies than Poisson counts would.
    """
    mean, factor = _rate(past, 1)
    return Finding(mean, _negative_binomial_tail(observed, mean, factor))


def nothing_is_low(windows: float, past: Sequence[int]) -> Finding:
    """P(nothing at all in `windows` windows, which may be a part of one), by the same predictive."""
    mean, factor = _rate(past, windows)
    return Finding(mean, float(factor ** (-mean / (factor - 1))))


def _rate(past: Sequence[int], windows: float) -> tuple[float, float]:
    """Mean of the next `windows` windows together, and their variance over it."""
    mean, seen = (sum(past) + _JEFFREYS) / len(past), sum(past) / len(past)
    squares = sum((count - seen) ** 2 for count in past) / seen if seen else 0.0
    spread = max(1.0, (_PRIOR_WINDOWS + squares) / (_PRIOR_WINDOWS + len(past) - 1))
    return mean * windows, spread * (1 + windows / len(past))


def _share_spread(past: Sequence[tuple[int, int]], share: float) -> tuple[float, float]:
    """How much more the windows' shares vary than chance lets them (1 or more), and a window's mean number of texts."""
    filled = [(counted, texts) for counted, texts in past if texts]
    if not 0 < share < 1:
        return 1.0, 0.0
    squares = sum((counted - texts * share) ** 2 / (texts * share * (1 - share)) for counted, texts in filled)
    spread = max(1.0, (_PRIOR_WINDOWS + squares) / (_PRIOR_WINDOWS + len(filled) - 1))
    return spread, sum(texts for _, texts in filled) / len(filled)


def _beta_binomial_tail(observed: int, texts: int, alpha: float, beta: float) -> float:
    """P(X >= observed), X beta-binomial of `texts` draws."""
    if observed <= 0:
        return 1.0
    counts = np.arange(observed, texts + 1)
    choose = gammaln(texts + 1) - gammaln(counts + 1) - gammaln(texts - counts + 1)
    terms = np.exp(choose + betaln(counts + alpha, texts - counts + beta) - betaln(alpha, beta))
    return float(min(1.0, terms.sum()))


def _negative_binomial_tail(observed: int, mean: float, factor: float) -> float:
    """P(X >= observed), X negative binomial of this mean and variance `mean * factor` (factor above 1)."""
    if observed <= 0:
        return 1.0
    return float(betainc(observed, mean / (factor - 1), 1 - 1 / factor))

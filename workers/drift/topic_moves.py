"""How far the mean of topic vectors has moved from the four weeks before a week, in units of how far texts lie apart.

With a and b the mean vectors of n and m texts, and s = 1 - |b|^2 the mean squared distance of the reference's unit vectors
from their mean, |a - b|^2 / s is expected to be 1/n + 1/m by chance alone. What is left beyond it is the squared distance
(the linear-kernel statistic of Gretton et al., 2012, over the spread), and the index is its root. Texts on another subject
lie about one spread away: the index is about the share of texts whose subject has changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WEEK_DAYS, REFERENCE_DAYS = 7, 28
SCALE = 127  # of a stored unit vector
MAX_CHANCE = (
    0.02  # of the squared index, expected by chance alone: beyond it there are too few texts to read anything into it
)


class Move(NamedTuple):
    """`distance` is the index; None with too few texts."""

    distance: float | None
    texts: int
    reference_texts: int


class _Sum(NamedTuple):
    texts: int
    vectors: NDArray[np.float64]


class TopicMoves:
    """Of rows (day, pack, texts, sum of their topic vectors as stored): each week beside the weeks before it.

    Packs are taught topics of their own, so that only those of the pack that judged most of the week are compared.
    """

    def __init__(self, found: Iterable[Sequence[Any]]) -> None:
        self._packs: dict[str, dict[date, _Sum]] = defaultdict(dict)
        for day, pack, texts, vectors in found:
            self._packs[pack][day] = _Sum(int(texts), np.asarray(vectors, np.float64) / SCALE)

    def of_week(self, end: date) -> Move:
        """Of the week that ends on `end`."""
        sides = [
            (_summed(days, end, WEEK_DAYS), _summed(days, end - timedelta(days=WEEK_DAYS), REFERENCE_DAYS))
            for days in self._packs.values()
        ]
        now, reference = max(sides, key=lambda pair: pair[0].texts, default=(_NONE, _NONE))
        return Move(moved(now.vectors, now.texts, reference.vectors, reference.texts), now.texts, reference.texts)


def moved(now: NDArray[np.float64], n: int, reference: NDArray[np.float64], m: int) -> float | None:
    """The index of sums (d,) of unit vectors of n and m texts; None with too few, or when their width differs."""
    if not n or not m or 1 / n + 1 / m > MAX_CHANCE or now.shape != reference.shape:
        return None
    a, b = now / n, reference / m
    spread = 1 - float(b @ b)
    if spread <= 0:
        return None  # the same text over and over
    beyond = float((a - b) @ (a - b)) / spread - (1 / n + 1 / m)
    return float(np.sqrt(max(0.0, beyond)))


_NONE = _Sum(0, np.zeros(0))


def _summed(days: dict[date, _Sum], end: date, count: int) -> _Sum:
    """Of the `count` days that end on `end`. Of two widths, which versions of a pack may have, the latest counts."""
    found = [days[day] for ago in range(count) if (day := end - timedelta(days=ago)) in days]
    same = [each for each in found if each.vectors.shape == found[0].vectors.shape]
    if not same:
        return _NONE
    return _Sum(sum(each.texts for each in same), np.sum([each.vectors for each in same], axis=0))

"""Which products' negative share changed most between two windows, and whether chance alone explains it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MIN_EXPECTED = 5.0  # texts that either outcome should have in either window before the normal approximation holds


class Evidence(StrEnum):
    """What the test says, for people. Programs may switch on these."""

    STRONG = "strong"  # p < 0.01
    LIKELY = "likely"  # p < 0.05
    CHANCE = "chance"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class Counts:
    """Texts of a window, and how many of them are negative."""

    texts: int
    negative: int

    @property
    def share(self) -> float | None:
        """0…1; None without texts."""
        return self.negative / self.texts if self.texts else None


@dataclass(frozen=True, slots=True)
class Change:
    """`difference` of shares (−1…1; None when a window is empty), its z and its two-sided p."""

    difference: float | None
    z: float | None
    p: float | None
    evidence: Evidence


def compare(before: Counts, after: Counts) -> Change:
    """The two-proportion z-test with pooled variance (NIST/SEMATECH e-Handbook, 7.3.3), without continuity correction."""
    if before.share is None or after.share is None:
        return Change(None, None, None, Evidence.TOO_FEW)
    difference = after.share - before.share
    texts = before.texts + after.texts
    pooled = (before.negative + after.negative) / texts
    if min(before.texts, after.texts) * min(pooled, 1 - pooled) < MIN_EXPECTED:
        return Change(difference, None, None, Evidence.TOO_FEW)
    z = difference / math.sqrt(pooled * (1 - pooled) * (1 / before.texts + 1 / after.texts))
    p = math.erfc(abs(z) / math.sqrt(2))
    return Change(difference, z, p, _evidence(p))


def _evidence(p: float) -> Evidence:
    if p < 0.01:
        return Evidence.STRONG
    return Evidence.LIKELY if p < 0.05 else Evidence.CHANCE


@dataclass(frozen=True, slots=True)
class Mover:
    product: str
    before: Counts
    after: Counts
    change: Change


def movers(products: Iterable[tuple[str, Counts, Counts]]) -> list[Mover]:
    """Of (product, before, after): those that can be compared, the surest kind first, then the largest change."""
    found = [Mover(product, before, after, compare(before, after)) for product, before, after in products]
    order = list(Evidence)
    found = [mover for mover in found if mover.change.difference is not None]
    return sorted(found, key=lambda m: (order.index(m.change.evidence), -abs(m.change.difference or 0), m.product))

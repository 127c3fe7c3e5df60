"""Which products' negative share changed most between two windows, and whether chance alone explains it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

MIN_EXPECTED = 5.0  # texts that either outcome should have in either window before the normal approximation holds


class Evidence(StrEnum):
    """What the test says, for people. Programs may switch on these."""

    STRONG = "strong"  # q < 0.01
    LIKELY = "likely"  # q < 0.05
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
    """`difference` of shares (−1…1; None when a window is empty), its z and its two-sided p.

    `q` is p corrected for the comparisons made beside this one; alone it is p. `evidence` goes by q.
    """

    difference: float | None
    z: float | None
    p: float | None
    q: float | None
    evidence: Evidence


def compare(before: Counts, after: Counts) -> Change:
    """The two-proportion z-test with pooled variance (NIST/SEMATECH e-Handbook, 7.3.3), without continuity correction."""
    if before.share is None or after.share is None:
        return Change(None, None, None, None, Evidence.TOO_FEW)
    difference = after.share - before.share
    texts = before.texts + after.texts
    pooled = (before.negative + after.negative) / texts
    if min(before.texts, after.texts) * min(pooled, 1 - pooled) < MIN_EXPECTED:
        return Change(difference, None, None, None, Evidence.TOO_FEW)
    z = difference / math.sqrt(pooled * (1 - pooled) * (1 / before.texts + 1 / after.texts))
    p = math.erfc(abs(z) / math.sqrt(2))
    return Change(difference, z, p, p, _evidence(p))


def together(changes: Sequence[Change]) -> list[Change]:
    """The same changes, in order, judged as one family: who looks at two hundred products finds ten with p < 0.05 by chance.

    `q` is p adjusted as Benjamini and Hochberg do (J. R. Statist. Soc. B 57, 1995): of all changes called unlikely to be
    chance at q < 0.05, no more than one in twenty is expected to be chance. What was not tested is no part of the family.
    """
    tested = sorted((change.p, at) for at, change in enumerate(changes) if change.p is not None)
    found, lowest = list(changes), 1.0
    for rank in range(len(tested), 0, -1):
        p, at = tested[rank - 1]
        lowest = min(lowest, p * (len(tested) / rank))
        found[at] = replace(changes[at], q=lowest, evidence=_evidence(lowest))
    return found


def _evidence(q: float) -> Evidence:
    if q < 0.01:
        return Evidence.STRONG
    return Evidence.LIKELY if q < 0.05 else Evidence.CHANCE


@dataclass(frozen=True, slots=True)
class Mover:
    product: str
    before: Counts
    after: Counts
    change: Change


def movers(products: Iterable[tuple[str, Counts, Counts]]) -> list[Mover]:
    """Of (product, before, after): those that can be compared, the surest kind first, then the largest change."""
    asked = list(products)
    changes = together([compare(before, after) for _, before, after in asked])
    found = [Mover(*each, change) for each, change in zip(asked, changes, strict=True)]
    order = list(Evidence)
    found = [mover for mover in found if mover.change.difference is not None]
    return sorted(found, key=lambda m: (order.index(m.change.evidence), -abs(m.change.difference or 0), m.product))

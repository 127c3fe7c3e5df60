"""One measure in two windows: its index, what chance and a pack's promotion have to do with it, and the verdict.

A measure of what a pack says moves when another version judges, whatever the stream does. So where the versions differ
between the windows, the verdict is read off texts that one and the same version judged in both; where there are too few of
them, it is not known who moved it, and the verdict is WATCH at most.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from workers.drift.stability import MAX_NOISE, Reading, chance_limit, frequent, join_rare, psi, reading
from workers.drift.topic_moves import SCALE, moved

What = Literal[
    "sentiment", "intents", "aspects", "language", "not_served", "topics", "confidence", "unsure", "no_emotion"
]
WHAT: Final[tuple[What, ...]] = (
    "sentiment", "intents", "aspects", "language", "not_served", "topics", "confidence", "unsure", "no_emotion"
)  # fmt: skip
MIXED: Final[tuple[What, ...]] = tuple(what for what in WHAT if what != "topics")
LISTS: Final = frozenset({"intents", "aspects"})  # a text may have several, or none
SAID: Final = frozenset({"sentiment", "intents", "aspects"})  # what the model says
SENT: Final = frozenset({"language", "not_served", "topics"})  # what texts are like
SURENESS: Final = frozenset({"confidence", "unsure", "no_emotion"})
NONE, RARER = "none", "rarer"
SAME_VERSIONS = 0.95  # of the texts: what another version judged of the rest moves no share by more than 0.05
# In how many directions topic vectors of one stream vary, at the least: the square of their variance in all directions, over
# the sum of squares. 13 to 19 within a product of the sample stream, 28 over all; the fewer, the farther chance can reach.
DIRECTIONS = 10


class Verdict(StrEnum):
    """Whether the stream moved. Programs may switch on these."""

    STEADY = "steady"
    WATCH = "watch"
    MOVED = "moved"
    TOO_FEW = "too_few"


class Cause(StrEnum):
    """Who moved a measure. Programs may switch on these."""

    NOBODY = ""  # it did not move
    STREAM = "stream"
    VERSION = "version"  # another pack version judges; under the same one nothing moved
    UNTOLD = "untold"  # another version judges, and too few texts were judged by the same one


class PackVersion(NamedTuple):
    """Who judged."""

    pack: str
    version: str


class Part(NamedTuple):
    """A kind, and the share of texts that have it (0…1)."""

    name: str
    share: float
    reference: float

    @property
    def change(self) -> float:
        return self.share - self.reference


class Mix(NamedTuple):
    """How many texts there are, and how often each kind is among them."""

    texts: int
    kinds: Counter[str]


class TopicSum(NamedTuple):
    """The sum of the topic vectors of so many texts, as stored: unit vectors times 127."""

    texts: int
    vectors: NDArray[np.float64]


NOBODY = PackVersion("", "")
NO_MIX = Mix(0, Counter())
NO_TOPICS = TopicSum(0, np.zeros(0))


@dataclass(frozen=True, slots=True)
class UnderOneVersion:
    """The same comparison among texts that this version judged in both windows; NOBODY where none did."""

    pack: PackVersion
    index: float | None
    verdict: Verdict
    texts: int
    reference_texts: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure in both windows. `limit` is what the index of a stream that has not moved would exceed by chance alone once
    in 1/level comparisons; `reading` is of the index alone, `verdict` is about the stream. Topics have no parts."""

    what: What
    index: float | None
    limit: float | None
    reading: Reading
    verdict: Verdict
    cause: Cause
    texts: int
    reference_texts: int
    parts: tuple[Part, ...] = ()
    under_one_version: UnderOneVersion | None = None

    @property
    def moved_most(self) -> Part | None:
        """The kind whose share changed most; None where nothing did."""
        most = max(self.parts, key=lambda part: (abs(part.change), part.name), default=None)
        return most if most is not None and most.change else None


Mixes = Mapping[PackVersion, Mix]
TopicSums = Mapping[PackVersion, TopicSum]
Indexed = tuple[float | None, float]  # an index, and what chance alone would exceed at the level asked for


def verdict_of(index: float | None, limit: float) -> Verdict:
    """The usual limits, for an index that chance alone would not give."""
    if index is None:
        return Verdict.TOO_FEW
    if index <= limit:
        return Verdict.STEADY
    return _VERDICTS[reading(index)]


_VERDICTS = {
    Reading.STEADY: Verdict.STEADY,
    Reading.MOVING: Verdict.WATCH,
    Reading.SHIFTED: Verdict.MOVED,
    Reading.TOO_FEW: Verdict.TOO_FEW,
}


def overlap(now: Mapping[PackVersion, int], reference: Mapping[PackVersion, int]) -> float:
    """The share of texts that the same versions judged in both windows (0…1): the sum of the lesser of the two shares."""
    n, m = sum(now.values()), sum(reference.values())
    if not n or not m:
        return 1.0
    return math.fsum(min(now[by] / n, reference.get(by, 0) / m) for by in now)


def compare(what: What, now: Mixes, reference: Mixes, level: float) -> Compared:
    """A measure that counts kinds. `level` (0…1): how likely chance alone may be to give a verdict other than STEADY."""
    whole, whole_reference = _together(now.values()), _together(reference.values())
    texts = {v: mix.texts for v, mix in now.items()}, {v: mix.texts for v, mix in reference.items()}
    one = None
    # A text's language is the event's own or the detector's, whatever pack judges.
    if what != "language" and (by := _told_apart_by(*texts)) is not None:
        one = _under_one(by, *texts, _index_of_mixes(now.get(by, NO_MIX), reference.get(by, NO_MIX), level))
    found = _index_of_mixes(whole, whole_reference, level)
    return _judged(what, found, (whole.texts, whole_reference.texts), _parts(whole, whole_reference), one)


def compare_topics(now: TopicSums, reference: TopicSums, level: float) -> Compared:
    """What texts are about, by the pack that judged most of the window: packs have topics of their own."""
    by_pack: Counter[str] = Counter()
    for judged_by, each in now.items():
        by_pack[judged_by.pack] += each.texts
    pack = max(by_pack, key=lambda name: (by_pack[name], name), default="")
    ours, theirs = ({v: each for v, each in side.items() if v.pack == pack} for side in (now, reference))
    texts = {v: each.texts for v, each in ours.items()}, {v: each.texts for v, each in theirs.items()}
    one = None
    if (by := _told_apart_by(*texts)) is not None:
        one = _under_one(by, *texts, _index_of_topics(ours.get(by, NO_TOPICS), theirs.get(by, NO_TOPICS), level))
    a, b = _summed(ours.values()), _summed(theirs.values())
    return _judged("topics", _index_of_topics(a, b, level), (a.texts, b.texts), (), one)


def _told_apart_by(now: Mapping[PackVersion, int], reference: Mapping[PackVersion, int]) -> PackVersion | None:
    """The version to compare under where the versions differ: NOBODY where none judged in both windows, None where the same
    versions judged."""
    if overlap(now, reference) >= SAME_VERSIONS:
        return None
    both = {by: min(now[by], reference[by]) for by in now if reference.get(by) and now[by]}
    return max(both, key=lambda by: (both[by], by), default=NOBODY)


def _under_one(
    by: PackVersion, now: Mapping[PackVersion, int], reference: Mapping[PackVersion, int], found: Indexed
) -> UnderOneVersion:
    return UnderOneVersion(by, found[0], verdict_of(*found), now.get(by, 0), reference.get(by, 0))


def _judged(
    what: What, found: Indexed, texts: tuple[int, int], parts: tuple[Part, ...], one: UnderOneVersion | None
) -> Compared:
    index, limit = found
    seen = verdict_of(index, limit)
    verdict, cause = seen, Cause.STREAM if seen in (Verdict.WATCH, Verdict.MOVED) else Cause.NOBODY
    if one is not None and seen is not Verdict.TOO_FEW:
        if one.verdict is Verdict.TOO_FEW:
            verdict, cause = (Verdict.WATCH, Cause.UNTOLD) if cause is Cause.STREAM else (seen, cause)
        elif one.verdict is Verdict.STEADY:
            verdict, cause = Verdict.STEADY, Cause.VERSION if cause is Cause.STREAM else Cause.NOBODY
        else:
            verdict, cause = one.verdict, Cause.STREAM
    return Compared(
        what,
        None if index is None else round(index, 4),
        None if math.isinf(limit) else round(limit, 4),
        reading(index),
        verdict,
        cause,
        *texts,
        parts,
        one,
    )


def _index_of_mixes(now: Mix, reference: Mix, level: float) -> Indexed:
    a, b = _joined(now.kinds, reference.kinds)
    n, m = a.total(), b.total()
    if not n or not m or 1 / n + 1 / m > MAX_NOISE:  # of a single kind, too: another would soon be seen
        return None, math.inf
    return psi(b, a), chance_limit(b, a, level)


def _index_of_topics(now: TopicSum, reference: TopicSum, level: float) -> Indexed:
    n, m = now.texts, reference.texts
    if not n or not m:
        return None, math.inf
    chance = 1 / n + 1 / m
    limit = math.sqrt(max(0.0, chance * (float(chdtri(DIRECTIONS, level)) / DIRECTIONS - 1)))
    return moved(now.vectors / SCALE, n, reference.vectors / SCALE, m), limit


def _joined(now: Counter[str], reference: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Copies in which what is rare in both windows counts as one; an intent may be called other, so that is not its name."""
    kept = frequent(reference) | frequent(now)
    sides = Counter(now), Counter(reference)
    for side in sides:
        join_rare(side, kept, RARER)
    return sides


def _parts(now: Mix, reference: Mix) -> tuple[Part, ...]:
    a, b = _joined(now.kinds, reference.kinds)
    n, m = max(1, now.texts), max(1, reference.texts)
    return tuple(Part(name, round(a[name] / n, 4), round(b[name] / m, 4)) for name in sorted(a | b))


def _together(mixes: Iterable[Mix]) -> Mix:
    texts, kinds = 0, Counter[str]()
    for mix in mixes:
        texts += mix.texts
        kinds.update(mix.kinds)
    return Mix(texts, kinds)


def _summed(sums: Iterable[TopicSum]) -> TopicSum:
    """Of two widths, which versions of a pack may have, that of most texts counts."""
    found = sorted(sums, key=lambda each: each.texts, reverse=True)
    same = [each for each in found if each.vectors.shape == found[0].vectors.shape]
    if not same:
        return NO_TOPICS
    return TopicSum(sum(each.texts for each in same), np.sum([each.vectors for each in same], axis=0))

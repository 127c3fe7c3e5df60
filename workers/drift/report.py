"""The drift report: every measure of the whole stream and of its groups, and whether the model still fits."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np

from workers.drift.agreement import Agreement, Looked, Trend, agreement
from workers.drift.compared import (
    MIXED,
    SAME_VERSIONS,
    SENT,
    SURENESS,
    WHAT,
    Cause,
    Compared,
    Mix,
    PackVersion,
    TopicSum,
    Verdict,
    What,
    compare,
    compare_topics,
    overlap,
)
from workers.drift.stability import MOVING, SHIFTED, band_name

LEVEL: Final = (
    0.01  # how likely a stream that has not moved may be to get any other verdict, in all comparisons together
)
AGREEMENT_LEVEL: Final = 0.05  # of the intervals of disagreement, in all groups together
SETTLED: Final = 0.1  # people settle a doubt where they would have seen that they disagree with so many texts more
_WORST: Final = (Verdict.TOO_FEW, Verdict.STEADY, Verdict.WATCH, Verdict.MOVED)


class Span(NamedTuple):
    """A window of time, [since, until)."""

    since: datetime
    until: datetime


class VersionShare(NamedTuple):
    """How many texts of each window a version judged."""

    pack: str
    version: str
    texts: int
    reference_texts: int


@dataclass(frozen=True, slots=True)
class Group:
    """The whole stream (`name` is empty), or the texts of a product, a source or a language. Confidences are means (0…1),
    0 without texts."""

    name: str
    texts: int
    reference_texts: int
    confidence: float
    reference_confidence: float
    versions: tuple[VersionShare, ...]
    same_versions: float
    measures: tuple[Compared, ...]
    agreement: Agreement

    @property
    def verdict(self) -> Verdict:
        """The worst that its measures say; a model that people disagree with more often has moved, too."""
        said = [each.verdict for each in self.measures]
        if self.agreement.trend is Trend.WORSE:
            said.append(Verdict.MOVED)
        elif self.agreement.trend is not Trend.TOO_FEW:
            said.append(Verdict.STEADY)
        return worst(said)

    @property
    def versions_changed(self) -> bool:
        return self.same_versions < SAME_VERSIONS

    def measure(self, what: What) -> Compared | None:
        return next((each for each in self.measures if each.what == what), None)


class Fit(StrEnum):
    """Whether the model still fits the stream. Programs may switch on these."""

    YES = "yes"
    IN_DOUBT = "in_doubt"
    NO = "no"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Drift:
    """The report. `by` names what `groups` are groups of, or is empty; `left_out` counts those with fewer texts than the
    groups shown. `level` is that of each comparison."""

    window: Span
    reference: Span
    filters: Mapping[str, str]
    overall: Group
    by: str
    groups: tuple[Group, ...]
    left_out: int
    level: float

    @property
    def verdict(self) -> Verdict:
        return worst([self.overall.verdict, *(group.verdict for group in self.groups)])

    @property
    def fit(self) -> Fit:
        return fit_of(self.overall)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """MOVED before WATCH before STEADY; TOO_FEW where nothing else is said."""
    return max(verdicts, key=_WORST.index, default=Verdict.TOO_FEW)


def fit_of(group: Group) -> Fit:
    """What people say counts most: it is about the model's quality.

    Where they have not looked at enough, only doubt can be told, by texts of another kind or a model that is less sure. That
    customers say other things is no sign against the model that says so.
    """
    if group.agreement.trend is Trend.WORSE:
        return Fit.NO
    change = group.agreement.change
    if change is not None and group.agreement.trend is not Trend.TOO_FEW and change.high <= SETTLED:
        return Fit.YES
    moved = [each for each in group.measures if each.verdict in (Verdict.WATCH, Verdict.MOVED)]
    if any(each.cause is Cause.UNTOLD for each in moved):
        return Fit.CANNOT_TELL
    if any(each.what in SENT or (each.what in SURENESS and less_sure(group, each)) for each in moved):
        return Fit.IN_DOUBT
    return Fit.CANNOT_TELL if group.verdict is Verdict.TOO_FEW else Fit.YES


def less_sure(group: Group, measure: Compared) -> bool:
    """Whether a measure of sureness has moved the bad way."""
    if measure.what == "confidence":
        return group.confidence < group.reference_confidence
    return any(part.name == measure.what and part.change > 0 for part in measure.parts)


def drift(
    window: Span,
    reference: Span,
    filters: Mapping[str, str],
    by: str,
    judged: Iterable[Sequence[Any]],
    topics: Iterable[Sequence[Any]],
    looked: Iterable[Sequence[Any]],
    most: int,
) -> Drift:
    """Compares the whole, and beside it the `most` groups of most texts, of rows that `workers.store.drift` reads.

    `judged` are (group, in the window, pack, version, texts, sum of confidences, texts judged unsure, without an emotion, of
    a language not served, then of sentiment, intents, aspects, languages and bands of confidence a mapping from kind to
    texts); `topics` (group, in the window, pack, version, texts, sum of topic vectors as stored); `looked` (group, in the
    window, texts looked at, disagreed with).
    """
    sides = _Sides(judged, topics, looked)
    names = sorted(sides.texts, key=lambda name: (-sides.texts[name], name)) if by else []
    shown = names[:most]
    compared = [what for what in WHAT if not (what == "language" and ("language" in filters))]
    in_groups = [what for what in compared if not (what == "language" and by == "language")]
    level = LEVEL / (len(compared) + len(shown) * len(in_groups))
    of_agreement = AGREEMENT_LEVEL / (1 + len(shown))
    groups = tuple(sides.group(name, [name], in_groups, level, of_agreement) for name in shown)
    overall = sides.group("", list(sides.texts), compared, level, of_agreement)
    return Drift(window, reference, filters, overall, by, groups, len(names) - len(shown), level)


class _Sides:
    """What was counted, by group, window (0 the reference, 1 now) and version."""

    def __init__(
        self, judged: Iterable[Sequence[Any]], topics: Iterable[Sequence[Any]], looked: Iterable[Sequence[Any]]
    ) -> None:
        self.texts: Counter[str] = Counter()
        self._judged: dict[tuple[str, int, PackVersion], tuple[int, float, dict[What, Mix]]] = {}
        self._topics: dict[tuple[str, int, PackVersion], TopicSum] = {}
        self._looked: dict[tuple[str, int], Looked] = {}
        for name, now, pack, version, texts, confidence, *counted in judged:
            self.texts[name] += texts
            key = (name, int(now), PackVersion(pack, version))
            self._judged[key] = (texts, confidence, _mixes(texts, *counted))
        for name, now, pack, version, texts, vectors in topics:
            key = (name, int(now), PackVersion(pack, version))
            if key not in self._topics or self._topics[key].texts < texts:
                self._topics[key] = TopicSum(texts, np.asarray(vectors, np.float64))
        for name, now, texts, disagreed in looked:
            self._looked[name, int(now)] = Looked(texts, disagreed)

    def group(self, name: str, of: Sequence[str], compared: Sequence[What], level: float, of_agreement: float) -> Group:
        wanted = set(of)
        mixes = [self._summed(wanted, side) for side in (0, 1)]
        texts = [{by: found["sentiment"].texts for by, found in side.items()} for side in mixes]
        totals = [sum(side.values()) for side in texts]
        measures = []
        for what in compared:
            if what == "topics":
                measures.append(compare_topics(self._topics_of(wanted, 1), self._topics_of(wanted, 0), level))
            else:
                before, now = ({by: found[what] for by, found in side.items()} for side in mixes)
                measures.append(compare(what, now, before, level))
        return Group(
            name,
            totals[1],
            totals[0],
            self._confidence(wanted, 1, totals[1]),
            self._confidence(wanted, 0, totals[0]),
            tuple(
                VersionShare(*by, texts[1].get(by, 0), texts[0].get(by, 0))
                for by in sorted(texts[0] | texts[1], key=lambda by: (-texts[1].get(by, 0), by))
            ),
            round(overlap(texts[1], texts[0]), 4),
            tuple(measures),
            agreement(self._looked_at(wanted, 1), self._looked_at(wanted, 0), of_agreement),
        )

    def _summed(self, wanted: set[str], side: int) -> dict[PackVersion, dict[What, Mix]]:
        summed: dict[PackVersion, dict[What, Mix]] = {}
        for (name, where, by), (_, _, found) in self._judged.items():
            if name in wanted and where == side:
                sums = summed.setdefault(by, {what: Mix(0, Counter()) for what in MIXED})
                for what, mix in found.items():
                    sums[what] = Mix(sums[what].texts + mix.texts, sums[what].kinds + mix.kinds)
        return summed

    def _topics_of(self, wanted: set[str], side: int) -> dict[PackVersion, TopicSum]:
        summed: dict[PackVersion, TopicSum] = {}
        for (name, where, by), each in self._topics.items():
            if name in wanted and where == side:
                there = summed.get(by)
                if there is None or there.vectors.shape != each.vectors.shape:
                    summed[by] = each if there is None or each.texts > there.texts else there
                else:
                    summed[by] = TopicSum(there.texts + each.texts, there.vectors + each.vectors)
        return summed

    def _looked_at(self, wanted: set[str], side: int) -> Looked:
        found = [each for (name, where), each in self._looked.items() if name in wanted and where == side]
        return Looked(sum(each.texts for each in found), sum(each.disagreed for each in found))

    def _confidence(self, wanted: set[str], side: int, texts: int) -> float:
        summed = sum(c for (name, where, _), (_, c, _) in self._judged.items() if name in wanted and where == side)
        return round(summed / texts, 4) if texts else 0.0


def _mixes(
    texts: int,
    unsure: int,
    no_emotion: int,
    not_served: int,
    sentiment: Mapping[str, int],
    intents: Mapping[str, int],
    aspects: Mapping[str, int],
    languages: Mapping[str, int],
    bands: Mapping[int, int],
) -> dict[What, Mix]:
    confidence: Counter[str] = Counter()
    for band, count in bands.items():
        confidence[band_name(band)] += count
    counted: dict[What, Counter[str]] = {
        "sentiment": Counter(sentiment),
        "intents": Counter(intents),
        "aspects": Counter(aspects),
        "language": Counter(languages),
        "confidence": confidence,
        "unsure": Counter({"unsure": unsure, "sure": texts - unsure}),
        "no_emotion": Counter({"no_emotion": no_emotion, "emotion": texts - no_emotion}),
        "not_served": Counter({"not_served": not_served, "served": texts - not_served}),
    }
    return {what: Mix(texts, +kinds) for what, kinds in counted.items()}


def as_document(found: Drift) -> dict[str, Any]:
    """The report for machines."""
    document = dataclasses.asdict(found)
    for name in ("window", "reference"):
        span: Span = getattr(found, name)
        document[name] = {"since": span.since.isoformat(), "until": span.until.isoformat()}
    document["overall"] = _group_document(found.overall)
    document["groups"] = [_group_document(group) for group in found.groups]
    limits = {"watch": MOVING, "moved": SHIFTED, "level": LEVEL}
    return {"verdict": found.verdict, "fit": found.fit, "limits": limits} | document


def _group_document(group: Group) -> dict[str, Any]:
    document = dataclasses.asdict(group)
    del document["name"]
    document["versions"] = [each._asdict() for each in group.versions]
    for told, measure in zip(document["measures"], group.measures, strict=True):
        told["parts"] = [part._asdict() for part in measure.parts]
        if (one := measure.under_one_version) is not None:
            told["under_one_version"] = dataclasses.asdict(one) | {"pack": one.pack._asdict()}
    said = group.agreement
    document["agreement"] = {
        "trend": said.trend,
        "now": said.now._asdict(),
        "reference": said.reference._asdict(),
        **{
            name: bounds._asdict() if (bounds := getattr(said, name)) else None
            for name in ("share", "reference_share", "change")
        },
    }
    return {"name": group.name, "verdict": group.verdict} | document

"""Every test of one product's window. How unusual a signal must be follows from how many false alarms are allowed:

    level of a kind = false alarms a day x window in days / products / kinds

and a kind with several series (aspects, sources) shares its level evenly among them (Bonferroni), so that the expected
number of false alarms is at most what was allowed, however the series hang together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.alerts import AlertKind, Signal
from workers.alerting.counts import DAY, Counts, Windows
from workers.alerting.likeness import largest_group
from workers.alerting.significance import (
    BETA_BINOMIAL,
    NEGATIVE_BINOMIAL,
    Finding,
    count_is_high,
    nothing_is_low,
    share_is_high,
)
from workers.alerting.text import AlertText

KINDS = 6  # negative share, volume, urgency, aspects, silence, campaign
RARE = 0.01  # an aspect in at most so large a share of the past's texts counts as new
_EVERYTHING = ""  # the source that stands for all of a product's sources


@dataclass(frozen=True, slots=True)
class Limits:
    """`level`: of each kind's p value, 0…1. `min_texts`: fewer are never an alert."""

    level: float
    min_texts: int
    min_windows: int
    campaign_texts: int


def spikes(now: Counts, past: Sequence[Counts], limits: Limits) -> list[Signal]:
    """Negative share, volume, urgency and aspects."""
    if len(past) < limits.min_windows:
        return []
    negative = share_is_high(now.negative, now.texts, [(c.negative, c.texts) for c in past])
    urgent = share_is_high(now.urgent, now.texts, [(c.urgent, c.texts) for c in past])
    volume = count_is_high(now.texts, [c.texts for c in past])
    return [
        _signal(AlertKind.NEGATIVE_SHARE, now.negative, now.texts, negative, limits),
        _signal(AlertKind.VOLUME, now.texts, 0, volume, limits),
        _signal(AlertKind.URGENCY, now.urgent, now.texts, urgent, limits),
        *_aspects(now, past, limits),
    ]


def _aspects(now: Counts, past: Sequence[Counts], limits: Limits) -> list[Signal]:
    """Of each aspect how many texts complain of it; of one that was hardly spoken of, how many speak of it at all."""
    known = {name for counts in (now, *past) for name in counts.aspects}
    texts = sum(counts.texts for counts in past)
    found = []
    for name in sorted(now.aspects):
        before = [counts.aspects.get(name, (0, 0)) for counts in past]
        new = sum(mentioned for mentioned, _ in before) <= RARE * texts
        observed = now.aspects[name][0 if new else 1]
        shares = [(pair[0 if new else 1], counts.texts) for pair, counts in zip(before, past, strict=True)]
        finding = share_is_high(observed, now.texts, shares)
        kind = AlertKind.NEW_ASPECT if new else AlertKind.NEGATIVE_SHARE
        found.append(_signal(kind, observed, now.texts, finding, limits, aspect=name, series=len(known)))
    return found


def campaign(
    texts: Sequence[AlertText], past: Sequence[tuple[int, int]], limits: Limits
) -> tuple[Signal | None, list[AlertText]]:
    """The largest group of near-identical texts, beside the largest of past windows (size, texts), and the group itself."""
    told = sorted((text for text in texts if text.simhash is not None), key=lambda text: text.key)
    if not told:
        return None, []
    group = [told[place] for place in largest_group([text.simhash or 0 for text in told])]
    if len(past) < limits.min_windows:
        return None, group
    finding = share_is_high(len(group), len(told), past)
    few = len(group) < limits.campaign_texts
    return _signal(AlertKind.CAMPAIGN, len(group), len(told), finding, limits, few=few), group


def silences(hours: Mapping[int, Counts], first: int, end: int, windows: Windows, limits: Limits) -> list[Signal]:
    """Of each source how long it has been silent at hour `end`, beside how much it used to say."""
    profile = _profile(hours)
    last: dict[str, int] = {}
    for hour in sorted(hours):
        if hour < end and hours[hour].texts:
            last.update(dict.fromkeys((*hours[hour].sources, _EVERYTHING), hour))
    found = []
    for source in sorted(last):
        began = last[source] + 1
        days = (began - max(first, end - windows.history_hours)) // DAY
        if days < limits.min_windows or began >= end:
            continue
        counts = [_said(hours, source, began - DAY * (day + 1), began - DAY * day) for day in range(days)]
        counts[0] -= 1  # its last text is where the count was begun, not what chance has brought
        finding = nothing_is_low(sum(profile[hour % DAY] for hour in range(began, end)), counts)
        few = finding.expected < limits.min_texts
        found.append(_signal(AlertKind.SILENCE, 0, 0, finding, limits, few=few, source=source, series=len(last)))
    return found


def _profile(hours: Mapping[int, Counts]) -> list[float]:
    """Hour of day -> its share of a day's texts, with as much belief in an even day as one text an hour is worth."""
    of_day = [1.0] * DAY
    for hour, counts in hours.items():
        of_day[hour % DAY] += counts.texts
    return [count / sum(of_day) for count in of_day]


def _said(hours: Mapping[int, Counts], source: str, begin: int, end: int) -> int:
    held = [hours[hour] for hour in range(begin, end) if hour in hours]
    return sum(counts.texts if source == _EVERYTHING else counts.sources[source] for counts in held)


def _signal(
    kind: AlertKind,
    observed: int,
    texts: int,
    finding: Finding,
    limits: Limits,
    *,
    aspect: str = "",
    source: str = "",
    series: int = 1,
    few: bool | None = None,
) -> Signal:
    too_few = observed < limits.min_texts if few is None else few
    test = NEGATIVE_BINOMIAL if kind in (AlertKind.VOLUME, AlertKind.SILENCE) else BETA_BINOMIAL
    return Signal(
        kind=kind,
        aspect=aspect,
        source=source,
        observed=observed,
        texts=texts,
        expected=round(finding.expected, 3),
        p_value=finding.p_value,
        level=0.0 if too_few else limits.level / series,
        test=test,
    )

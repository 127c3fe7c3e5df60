"""The drift report in words: what moved, whether the model still fits, and what to do."""

import shlex
from collections.abc import Iterator
from typing import Final

from workers.drift.agreement import Bounds, Trend
from workers.drift.compared import LISTS, SAID, SENT, SURENESS, Cause, Compared, Part, Verdict, What
from workers.drift.report import LEVEL, Drift, Fit, Group, fit_of, less_sure
from workers.drift.stability import MAX_NOISE, MOVING, SHIFTED

TITLES: Final[dict[What, str]] = {
    "sentiment": "Sentiment",
    "intents": "Intents",
    "aspects": "Aspects",
    "language": "Languages",
    "not_served": "Languages not served",
    "topics": "What texts are about",
    "confidence": "Confidence",
    "unsure": "Texts judged unsure",
    "no_emotion": "Texts without a sure emotion",
}
SAYS: Final = {
    Verdict.STEADY: "steady",
    Verdict.WATCH: "watch",
    Verdict.MOVED: "moved",
    Verdict.TOO_FEW: "too few texts",
}
TRENDS: Final = {
    Trend.WORSE: "worse",
    Trend.BETTER: "better",
    Trend.NO_DIFFERENCE: "no difference seen",
    Trend.TOO_FEW: "too few texts",
}
HOW_READ: Final = (
    f"Below {MOVING} an index is steady, to {SHIFTED} watch, above moved (the usual limits of the population stability"
    " index: Siddiqi, Credit Risk Scorecards, 2006), if it is also more than chance gives in all these comparisons together"
    f" once in {round(1 / LEVEL)} reports (Yurdakul and Naranjo, 2020); where chance alone is expected to give {MAX_NOISE}"
    " there are too few texts. What texts are about: how far the mean topic vector moved, in units of how far texts lie"
    " apart, which is about the share of texts on another subject; read by the same limits."
)
MOST_NAMED: Final = 3
_OF_NOTE: Final[dict[What, str]] = {"not_served": "not_served", "unsure": "unsure", "no_emotion": "no_emotion"}


def percent(share: float) -> str:
    """0.214 is 21 %, 0.0214 is 2.1 %."""
    return f"{100 * share:.{0 if share >= 0.1 or not share else 1}f} %"


def change_of(group: Group, measure: Compared) -> str:
    """What moved most in a measure, like: negative 21 % → 35 %. Empty where nothing did."""
    if measure.what == "topics":
        another = min(1.0, measure.index or 0.0)
        return f"about {percent(another)} on another subject" if another >= MOVING else ""
    if measure.what == "confidence":
        return f"mean {group.reference_confidence:.2f} → {group.confidence:.2f}"
    if measure.what in _OF_NOTE:
        name = _OF_NOTE[measure.what]
        part = next((part for part in measure.parts if part.name == name), Part(name, 0.0, 0.0))
        return f"{percent(part.reference)} → {percent(part.share)}" if part.change else ""
    part_moved = measure.moved_most
    return "" if part_moved is None else f"{_named(measure, part_moved)}"


def cause_of(measure: Compared) -> str:
    """Whether the stream moved, where another pack version judges; else empty."""
    one = measure.under_one_version
    if one is None or measure.cause is Cause.NOBODY:
        return ""
    under = f"{one.pack.pack} {one.pack.version}"
    if measure.cause is Cause.VERSION:
        return f"the pack's version, not the stream: steady under {under}"
    if measure.cause is Cause.STREAM:
        return f"the stream, too: under {under} alone the index is {one.index}"
    return "another pack version judges: not told apart from the stream"


def verdict_sentence(found: Drift) -> str:
    """Whether the model still fits the stream, and why."""
    group, said = found.overall, found.overall.agreement
    if found.fit is Fit.NO and said.share and said.reference_share:
        return (
            "The model no longer fits the stream as it did: people disagreed with"
            f" {_bounds(said.share)} of the labels they looked at, {_bounds(said.reference_share)} before."
        )
    if found.fit is Fit.IN_DOUBT:
        signs = [e for e in moved_of(group) if e.what in SENT or (e.what in SURENESS and less_sure(group, e))]
        return (
            f"Whether the model still fits the stream is in doubt: {listed(group, signs)}. Nothing but people's labels can"
            " say whether its quality fell, and too few were given."
        )
    if found.fit is Fit.CANNOT_TELL:
        why = "the pack's version changed" if _untold(group) else "there are too few texts"
        return f"It cannot be told whether the model still fits the stream: {why}."
    return f"The model still fits the stream as far as can be seen{_but_moved(group)}"


def _but_moved(group: Group) -> str:
    people = ""
    if group.agreement.trend in (Trend.NO_DIFFERENCE, Trend.BETTER):
        less = "less often than before" if group.agreement.trend is Trend.BETTER else "about as often as before"
        people = f" People disagreed with it {less}."
    moved = [each for each in moved_of(group) if each.cause is Cause.STREAM]
    if not moved:
        return f": nothing in the stream is seen to have moved.{people}" if not _untold(group) else f".{people}"
    what = "what texts say moved" if all(each.what in SAID for each in moved) else "the stream moved"
    against = people or " That alone is no sign against the model."
    return f"; {what}: {listed(group, moved)}.{against}"


def notes(found: Drift) -> Iterator[str]:
    """What has to be known beside it: versions that changed, and the groups that moved."""
    group = found.overall
    if group.versions_changed:
        judged = "; ".join(
            f"{v.pack} {v.version}: {v.texts:,} of the window, {v.reference_texts:,} of the reference"
            for v in group.versions
        )
        yield f"The pack's version changed between the windows ({judged})."
        if explained := [TITLES[each.what].lower() for each in group.measures if each.cause is Cause.VERSION]:
            yield f"That alone moved {', '.join(explained)}: texts that one version judged in both windows are steady."
        if untold := _untold(group):
            yield (
                f"Whether that or the stream moved {listed(group, untold)} cannot be told: too few texts were judged by one"
                " version in both windows."
            )
    if moved := [each.name for each in found.groups if each.verdict in (Verdict.WATCH, Verdict.MOVED)]:
        yield f"By {found.by}, {len(moved)} of {len(found.groups)} moved or are to be watched: {', '.join(moved)}."


def what_to_do(found: Drift) -> Iterator[str]:
    """Commands and pages, the first first; nothing where nothing need be done."""
    group = found.overall
    if _untold(group):
        since = f"{found.reference.since:%Y-%m-%d}"
        yield f"voxpop reprocess --since {since}, so that one version has judged both windows; then run this again."
    elif found.fit is Fit.CANNOT_TELL:
        yield "Take longer windows, with --days and --reference-days, or wait for more texts."
    if found.fit in (Fit.NO, Fit.IN_DOUBT):
        yield from _mend(found)
    elif found.fit is Fit.YES and found.verdict in (Verdict.WATCH, Verdict.MOVED):
        yield "Look at what customers say on the dashboard's Overview, and confirm some labels on its page Review."
    for each in found.groups:
        if found.fit in (Fit.YES, Fit.CANNOT_TELL) and fit_of(each) in (Fit.NO, Fit.IN_DOUBT):
            yield f"Look at one by itself: voxpop drift --{found.by} {shlex.quote(each.name)}"


def _mend(found: Drift) -> Iterator[str]:
    group = found.overall
    if found.fit is Fit.NO and group.versions_changed:
        newest = max(group.versions, key=lambda v: v.texts)
        yield f"If the new version is the reason: voxpop packs rollback {newest.pack}"
    yield "Label texts of the queue on the dashboard's page Review (voxpop dashboard), ordinary ones for a holdout, too."
    learn = "voxpop train labels.csv --head sentiment --title-column title"
    yield f"Learn from them: voxpop feedback export labels.csv, then {learn}"
    yield f"Once the new version is promoted: voxpop reprocess --since {found.window.since:%Y-%m-%d}"
    not_served = group.measure("not_served")
    if not_served is not None and not_served.verdict in (Verdict.WATCH, Verdict.MOVED):
        yield "Languages that the pack does not serve came in: look for a pack that does (voxpop packs show, packs list)."


def _untold(group: Group) -> list[Compared]:
    return [each for each in moved_of(group) if each.cause is Cause.UNTOLD]


def moved_of(group: Group) -> list[Compared]:
    """Those that moved by the stream or perhaps by it, the farthest first."""
    moved = [each for each in group.measures if each.verdict in (Verdict.WATCH, Verdict.MOVED)]
    return sorted(moved, key=lambda each: (each.verdict is not Verdict.MOVED, -(each.index or 0.0)))


def listed(group: Group, measures: list[Compared]) -> str:
    """The first of some measures, and what moved most in each."""
    told = [f"{TITLES[each.what].lower()} ({change_of(group, each)})" for each in measures[:MOST_NAMED]]
    if len(measures) > MOST_NAMED:
        told.append(f"{len(measures) - MOST_NAMED} more")
    return ", ".join(told)


def _named(measure: Compared, part: Part) -> str:
    name = part.name
    if measure.what in LISTS:
        name = name.replace("_", " ")
    return f"{name} {percent(part.reference)} → {percent(part.share)}"


def _bounds(share: Bounds) -> str:
    return f"{percent(share.value)} ({100 * share.low:.0f}…{100 * share.high:.0f})"

"""The drift report as one page that needs nothing else: what moved and by how much, what people say, and what to do."""

from collections.abc import Iterator
from html import escape

from workers.drift.agreement import Bounds, wilson
from workers.drift.compared import Compared, Part, Verdict
from workers.drift.report import Drift, Group, Span
from workers.drift.stability import MOVING, SHIFTED
from workers.drift.words import (
    HOW_READ,
    SAYS,
    TITLES,
    TRENDS,
    cause_of,
    change_of,
    listed,
    moved_of,
    notes,
    verdict_sentence,
    what_to_do,
)
from workers.evaluate.bootstrap import Interval
from workers.evaluate.html_page import document, section, signed, table
from workers.evaluate.svg import Bars, Mark, bar_chart, limits_chart, percent

MOST_CHARTS, MOST_KINDS = 6, 6
_COLOURS: dict[Verdict, int | None] = {Verdict.STEADY: 2, Verdict.WATCH: 4, Verdict.MOVED: 1, Verdict.TOO_FEW: None}
_SIGNS = {Verdict.STEADY: "●", Verdict.WATCH: "◐", Verdict.MOVED: "▲", Verdict.TOO_FEW: "–"}


def page(found: Drift) -> str:
    """The whole HTML document."""
    group = found.overall
    within = "".join(f", {column} {name}" for column, name in found.filters.items())
    intro = (
        f"{group.texts:,} texts of {_days(found.window)}, beside {group.reference_texts:,} of {_days(found.reference)}"
        f"{within}; times in UTC, the ends not among them."
    )
    return document("Does the model still fit the stream?", intro, _sections(found))


def _sections(found: Drift) -> Iterator[str]:
    group = found.overall
    said = "".join(f"<p>{escape(line)}</p>" for line in (verdict_sentence(found), *notes(found)))
    to_do = "".join(f"<li>{escape(line)}</li>" for line in what_to_do(found))
    verdict = f"{_SIGNS[found.verdict]} {SAYS[found.verdict].capitalize()}"
    yield section(verdict, said + (f"<ol>{to_do}</ol>" if to_do else ""), wide=True)
    yield section("How far each has moved", _indices(group))
    yield section("Labels that people disagreed with", _people(group))
    for measure in _drawn(group):
        yield section(TITLES[measure.what], _shares(measure))
    yield section("Figures", _figures(group) + f"<p>{escape(HOW_READ)}</p>", wide=True)
    if found.groups:
        yield section(f"By {found.by}", _groups(found), wide=True)
    yield section("Who judged", _versions(group), wide=True)


def _indices(group: Group) -> str:
    bars = [
        (
            TITLES[each.what],
            each.index,
            SAYS[each.verdict] if each.index is None else f"{each.index:.3f} {SAYS[each.verdict]}",
            _COLOURS[each.verdict],
        )
        for each in group.measures
    ]
    return limits_chart(bars, [Mark(MOVING, "watch"), Mark(SHIFTED, "moved")], "How far each measure has moved")


def _people(group: Group) -> str:
    said = group.agreement
    looked = (
        f"{said.now.texts:,} texts of the window and {said.reference.texts:,} of the reference have people's labels"
    )
    told = f"<p>{looked}: {TRENDS[said.trend]}.</p>"
    bars = [
        (name, Interval(*share))
        for name, share in (("window", said.share), ("reference", said.reference_share))
        if share
    ]
    if not bars:
        return told
    return told + bar_chart([Bars("Share of those looked at", bars)], "Labels that people disagreed with")


def _drawn(group: Group) -> list[Compared]:
    """The measures whose kinds are drawn: sentiment, and what moved farthest of the others."""
    with_kinds = [each for each in group.measures if len(each.parts) > 1]
    first = [each for each in with_kinds if each.what == "sentiment"]
    others = sorted((each for each in with_kinds if each.what != "sentiment"), key=lambda each: -(each.index or 0.0))
    return (first + others)[:MOST_CHARTS]


def _shares(measure: Compared) -> str:
    kinds = sorted(measure.parts, key=lambda part: (-abs(part.change), part.name))[:MOST_KINDS]
    if measure.what == "confidence":
        kinds.sort(key=lambda part: part.name)
    groups = [
        Bars(
            _kind(measure, part),
            [
                (name, _interval(share, texts))
                for name, share, texts in (
                    ("window", part.share, measure.texts),
                    ("reference", part.reference, measure.reference_texts),
                )
            ],
        )
        for part in kinds
    ]
    left = len(measure.parts) - len(kinds)
    more = f"<p>The {len(kinds)} that moved most; {left} more moved less.</p>" if left else ""
    return more + bar_chart(groups, f"{TITLES[measure.what]}, share of the texts in both windows")


def _kind(measure: Compared, part: Part) -> str:
    if measure.what == "confidence":
        return f"from {percent(float(part.name), 0)}"
    return part.name.replace("_", " ")


def _interval(share: float, texts: int) -> Interval:
    if not texts:
        return Interval(0.0, 0.0, 0.0)
    return Interval(*wilson(min(texts, round(share * texts)), texts))


def _figures(group: Group) -> str:
    rows = [
        [
            escape(TITLES[each.what]),
            "–" if each.index is None else f"{each.index:.3f}",
            "–" if each.limit is None else f"{each.limit:.3f}",
            f"{each.texts:,}",
            f"{each.reference_texts:,}",
            _verdict(each.verdict),
            escape("; ".join(filter(None, (change_of(group, each), cause_of(each))))),
        ]
        for each in group.measures
    ]
    rows.append(_people_row(group))
    head = ["", "Index", "Chance", "Texts", "Reference", "Verdict", "What moved most"]
    return table(head, rows, words_from=5)


def _people_row(group: Group) -> list[str]:
    said = group.agreement
    return [
        "Labels that people disagreed with",
        "–",
        "–",
        f"{said.now.texts:,}",
        f"{said.reference.texts:,}",
        escape(TRENDS[said.trend]),
        f"{signed(Interval(*said.change))} points" if isinstance(said.change, Bounds) else "",
    ]


def _groups(found: Drift) -> str:
    head = [
        found.by.capitalize(),
        "Texts",
        "Reference",
        *(TITLES[each.what] for each in found.groups[0].measures),
        "People",
    ]
    rows = [
        [
            escape(group.name),
            f"{group.texts:,}",
            f"{group.reference_texts:,}",
            *(_cell(each) for each in group.measures),
            escape(TRENDS[group.agreement.trend]),
        ]
        for group in found.groups
    ]
    signs = f"<p>{', '.join(f'{_SIGNS[each]} {SAYS[each]}' for each in Verdict)}</p>"
    left = f"<p>{found.left_out:,} more with fewer texts are left out.</p>" if found.left_out else ""
    moved = [
        f"<li>{escape(group.name)}: {escape(listed(group, m))}</li>" for group in found.groups if (m := moved_of(group))
    ]
    return table(head, rows, words_from=3) + signs + left + (f"<ul>{''.join(moved)}</ul>" if moved else "")


def _cell(each: Compared) -> str:
    return _SIGNS[each.verdict] + ("" if each.index is None else f"\N{NO-BREAK SPACE}{each.index:.2f}")


def _versions(group: Group) -> str:
    rows = [
        [escape(f"{each.pack} {each.version}"), f"{each.texts:,}", f"{each.reference_texts:,}"]
        for each in group.versions
    ]
    return table(["Pack and version", "Texts of the window", "Of the reference"], rows)


def _verdict(verdict: Verdict) -> str:
    return f"{_SIGNS[verdict]} {escape(SAYS[verdict])}"


def _days(span: Span) -> str:
    return f"{span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M}"

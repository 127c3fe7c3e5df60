"""The report as one page that needs nothing else: no script, no network, charts as inline SVG, in light and dark."""

from collections.abc import Iterator, Sequence
from html import escape

from workers.evaluate.bootstrap import LEVEL, RESAMPLES
from workers.evaluate.html_page import document, interval, section, signed, table
from workers.evaluate.metrics import BINS, Bin, expected_calibration_error
from workers.evaluate.report import Calibration, Report
from workers.evaluate.svg import Bars, Line, bar_chart, heat_map, line_chart, percent

TITLES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "macro_recall": "Macro recall"}
MAX_SHOWN_CHARS = 280


def page(report: Report) -> str:
    """The whole HTML document."""
    title = f"{report.head}, {' '.join(report.pack)}"
    intro = (
        f"{report.n:,} judgements of {', '.join(report.files)}. In brackets, and as whiskers: {percent(LEVEL, 0)} intervals,"
        f" percentile bootstrap over texts, {RESAMPLES:,} resamples."
    )
    return document(title, intro, _sections(report))


def _sections(report: Report) -> Iterator[str]:
    pack = report.contestants[0]
    groups = [Bars(TITLES[m], [(each.name, each.scores[m]) for each in report.contestants]) for m in TITLES]
    yield section("On the same texts", bar_chart(groups) + _left_out(report))
    yield section(f"What {pack.name} takes for what", heat_map(report.labels, pack.confusion))
    if pack.calibration:
        yield section("How honest its confidence is", _reliability(pack.calibration))
    curves = [
        Line(each.name, [(c.coverage, c.accuracy, "") for c in each.curve], at, dots=False)
        for at, each in enumerate(report.contestants)
        if each.curve
    ]
    if curves:
        floor = 0.5 if min(y for line in curves for _, y, _ in line.points) >= 0.5 else 0.0
        chart = line_chart(curves, "share of the texts that are answered", "accuracy of those", floor=floor)
        yield section("What abstaining brings", "<p>The surest texts first.</p>" + chart)
    yield section("Figures", _figures(report), wide=True)
    yield section("Where it fares how", _slices(report), wide=True)
    if report.mistakes:
        yield section("The mistakes it was surest of", _mistakes(report), wide=True)


def _left_out(report: Report) -> str:
    return "".join(f"<p>Without {escape(name)}: {escape(why)}.</p>" for name, why in report.left_out.items())


def _reliability(calibration: Calibration) -> str:
    lines = []
    if calibration.tempered is not None:
        lines.append(_bins_line("before temperature", calibration.raw, None))
        lines.append(_bins_line("after temperature", calibration.tempered, 0))
    else:
        lines.append(_bins_line("as it is", calibration.raw, 0))
    return line_chart(lines, "confidence", "share that is right", diagonal=True)


def _bins_line(when: str, bins: Sequence[Bin], colour: int | None) -> Line:
    name = f"{when}: expected calibration error {percent(expected_calibration_error(list(bins)))} ({BINS} bins)"
    points = [
        (b.confidence, b.accuracy, f"{b.n:,} texts, sure {percent(b.confidence)}, right {percent(b.accuracy)}")
        for b in bins
    ]
    return Line(name, points, colour, dots=True)


def _figures(report: Report) -> str:
    head = ["", *TITLES.values(), "The pack's lead in macro F1", "Texts a second"]
    rows = [
        [
            escape(each.name),
            *(interval(each.scores[m]) for m in TITLES),
            signed(each.lead["macro_f1"]) if each.lead else "",
            f"{each.docs_per_s:,.0f}",
        ]
        for each in report.contestants
    ]
    return table(head, rows)


def _slices(report: Report) -> str:
    head = ["", "n", "Accuracy", *(f"Macro F1, {each.name}" for each in report.contestants)]
    rows = [
        [
            escape(part.name if part.by == "length" else f"{part.by} {part.name}"),
            f"{part.n:,}",
            interval(part.scores[0]["accuracy"]),
            *(interval(scores["macro_f1"]) for scores in part.scores),
        ]
        for part in report.slices
    ]
    return table(head, rows)


def _mistakes(report: Report) -> str:
    rows = [
        [percent(each.confidence), escape(each.gold), escape(each.said), _shown(each.text)] for each in report.mistakes
    ]
    return table(["Sure", "True", "Given", "Text, redacted"], rows, words_from=1)


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return escape(words if len(words) <= MAX_SHOWN_CHARS else words[: MAX_SHOWN_CHARS - 1] + "…")

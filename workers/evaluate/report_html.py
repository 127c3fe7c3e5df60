"""The report as one page that needs nothing else: no script, no network, charts as inline SVG, in light and dark."""

from collections.abc import Iterator, Sequence
from html import escape

from workers.evaluate.bootstrap import LEVEL, RESAMPLES, Interval
from workers.evaluate.metrics import BINS, Bin, expected_calibration_error
from workers.evaluate.report import Calibration, Report
from workers.evaluate.svg import Bars, Line, bar_chart, heat_map, line_chart, percent

TITLES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "macro_recall": "Macro recall"}
MAX_SHOWN_CHARS = 280

_STYLE = """
:root{color-scheme:light dark;--page:#f9f9f7;--card:#fff;--ink:#131312;--quiet:#5c5b57;--edge:#e2e1dc;--grey:#8f8e88;
--c0:#2a78d6;--c1:#d9591f;--c2:#148a60;--c3:#7a4fc9;--c4:#a87400}
@media(prefers-color-scheme:dark){:root{--page:#131312;--card:#1d1d1b;--ink:#f4f4f1;--quiet:#b3b2ab;--edge:#383835;
--grey:#85847e;--c0:#4a93ea;--c1:#e97a45;--c2:#2fae82;--c3:#a588ea;--c4:#d09b2c}}
body{margin:0 auto;padding:24px;max-width:1200px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:0 0 8px}p{margin:4px 0 12px;color:var(--quiet)}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px;margin-top:16px}
section{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:16px;overflow-x:auto}
.wide{grid-column:1/-1}svg{max-width:100%;height:auto;font:12.5px system-ui,sans-serif}
svg text{fill:var(--ink)}.end{text-anchor:end}.middle{text-anchor:middle}.strong{font-weight:600}
svg .quiet{fill:var(--quiet)}.number{font-variant-numeric:tabular-nums}.whisker{stroke:var(--ink);stroke-width:1.5}
.grid{stroke:var(--edge)}.ideal{stroke:var(--grey);stroke-dasharray:5 4}.line{fill:none;stroke-width:2}
.dot{stroke:var(--card);stroke-width:2}.cell{fill:none;stroke:var(--edge)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--edge);vertical-align:top}
th{font-weight:600;color:var(--quiet)}th:first-child,td:first-child,.words{text-align:left}
td:last-child.words{overflow-wrap:anywhere}td small{color:var(--quiet);white-space:nowrap}
"""


def page(report: Report) -> str:
    """The whole HTML document."""
    title = f"{report.head}, {' '.join(report.pack)}"
    intro = (
        f"{report.n:,} judgements of {', '.join(report.files)}. In brackets, and as whiskers: {percent(LEVEL, 0)} intervals,"
        f" percentile bootstrap over texts, {RESAMPLES:,} resamples."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{escape(intro)}</p><main>{''.join(_sections(report))}</main></body></html>\n"
    )


def _sections(report: Report) -> Iterator[str]:
    pack = report.contestants[0]
    groups = [Bars(TITLES[m], [(each.name, each.scores[m]) for each in report.contestants]) for m in TITLES]
    yield _section("On the same texts", bar_chart(groups) + _left_out(report))
    yield _section(f"What {pack.name} takes for what", heat_map(report.labels, pack.confusion))
    if pack.calibration:
        yield _section("How honest its confidence is", _reliability(pack.calibration))
    curves = [
        Line(each.name, [(c.coverage, c.accuracy, "") for c in each.curve], at, dots=False)
        for at, each in enumerate(report.contestants)
        if each.curve
    ]
    if curves:
        floor = 0.5 if min(y for line in curves for _, y, _ in line.points) >= 0.5 else 0.0
        chart = line_chart(curves, "share of the texts that are answered", "accuracy of those", floor=floor)
        yield _section("What abstaining brings", "<p>The surest texts first.</p>" + chart)
    yield _section("Figures", _figures(report), wide=True)
    yield _section("Where it fares how", _slices(report), wide=True)
    if report.mistakes:
        yield _section("The mistakes it was surest of", _mistakes(report), wide=True)


def _section(title: str, inside: str, *, wide: bool = False) -> str:
    wide_class = ' class="wide"' if wide else ""
    return f"<section{wide_class}><h2>{escape(title)}</h2>{inside}</section>"


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
            *(_interval(each.scores[m]) for m in TITLES),
            _signed(each.lead["macro_f1"]) if each.lead else "",
            f"{each.docs_per_s:,.0f}",
        ]
        for each in report.contestants
    ]
    return _table(head, rows)


def _slices(report: Report) -> str:
    head = ["", "n", "Accuracy", *(f"Macro F1, {each.name}" for each in report.contestants)]
    rows = [
        [
            escape(part.name if part.by == "length" else f"{part.by} {part.name}"),
            f"{part.n:,}",
            _interval(part.scores[0]["accuracy"]),
            *(_interval(scores["macro_f1"]) for scores in part.scores),
        ]
        for part in report.slices
    ]
    return _table(head, rows)


def _mistakes(report: Report) -> str:
    rows = [
        [percent(each.confidence), escape(each.gold), escape(each.said), _shown(each.text)] for each in report.mistakes
    ]
    return _table(["Sure", "True", "Given", "Text, redacted"], rows, words_from=1)


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return escape(words if len(words) <= MAX_SHOWN_CHARS else words[: MAX_SHOWN_CHARS - 1] + "…")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words_from: int | None = None) -> str:
    """`head` is escaped here, the cells are HTML already; from column `words_from` on they are words, not figures."""

    def row(cells: Sequence[str], tag: str) -> str:
        texts = len(cells) if words_from is None else words_from
        figures, words = cells[:texts], cells[texts:]
        return "".join(
            [
                *(f"<{tag}>{cell}</{tag}>" for cell in figures),
                *(f'<{tag} class="words">{cell}</{tag}>' for cell in words),
            ]
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f"<table><thead><tr>{row([escape(each) for each in head], 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _interval(each: Interval) -> str:
    return f"{100 * each.value:.1f} <small>[{100 * each.low:.1f}, {100 * each.high:.1f}]</small>"


def _signed(each: Interval) -> str:
    return f"{100 * each.value:+.1f} <small>[{100 * each.low:+.1f}, {100 * each.high:+.1f}]</small>"

"""`voxpop eval`: runs the evaluation, prints its tables or its JSON, and writes its page."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from workers.errors import UsageError
from workers.evaluate.bootstrap import LEVEL, Interval
from workers.evaluate.metrics import BINS, expected_calibration_error
from workers.evaluate.report import LEAST_CONFIDENCES, Contestant, Reasoning, Report, as_document
from workers.evaluate.report_html import TITLES, page
from workers.evaluate.run import EvalRequest, run_eval
from workers.settings import Settings


def show_eval(
    settings: Settings, request: EvalRequest, html: Path | None, out: Console, err: Console, *, as_json: bool
) -> None:
    """Tables on standard output, or one JSON document. Raises what `run_eval` does."""
    if html and not html.absolute().parent.is_dir():
        raise UsageError(f"{html} cannot be written, {html.parent} is no directory; make it, or name another place")
    report = run_eval(
        request,
        settings,
        lambda line: err.print(f"· {line}", style="dim", markup=False, highlight=False, soft_wrap=True),
    )
    for name, why in report.left_out.items():
        err.print(f"without {name}: {why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if html:
        _write(html, page(report))
        err.print(f"· the page is in {html}", style="dim", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        out.file.write(json.dumps(as_document(report), ensure_ascii=False) + "\n")
    else:
        for table in _tables(report):
            out.print(table, markup=False, highlight=False)
    out.file.flush()


def _write(html: Path, document: str) -> None:
    try:
        html.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{html} cannot be written ({error.strerror}); name another place") from error


def _tables(report: Report) -> list[Table]:
    pack = report.contestants[0]
    tables = [_comparison(report), _confusion(report), _slices(report)]
    if pack.calibration:
        tables.append(_calibration(report))
        tables.append(_abstaining(report))
    if report.reasoning:
        tables.append(_reasoning(report.reasoning))
    return tables


def _comparison(report: Report) -> Table:
    about = f"{report.head}: {report.n:,} judgements of {', '.join(report.files)}"
    table = _table(f"{about}, in percent with {100 * LEVEL:.0f} % bootstrap intervals", "Contestant")
    for title in (*TITLES.values(), "Pack's lead, macro F1", "Texts/s"):
        table.add_column(title, justify="right")
    for each in report.contestants:
        figures = [_interval(each.scores[measure]) for measure in TITLES]
        lead = _interval(each.lead["macro_f1"], "+") if each.lead else ""
        table.add_row(each.name, *figures, lead, f"{each.docs_per_s:,.0f}")
    return table


def _confusion(report: Report) -> Table:
    pack = report.contestants[0]
    table = _table(f"What {pack.name} gives for what is true", "True")
    for label in report.labels:
        table.add_column(f"→ {label}", justify="right")
    for label, row in zip(report.labels, pack.confusion.tolist(), strict=True):
        table.add_row(label, *(f"{count:,}" for count in row))
    return table


def _slices(report: Report) -> Table:
    table = _table("By language and by length", "Texts")
    for title in ("n", "Accuracy", *(f"Macro F1, {each.name}" for each in report.contestants)):
        table.add_column(title, justify="right")
    for part in report.slices:
        name = part.name if part.by == "length" else f"{part.by} {part.name}"
        figures = [_interval(scores["macro_f1"]) for scores in part.scores]
        table.add_row(name, f"{part.n:,}", _interval(part.scores[0]["accuracy"]), *figures)
    return table


def _calibration(report: Report) -> Table:
    table = _table(f"Expected calibration error, {BINS} bins of equal width, in percent", "Contestant")
    for title in ("Before temperature", "After"):
        table.add_column(title, justify="right")
    for each in report.contestants:
        if each.calibration:
            after = each.calibration.tempered
            errors = [expected_calibration_error(bins) if bins else None for bins in (each.calibration.raw, after)]
            table.add_row(each.name, *("–" if error is None else f"{100 * error:.1f}" for error in errors))
    return table


def _abstaining(report: Report) -> Table:
    table = _table("Answering only when sure: share answered → accuracy, in percent", "Contestant")
    for least in LEAST_CONFIDENCES:
        table.add_column(f"≥ {least}", justify="right")
    for each in report.contestants:
        if each.calibration:
            table.add_row(each.name, *(_kept(each, least) for least in LEAST_CONFIDENCES))
    return table


def _reasoning(reasoning: Reasoning) -> Table:
    slice_said = f"the {reasoning.n:,} texts that the pack is least sure of (at most {reasoning.confidence:.2f})"
    table = _table(f"Thinking first, by tokens at least and at most: {slice_said}, in percent", "Contestant")
    for title in ("Accuracy", "Macro recall", "Pack's lead, accuracy", "Tokens a text", "Seconds a text"):
        table.add_column(title, justify="right")
    pack, *budgets = reasoning.contestants
    figures = [
        (_interval(each.scores["accuracy"]), _interval(each.scores["macro_recall"])) for each in (pack, *budgets)
    ]
    table.add_row(pack.name, *figures[0], "", "0", f"{1 / pack.docs_per_s:.3f}")
    for each, own, tokens, seconds in zip(budgets, figures[1:], reasoning.tokens, reasoning.seconds, strict=True):
        lead = _interval(each.lead["accuracy"], "+") if each.lead else ""
        table.add_row(each.name, *own, lead, f"{tokens:.0f}", f"{seconds:.2f}")
    return table


def _kept(contestant: Contestant, least: float) -> str:
    found = next((each for each in contestant.abstaining if each.confidence == least), None)
    return f"{100 * found.coverage:.0f} → {100 * found.accuracy:.1f}" if found else "0 → –"


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    return table


def _interval(each: Interval, sign: str = "") -> str:
    """The figure, and its interval on a line below: side by side they would not fit a terminal."""
    return f"{100 * each.value:{sign}.1f}\n{100 * each.low:{sign}.1f}…{100 * each.high:{sign}.1f}"

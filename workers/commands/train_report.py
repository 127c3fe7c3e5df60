"""What `voxpop train` says of a head: figures for machines, tables for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from workers.slm.fitting.figures import Given, confusion, interval, macro_f1, of_most_frequent, per_label

WIDEST = 12  # labels, beyond which a confusion matrix fits no terminal


def figures(gold: Given, said: Given, labels: Sequence[str], seed: int, *, one_label: bool) -> dict[str, Any]:
    """Of texts (n, labels): every figure as a share of 1. `confusion` has a row a label that is right and a column a label
    that was given, for heads that give one."""
    return {
        "macro_f1": round(macro_f1(gold, said), 4),
        "interval": list(interval(gold, said, seed)),
        "most_frequent_macro_f1": round(of_most_frequent(gold), 4),
        "per_label": [asdict(each) for each in per_label(gold, said, labels)],
        "confusion": confusion(gold, said) if one_label else None,
    }


def show_report(report: Mapping[str, Any], out: Console) -> None:
    """The tables, and one line each for what surrounds them."""
    held, crossed = report["holdout"], report["cross_validation"]
    table = Table("Label", title=f"{report['head']} on {report['holdout_rows']:,} holdout texts", title_justify="left")
    for name in ("n", "Precision", "Recall", "F1", "F1, cross-validated"):
        table.add_column(name, justify="right")
    for mine, other in zip(held["per_label"], crossed["per_label"], strict=True):
        shares = [f"{mine[name]:.3f}" for name in ("precision", "recall", "f1")]
        table.add_row(mine["label"], f"{mine['n']:,}", *shares, f"{other['f1']:.3f} of {other['n']:,}")
    out.print(table, markup=False)
    if held["confusion"] is not None and len(report["labels"]) <= WIDEST:
        out.print(_confusion(report["labels"], held["confusion"]), markup=False)
    low, high = held["interval"]
    lines = [f"macro F1 {held['macro_f1']:.3f}, 95 of 100 such holdouts between {low:.3f} and {high:.3f}"]
    lines.append(f"always the most frequent label: {held['most_frequent_macro_f1']:.3f}")
    if report["current"]:
        lines.append(f"the current version {report['parent']}: {report['current']['macro_f1']:.3f}")
    error = report["calibration_error"]
    lines.append(
        f"calibration error {error['before']:.3f}, with temperature {report['temperature']:.2f} {error['after']:.3f} "
        f"(cross-validated, {report['train_rows']:,} texts)"
    )
    lines += [f"note: {warning}" for warning in report["warnings"]]
    gate = "passes the gate" if report["passes"] else "does not pass the gate"
    lines.append(f"{report['pack']} {report['version']}, made in {report['seconds']:.1f} s, {gate}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _confusion(labels: Sequence[str], counted: Sequence[Sequence[int]]) -> Table:
    table = Table("Right, and what was said", *labels)
    for label, row in zip(labels, counted, strict=True):
        table.add_row(label, *(f"{n:,}" if n else "·" for n in row))
    return table

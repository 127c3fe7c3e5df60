"""`voxpop train`: a file of texts and labels becomes a head in a new version of a pack."""

import datetime
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from workers.analyze.judge import OWN_FIELDS
from workers.commands.audit import operator
from workers.commands.packs import promote_version
from workers.commands.query import json_line
from workers.commands.train_report import figures, show_report
from workers.commands.train_rows import TrainingSet, prepared
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.slm.derive import NewHead, with_head
from workers.slm.fitting.calibration import Kind
from workers.slm.fitting.head import Fitted, fit_head
from workers.slm.gate import GateRefused, Holdout, compare, said
from workers.slm.heads import HeadCard
from workers.slm.packs import Pack, Training
from workers.slm.vectors import embedded
from workers.slm.versions import is_pack_name
from workers.stream.labelled_file import LabelledColumns, LabelledFile, read_labelled
from workers.worker import build_redactor

HEAD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = ("aspects", "attention")  # of a pack's tensors
Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the command line asked for. `holdout` is a file, or a share of the rows; `pack` None is the configured one."""

    file: Path
    head: str
    columns: LabelledColumns
    holdout: str
    pack: str | None
    seed: int
    promote: bool
    force: bool


def show_train(settings: Settings, request: TrainRequest, out: Console, err: Console, *, as_json: bool) -> None:
    """Trains, measures, makes the version, and promotes it where that was asked for.

    Raises `UsageError` for what is wrong with the file, `GateRefused` when the version must not be promoted: it is made all
    the same.
    """
    started = time.monotonic()
    name = request.pack or settings.model.pack
    if not is_pack_name(name):
        raise UsageError(
            f"{name} is a file or directory, which has no versions; give a pack's name (voxpop packs list)"
        )
    if request.force and not request.promote:
        raise UsageError("--force says that a worse version is promoted all the same; it goes with --promote")
    parent = ensure_pack(name, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    known = _known(request.head, parent)
    file, sets, kind = _read(settings, request, known)
    with _progress(err) as progress:
        embed = partial(
            embedded, encoder_hash=parent.encoder_hash, encoder=parent.encoder, cache_dir=settings.cache_dir
        )
        vectors = embed([*sets.train.texts, *sets.holdout.texts], on_step=progress("embedding"))
        learnt, kept = np.split(vectors, [len(sets.train.texts)])
        thresholds = known.thresholds if known and known.kind == kind == "softmax" else {}
        gold = sets.train.gold
        fitted = fit_head(learnt, gold, kind, sets.labels, thresholds, request.seed, progress("cross-validation"))
    holdout = Holdout(kept, sets.holdout.gold)
    weight, bias = (part.astype(np.float32) for part in (fitted.layer.weight, fitted.layer.bias))
    head = NewHead(request.head, fitted.card, weight, bias, holdout)
    report = _report(request, parent, head, fitted, sets)
    version = with_head(parent, settings.packs_dir, head, _training(request, file, report))
    report |= {"version": version.version, "seconds": round(time.monotonic() - started, 2)}
    _finish(settings, request, parent, version, report, out, err, as_json=as_json)


def _known(name: str, parent: Pack) -> HeadCard | None:
    """The card of the head that is to be replaced; None for a new one."""
    if not HEAD_NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"--head {name!r}: take lower-case letters, digits and underscores, and none of {', '.join(RESERVED)}"
        )
    if name in OWN_FIELDS and name not in parent.card.heads:
        raise UsageError(
            f"the pack {parent.name} has no head {name} to replace; take another name for labels of your own"
        )
    return parent.card.heads.get(name)


def _read(settings: Settings, request: TrainRequest, known: HeadCard | None) -> tuple[LabelledFile, TrainingSet, Kind]:
    fixed = known if request.head in OWN_FIELDS else None
    many = request.columns.separator is not None or (fixed is not None and fixed.kind == "sigmoid")
    file = read_labelled(request.file, request.columns, may_be_none=many)
    share = _share(request.holdout)
    holdout = share or read_labelled(Path(request.holdout), request.columns, may_be_none=many, fewest=1)
    several = many or any(len(row.labels) > 1 for row in file.rows)
    kind: Kind = fixed.kind if fixed else "sigmoid" if several else "softmax"
    if kind == "softmax" and several:
        raise UsageError(f"the head {request.head} gives a text one label; {request.file} gives one several")
    redactor = build_redactor(settings)
    wanted = fixed.labels if fixed else None
    return file, prepared(file, holdout, kind, wanted, lambda t: redactor.redact(t).text, request.seed), kind


def _share(told: str) -> float | None:
    try:
        share = float(told)
    except ValueError:
        return None
    if not 0.05 <= share <= 0.5:
        raise UsageError(f"--holdout {told}: a share is between 0.05 and 0.5; or give a file")
    return share


def _report(request: TrainRequest, parent: Pack, head: NewHead, fitted: Fitted, sets: TrainingSet) -> dict[str, Any]:
    labels, holdout = sets.labels, head.holdout
    one = fitted.card.kind == "softmax"
    told = said(head.heads(), head.name, holdout.vectors, labels)
    current = None
    if head.name in parent.card.heads:
        before = said(parent.heads, head.name, holdout.vectors, labels)
        current = figures(holdout.gold, before, labels, request.seed, one_label=one)
    return {
        "head": head.name,
        "kind": fitted.card.kind,
        "labels": list(labels),
        "pack": parent.name,
        "parent": parent.version,
        "train_rows": len(sets.train.texts),
        "holdout_rows": len(sets.holdout.texts),
        "penalty": fitted.strength,
        "temperature": fitted.card.temperature,
        "thresholds": dict(fitted.card.thresholds),
        "calibration_error": {"before": fitted.error_before, "after": fitted.error_after},
        "cross_validation": figures(sets.train.gold, fitted.out_of_fold, labels, request.seed, one_label=one),
        "holdout": figures(holdout.gold, told, labels, request.seed, one_label=one),
        "current": current,
        "warnings": sets.warnings,
    }


def _training(request: TrainRequest, file: LabelledFile, report: Mapping[str, Any]) -> Training:
    held, crossed = report["holdout"], report["cross_validation"]
    return Training(
        head=request.head,
        file=file.path.name,
        sha256=file.sha256,
        rows=len(file.rows),
        holdout=request.holdout if _share(request.holdout) else Path(request.holdout).name,
        holdout_rows=report["holdout_rows"],
        seed=request.seed,
        date=datetime.datetime.now(datetime.UTC).date(),
        by=operator(),
        metrics={
            "macro_f1": held["macro_f1"],
            "macro_f1_low": held["interval"][0],
            "macro_f1_high": held["interval"][1],
            "macro_f1_of_most_frequent": held["most_frequent_macro_f1"],
            "cross_validated_macro_f1": crossed["macro_f1"],
            "calibration_error": report["calibration_error"]["after"],
        },
    )


def _finish(
    settings: Settings,
    request: TrainRequest,
    parent: Pack,
    version: Pack,
    report: dict[str, Any],
    out: Console,
    err: Console,
    *,
    as_json: bool,
) -> None:
    """The report, and the promotion where it was asked for; its refusal comes after the report."""
    refusal: VoxpopError | None = None
    comparisons = compare(parent, version)
    report |= {"passes": all(c.passed for c in comparisons), "promoted": False}
    if not as_json:
        show_report(report, out)
    if request.promote:
        try:
            quiet = Console(quiet=True) if as_json else out
            promote_version(settings, version.name, version.version, quiet, err, force=request.force)
            report["promoted"] = True
        except GateRefused as refused:
            refusal = refused
    elif not as_json:
        out.print(
            f"make it current with: voxpop packs promote {version.name} {version.version}",
            soft_wrap=True,
            highlight=False,
        )
    if as_json:
        out.file.write(json_line(report))
    if refusal:
        raise refusal


@contextmanager
def _progress(err: Console) -> Iterator[Callable[[str], Step]]:
    """Bars on a terminal, nothing elsewhere."""
    if not err.is_terminal:
        yield lambda _: lambda done, of: None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), console=err, transient=True) as bars:

        def begin(what: str) -> Step:
            task = bars.add_task(what, total=None)
            return lambda done, of: bars.update(task, completed=done, total=of)

        yield begin

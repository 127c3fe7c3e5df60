"""From a user's rows to what a head learns from and what it is measured on: redacted, once each, and apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workers.errors import UsageError
from workers.slm.fitting.calibration import Kind
from workers.slm.fitting.figures import Given
from workers.slm.fitting.folds import kept, strata
from workers.stream.labelled_file import FEWEST, LabelledFile, LabelledRow

FEW_ROWS = 10  # of a label, below which its figures say little
FEW_HELD = 50  # holdout rows, below which the gate decides by chance


@dataclass(frozen=True)
class Rows:
    """`gold` (n, labels): which labels each text bears."""

    texts: list[str]
    gold: Given


@dataclass(frozen=True)
class TrainingSet:
    """`warnings` are whole sentences about the data."""

    labels: tuple[str, ...]
    train: Rows
    holdout: Rows
    warnings: list[str] = field(default_factory=list)


def prepared(
    file: LabelledFile,
    holdout: LabelledFile | float,
    kind: Kind,
    wanted: Sequence[str] | None,
    redact: Callable[[str], str],
    seed: int,
) -> TrainingSet:
    """`holdout` is another file, or a share of this one. `wanted` are the labels that there must be, in their order.

    Raises `UsageError`: labels that are others than those, one only, a label with fewer than two rows, too few rows.
    """
    warnings: list[str] = []
    labels = _labels(file, wanted)
    own = _distinct(_redacted(file, redact), str(file.path), warnings)
    if isinstance(holdout, float):
        gold = _gold(own, labels)
        _check(gold, labels, kind, file)
        held = kept([row.text for row in own], strata(gold), holdout, seed)
        train = [row for row, out in zip(own, held, strict=True) if not out]
        rest = [row for row, out in zip(own, held, strict=True) if out]
    else:
        rest = _distinct(_redacted(holdout, redact), str(holdout.path), warnings)
        if strange := sorted({label for row in rest for label in row.labels} - set(labels)):
            raise UsageError(
                f"{holdout.path} has the label {strange[0]!r}, which {file.path} has not; correct one of them"
            )
        there = {row.text for row in rest}
        train = [row for row in own if row.text not in there]
        if both := len(own) - len(train):
            warnings.append(f"{both} texts are in the training file and in the holdout; they were not learnt from")
    sets = TrainingSet(labels, _rows(train, labels), _rows(rest, labels), warnings)
    _check(sets.train.gold, labels, kind, file)
    _warn(sets)
    return sets


def _labels(file: LabelledFile, wanted: Sequence[str] | None) -> tuple[str, ...]:
    there = set(file.counts())
    if wanted is None:
        return tuple(sorted(there))
    if there != set(wanted):
        raise UsageError(
            f"{file.path} has the labels {', '.join(sorted(there)) or 'none'}, this head has {', '.join(wanted)}; "
            "take the same, or another --head for labels of your own"
        )
    return tuple(wanted)


def _redacted(file: LabelledFile, redact: Callable[[str], str]) -> list[LabelledRow]:
    return [LabelledRow(redact(row.text), row.labels) for row in file.rows]


def _distinct(rows: Sequence[LabelledRow], name: str, warnings: list[str]) -> list[LabelledRow]:
    """Each text once; none whose labels contradict each other."""
    said: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        said.setdefault(row.text, set()).add(tuple(sorted(row.labels)))
    once = {row.text: row for row in reversed(rows)}
    clear = [row for row in reversed(once.values()) if len(said[row.text]) == 1]
    torn = len(once) - len(clear)
    if repeated := len(rows) - len(once):
        warnings.append(f"{repeated} rows of {name} repeat the text of another; each text counts once")
    if torn:
        warnings.append(f"{torn} texts of {name} bear different labels in different rows; they were left out")
    return clear


def _gold(rows: Sequence[LabelledRow], labels: Sequence[str]) -> Given:
    column = {label: number for number, label in enumerate(labels)}
    gold = np.zeros((len(rows), len(labels)), bool)
    for at, row in enumerate(rows):
        gold[at, [column[label] for label in row.labels]] = True
    return gold


def _rows(rows: Sequence[LabelledRow], labels: Sequence[str]) -> Rows:
    return Rows([row.text for row in rows], _gold(rows, labels))


def _check(gold: Given, labels: Sequence[str], kind: Kind, file: LabelledFile) -> None:
    if kind == "softmax" and len(labels) < 2:
        raise UsageError(f"{file.path} has one label only, {labels[0]!r}; a head needs two at least, or --separator")
    count = gold.sum(axis=0)
    for label, with_it in zip(labels, count.tolist(), strict=True):
        if with_it < 2:
            raise UsageError(
                f"the label {label!r} has {with_it} texts to learn from and needs two; add some or leave it out"
            )
        if kind == "sigmoid" and len(gold) - with_it < 2:
            raise UsageError(f"nearly every text bears the label {label!r}; add texts without it")
    if len(gold) < FEWEST // 2:
        raise UsageError(f"{file.path} leaves {len(gold)} texts to learn from; add some, or make the holdout smaller")


def _warn(sets: TrainingSet) -> None:
    for label, n, held in zip(sets.labels, sets.train.gold.sum(axis=0), sets.holdout.gold.sum(axis=0), strict=True):
        if n < FEW_ROWS:
            sets.warnings.append(f"the label {label!r} has {n} texts to learn from; its figures say little")
        if not held:
            sets.warnings.append(f"no holdout text bears the label {label!r}; the gate does not see it")
    if len(sets.holdout.texts) < FEW_HELD:
        sets.warnings.append(
            f"the holdout has {len(sets.holdout.texts)} texts; its figures vary widely, see the interval"
        )

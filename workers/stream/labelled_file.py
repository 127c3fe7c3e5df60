"""A user's own texts with their labels, as they lie in a CSV, TSV or JSON lines file, gzipped or not."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.events import MAX_TEXT_CHARS
from workers.errors import UsageError
from workers.stream.row_formats import explained, rows_of

FEWEST, MOST = 20, 20_000  # rows
MOST_LABELS = 100
MOST_LABEL_CHARS = 64


@dataclass(frozen=True)
class LabelledRow:
    """`text` has the title, where there is one, as its first line: so the worker shows it to the model. `labels` are none,
    one, or several where a separator or a JSON list says so."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelledFile:
    """`sha256` is of the file as it lies there."""

    path: Path
    sha256: str
    rows: tuple[LabelledRow, ...]

    def counts(self) -> Counter[str]:
        """Label -> rows that bear it."""
        return Counter(label for row in self.rows for label in row.labels)


@dataclass(frozen=True)
class LabelledColumns:
    """Which columns hold what. `separator` parts several labels of a text."""

    text: str = "text"
    label: str = "label"
    title: str | None = None
    separator: str | None = None


def read_labelled(
    path: Path, columns: LabelledColumns, *, may_be_none: bool = False, fewest: int = FEWEST
) -> LabelledFile:
    """All rows of a file. `may_be_none` allows rows without a label.

    Raises `UsageError` that names the row or the columns: no file, no such column, fewer than `fewest` or more than 20,000
    rows, an empty or overlong text, a label that is missing where one is needed.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    found: list[LabelledRow] = []
    seen: dict[str, None] = {}
    with explained(path), path.open("rb") as raw:
        for number, row in enumerate(rows_of(path, raw), 1):
            if number > MOST:
                raise UsageError(f"{path} has more than {MOST:,} rows; train on a sample of it")
            if isinstance(row, bytes):
                raise UsageError(f"{path}, row {number}: no row of columns, or not UTF-8; correct it")
            seen |= dict.fromkeys(row)
            _need(row, columns, seen, path, number)
            where = f"{path}, row {number}"
            found.append(LabelledRow(_text(row, columns, where), _labels(row, columns, where)))
            if not found[-1].labels and not may_be_none:
                raise UsageError(
                    f"{where}: no label; give one, or --separator when a text may bear any number, none too"
                )
    if len(found) < fewest:
        raise UsageError(f"{path} has {len(found)} rows; training needs {fewest} at least")
    labelled = LabelledFile(path, hashlib.sha256(path.read_bytes()).hexdigest(), tuple(found))
    if len(labelled.counts()) > MOST_LABELS:
        raise UsageError(
            f"{path} has more than {MOST_LABELS} labels in {columns.label!r}; is it the right column? say --label-column"
        )
    return labelled


def _need(row: dict[str, Any], columns: LabelledColumns, seen: dict[str, None], path: Path, number: int) -> None:
    """JSON lines may leave a column out of a row, but not out of the first."""
    for name, option in ((columns.text, "text"), (columns.label, "label"), (columns.title, "title")):
        if name is not None and name not in row and (number == 1 or name not in seen):
            raise UsageError(f"{path} has no column {name!r}; it has: {', '.join(seen)} (say --{option}-column)")


def _text(row: dict[str, Any], columns: LabelledColumns, where: str) -> str:
    text, title = row.get(columns.text), row.get(columns.title) if columns.title else None
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"{where}: the text is empty; fill it or leave the row out")
    if len(text) > MAX_TEXT_CHARS:
        raise UsageError(f"{where}: the text has more than {MAX_TEXT_CHARS:,} characters; shorten it")
    return f"{title}\n{text}" if isinstance(title, str) and title.strip() else text


def _labels(row: dict[str, Any], columns: LabelledColumns, where: str) -> tuple[str, ...]:
    value = row.get(columns.label)
    if isinstance(value, list):
        parts = [str(part) for part in value]
    else:
        told = "" if value is None else str(value)
        parts = told.split(columns.separator) if columns.separator else [told]
    labels = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    for label in labels:
        if len(label) > MOST_LABEL_CHARS or not label.isprintable():
            raise UsageError(f"{where}: a label is one short line of at most {MOST_LABEL_CHARS} characters")
    return labels

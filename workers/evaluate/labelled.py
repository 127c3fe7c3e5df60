"""Labelled texts out of a user's files. Every text is redacted as it is read: nothing behind this sees personal data."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schemas.events import MAX_TEXT_CHARS
from workers.analyze.redact import Redactor
from workers.errors import UsageError
from workers.evaluate.metrics import Labels
from workers.stream.row_formats import explained, rows_of

LANGUAGE_COLUMN = "language"
MAX_LABEL_CHARS = 40
SEPARATOR = "|"  # between the labels of a text that has several


@dataclass(frozen=True)
class Columns:
    """Which column holds what. `language` None takes the column `language` of the rows that have it.
    `mapped`: a label of the file -> a label of the head."""

    text: str = "text"
    label: str = "label"
    language: str | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)


class LabelledTexts(NamedTuple):
    """n texts, redacted, with their true labels (n,) as indices into the head's, and their languages, empty where
    the file names none."""

    texts: list[str]
    gold: Labels
    languages: list[str]


class _Row(NamedTuple):
    """One row: what is read of it, and how an error names it."""

    text: str
    language: str
    fields: Mapping[str, Any]
    where: str


class Reader:
    """Reads labelled files. Strict: a row that cannot be used ends the evaluation, for a figure on the others would lie."""

    def __init__(self, columns: Columns, redactor: Redactor, limit: int | None = None) -> None:
        """`limit`: at most so many rows of each file, its first."""
        self._columns, self._redactor, self._limit = columns, redactor, limit

    def labelled(
        self, files: Sequence[Path], labels: Sequence[str], head: str, among: Sequence[str] = ()
    ) -> LabelledTexts:
        """Texts with one label each, of those that `head` gives. With `among`, a row names any number of those, separated
        by |, and has the second of `labels` when that is one of them, else the first. Raises `UsageError` that names the
        row."""
        found = [(row.text, self._label(row, labels, head, among), row.language) for row in self._rows(files)]
        texts, gold, languages = (list(column) for column in zip(*found, strict=True))
        return LabelledTexts(texts, np.array(gold, np.int64), languages)

    def rows(
        self, files: Sequence[Path], read: Callable[[Mapping[str, Any], str], Any]
    ) -> Iterator[tuple[str, str, Any]]:
        """(text, language, `read(fields, where)`) of every row."""
        for row in self._rows(files):
            yield row.text, row.language, read(row.fields, row.where)

    def label_of(self, value: object, labels: Sequence[str], head: str, where: str) -> int:
        """The index in `labels` of a file's label, after `--map-label`. Raises `UsageError`."""
        given = _as_text(value)
        label = self._columns.mapped.get(given, given)
        if label not in labels:
            shown = self._redactor.redact(given).text[:MAX_LABEL_CHARS]  # of a wrong column it may be anything
            raise UsageError(
                f"{where}: {head} has no label {shown!r}; it has {', '.join(labels)}; say which one that is:"
                f" --map-label {shown or 'LABEL'}={labels[0]}"
            )
        return labels.index(label)

    def _label(self, row: _Row, labels: Sequence[str], head: str, among: Sequence[str]) -> int:
        value = row.fields.get(self._columns.label)
        if value is None:
            raise UsageError(
                f"{row.where} has no label in the column {self._columns.label!r} (it has: {', '.join(row.fields)});"
                " name it: --label-column"
            )
        if not among:
            return self.label_of(value, labels, f"the head {head}", row.where)
        named = [one for one in map(str.strip, _as_text(value).split(SEPARATOR)) if one and one != labels[0]]
        return int(labels[1] in {among[self.label_of(one, among, f"the head {head}", row.where)] for one in named})

    def _rows(self, files: Sequence[Path]) -> Iterator[_Row]:
        for path in files:
            if not path.is_file():
                raise UsageError(f"{path} is not a file; give CSV, TSV or JSON lines, .gz or not")
            number = 0
            with path.open("rb") as raw, explained(path):
                for number, row in enumerate(itertools.islice(rows_of(path, raw), self._limit), 1):
                    yield self._row(row, f"row {number} of {path}")
            if not number:
                raise UsageError(f"{path} holds no rows; give a file with a text and a label a row")

    def _row(self, row: dict[str, Any] | bytes, where: str) -> _Row:
        if isinstance(row, bytes):
            raise UsageError(f"{where} is no row of fields; correct or remove it")
        text = row.get(self._columns.text)
        if not isinstance(text, str) or not text.strip():
            raise UsageError(
                f"{where} has no text in the column {self._columns.text!r} (it has: {', '.join(row)});"
                " name it: --text-column"
            )
        if len(text) > MAX_TEXT_CHARS:
            raise UsageError(f"{where} has more than {MAX_TEXT_CHARS:,} characters of text; cut or remove it")
        redacted = self._redactor.redact(text, product=str(row.get("product") or "")).text
        return _Row(redacted, self._language(row, where), row, where)

    def _language(self, row: Mapping[str, Any], where: str) -> str:
        named = row.get(self._columns.language or LANGUAGE_COLUMN)
        if self._columns.language and not named:
            raise UsageError(f"{where} has no language in the column {self._columns.language!r}; leave the option out")
        return str(named or "").lower().replace("_", "-").split("-")[0]


def parse_label_map(arguments: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """A command line's `FILE'S=HEAD'S` labels. Raises `UsageError` for one that is not of that form or not of the head."""
    mapped = {}
    for argument in arguments:
        left, equals, right = argument.rpartition("=")
        if not equals or not left:
            raise UsageError(f"--map-label {argument!r} is not of the form 0={labels[0]}")
        if right not in labels:
            raise UsageError(f"--map-label {argument!r}: there is no label {right!r}; take one of {', '.join(labels)}")
        mapped[left] = right
    return mapped


def _as_text(value: object) -> str:
    """A label as people write it: 1.0 is 1, and true is true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()

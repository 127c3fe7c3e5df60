"""Aspects that people named and judged: the pack is given the names, and its polarity of each is compared with theirs.

The annotated format is MAMS': a list of {"category": …, "polarity": …}; {"aspect": …, "sentiment": …} reads alike.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.insights import Analysis
from schemas.taxonomy import SENTIMENTS
from workers.analyze.judge import Judge, Request
from workers.errors import UsageError
from workers.evaluate.answers import NONE, Answers
from workers.evaluate.labelled import Reader
from workers.evaluate.metrics import Labels, confusion
from workers.settings import Settings
from workers.worker import build_judge

CONFLICT = "conflict"  # both at once: left out, as MAMS and SemEval leave it out of their accuracy
BATCH_TEXTS = 256


class Asked(NamedTuple):
    """The aspects of one text, by name, and their true polarities as indices into `SENTIMENTS`."""

    names: tuple[str, ...]
    gold: tuple[int, ...]


class AspectTexts(NamedTuple):
    """The redacted texts that people named aspects of, with their languages."""

    texts: list[str]
    languages: list[str]
    asked: list[Asked]

    @property
    def gold(self) -> Labels:
        """The true polarity of every aspect of every text, one after the other."""
        return np.array([polarity for asked in self.asked for polarity in asked.gold], np.int64)

    def outcomes(self, said: Labels, labels: int) -> NDArray[np.int8]:
        """What each text adds to the confusion matrix (n, labels, labels), given the polarities said, in `gold`'s order."""
        ends = np.cumsum([len(asked.gold) for asked in self.asked])[:-1]
        pairs = zip(np.split(self.gold, ends), np.split(said, ends), strict=True)
        return np.stack([confusion(gold, each, labels) for gold, each in pairs]).astype(np.int8)


def aspect_texts(files: Sequence[Path], reader: Reader, column: str) -> AspectTexts:
    """The texts of files whose `column` lists aspects. Raises `UsageError` that names the row."""

    def read(fields: Mapping[str, Any], where: str) -> Asked:
        pairs = [_pair(each, where) for each in _list(fields.get(column), column, where)]
        kept = [(name, polarity) for name, polarity in pairs if polarity != CONFLICT]
        gold = tuple(reader.label_of(polarity, SENTIMENTS, "an aspect", where) for _, polarity in kept)
        return Asked(tuple(name for name, _ in kept), gold)

    rows = [row for row in reader.rows(files, read) if row[2].names]
    if not rows:
        raise UsageError(f"no text has an aspect in the column {column!r}; name it: --label-column")
    texts, languages, asked = (list(values) for values in zip(*rows, strict=True))
    return AspectTexts(texts, languages, asked)


def aspect_answers(found: AspectTexts, name: str, settings: Settings) -> tuple[Answers, tuple[str, ...]]:
    """The pack's polarity of every aspect, in the order of `found.gold`, and the labels it indexes.

    `name` is the pack's, for the report. An aspect that the model left without an answer gets `none`, a label of its own
    that is never right.
    """
    judge = build_judge(settings)
    try:
        began_s = time.perf_counter()
        said = [label for start in range(0, len(found.texts), BATCH_TEXTS) for label in _judged(judge, found, start)]
        docs_per_s = len(found.texts) / (time.perf_counter() - began_s)
    finally:
        judge.close()
    labels = (*SENTIMENTS, NONE) if NONE in said else SENTIMENTS
    return Answers(name, np.array([labels.index(each) for each in said], np.int64), docs_per_s), labels


def _judged(judge: Judge, found: AspectTexts, start: int) -> list[str]:
    batch = range(start, min(start + BATCH_TEXTS, len(found.texts)))
    requests = [Request(found.texts[i], language=found.languages[i], aspects=found.asked[i].names) for i in batch]
    said = []
    for request, analysis in zip(requests, judge.judge(requests), strict=True):
        said += _polarities(request, analysis)
    return said


def _polarities(request: Request, analysis: Analysis | None) -> list[str]:
    names = request.aspects or ()
    if analysis is None or len(analysis.aspects) != len(names):
        return [NONE] * len(names)
    return [mention.sentiment for mention in analysis.aspects]


def _list(value: object, column: str, where: str) -> list[object]:
    if not isinstance(value, list):
        raise UsageError(
            f"{where} has no list of aspects in the column {column!r}; give JSON lines with"
            ' [{"category": "food", "polarity": "negative"}], or name another column: --label-column'
        )
    return value


def _pair(each: object, where: str) -> tuple[str, object]:
    """The name and the polarity of one annotated aspect."""
    fields = each if isinstance(each, dict) else {}
    name = fields.get("category", fields.get("aspect"))
    polarity = fields.get("polarity", fields.get("sentiment"))
    if not isinstance(name, str) or not name.strip() or polarity is None:
        raise UsageError(f"{where}: an aspect needs category (or aspect) and polarity (or sentiment); correct the row")
    return name, polarity

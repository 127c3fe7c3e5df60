"""What an evaluation found, as plain values: the tables, the page and the JSON are made of this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.evaluate.answers import Answers
from workers.evaluate.bootstrap import LEVEL, RESAMPLES, SEED, Interval, interval, paired_difference, resampled
from workers.evaluate.metrics import (
    BINS,
    MEASURES,
    Bin,
    Coverage,
    Labels,
    at_confidence,
    calibration_bins,
    coverage_curve,
    expected_calibration_error,
)
from workers.evaluate.slices import Slice

Counts = NDArray[np.int64]
Scores = Mapping[str, Interval]
LEAST_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)


class SliceScores(NamedTuple):
    """Part of the texts: what it is, how many judgements it holds, and how each contestant fared, in their order."""

    by: str
    name: str
    n: int
    scores: tuple[Scores, ...]


@dataclass(frozen=True)
class Calibration:
    """How sure against how often right, before and after temperature; `tempered` None when there is no temperature."""

    raw: list[Bin]
    tempered: list[Bin] | None


@dataclass(frozen=True)
class Contestant:
    """`lead`: each figure of the pack minus this contestant's, on the same resamples; None for the pack itself."""

    name: str
    scores: Scores
    lead: Scores | None
    confusion: Counts
    docs_per_s: float
    calibration: Calibration | None = None
    curve: list[Coverage] = field(default_factory=list)
    abstaining: list[Coverage] = field(default_factory=list)


class Mistake(NamedTuple):
    """A wrong answer: the redacted text, the labels, and how sure the pack was in [0, 1]."""

    text: str
    gold: str
    said: str
    confidence: float


@dataclass(frozen=True)
class Reasoning:
    """A generator that thinks about the n texts of which the pack is least sure, none of them surer than `confidence`.
    `contestants`: the pack first, then each budget; `tokens` and `seconds` a text, of the budgets."""

    n: int
    confidence: float
    contestants: tuple[Contestant, ...]
    tokens: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """`pack`: its name and version. `contestants`: the pack first. `n` counts judgements: texts, or aspects of texts.
    `left_out`: rival -> why."""

    head: str
    pack: tuple[str, str]
    files: tuple[str, ...]
    labels: tuple[str, ...]
    n: int
    contestants: tuple[Contestant, ...]
    slices: tuple[SliceScores, ...]
    left_out: Mapping[str, str]
    mistakes: tuple[Mistake, ...] = ()
    reasoning: Reasoning | None = None


def scored(all_answers: Sequence[Answers], outcomes: NDArray[np.int8], gold: Labels) -> list[Contestant]:
    """The contestants' figures. `outcomes` (n, contestants, k, k) is what each text adds to each confusion matrix; `gold`
    are the true labels of what `said` of each answers."""
    counts, draws = outcomes.sum(axis=0, dtype=np.int64), resampled(outcomes)
    found = []
    for at, answers in enumerate(all_answers):
        own = {name: interval(figure, counts[at], draws[:, at]) for name, figure in MEASURES.items()}
        lead = {
            name: paired_difference(figure, (counts[0], counts[at]), (draws[:, 0], draws[:, at]))
            for name, figure in MEASURES.items()
        }
        sure = _confidence_figures(answers, answers.said == gold)
        found.append(Contestant(answers.name, own, lead if at else None, counts[at], answers.docs_per_s, **sure))
    return found


def scored_slices(parts: Sequence[Slice], outcomes: NDArray[np.int8]) -> tuple[SliceScores, ...]:
    """The contestants' figures on parts of the texts. `outcomes` as in `scored`."""
    found = []
    for part in parts:
        inside = outcomes[part.inside]
        counts, draws = inside.sum(axis=0, dtype=np.int64), resampled(inside)
        scores = tuple(
            {name: interval(figure, counts[at], draws[:, at]) for name, figure in MEASURES.items()}
            for at in range(len(counts))
        )
        found.append(SliceScores(part.by, part.name, int(counts[0].sum()), scores))
    return tuple(found)


def as_document(report: Report) -> dict[str, Any]:
    """The report for machines. Figures are in percent, confidences in [0, 1]."""
    document = {
        "head": report.head,
        "pack": {"name": report.pack[0], "version": report.pack[1]},
        "files": list(report.files),
        "labels": list(report.labels),
        "n": report.n,
        "intervals": {
            "level": LEVEL,
            "resamples": RESAMPLES,
            "seed": SEED,
            "method": "percentile bootstrap over texts",
        },
        "contestants": [_contestant(each) for each in report.contestants],
        "slices": [
            {
                "by": part.by,
                "name": part.name,
                "n": part.n,
                "scores": {
                    each.name: _percents(scores) for each, scores in zip(report.contestants, part.scores, strict=True)
                },
            }
            for part in report.slices
        ],
        "left_out": dict(report.left_out),
    }
    return document | ({"reasoning": _reasoning(report.reasoning)} if report.reasoning else {})


def _confidence_figures(answers: Answers, hit: NDArray[np.bool_]) -> dict[str, Any]:
    if answers.raw is None or answers.confidence is None:
        return {}
    tempered = None if answers.tempered is None else calibration_bins(answers.tempered, hit)
    kept = (at_confidence(answers.confidence, hit, least) for least in LEAST_CONFIDENCES)
    return {
        "calibration": Calibration(calibration_bins(answers.raw, hit), tempered),
        "curve": coverage_curve(answers.confidence, hit),
        "abstaining": [each for each in kept if each],
    }


def _contestant(each: Contestant) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": each.name,
        **_percents(each.scores),
        "confusion": each.confusion.tolist(),
        "docs_per_s": round(each.docs_per_s, 1),
    }
    if each.lead:
        document["lead_of_the_pack"] = _percents(each.lead)
    if each.calibration:
        document["calibration"] = _calibration(each.calibration)
        document["abstaining"] = [
            {"confidence": c.confidence, "coverage": _percent(c.coverage), "accuracy": _percent(c.accuracy)}
            for c in each.abstaining
        ]
    return document


def _reasoning(reasoning: Reasoning) -> dict[str, Any]:
    pack, *budgets = reasoning.contestants
    return {
        "n": reasoning.n,
        "confidence_at_most": round(reasoning.confidence, 4),
        "pack": _contestant(pack),
        "budgets": [
            _contestant(each) | {"tokens_a_text": round(tokens, 2), "seconds_a_text": round(seconds, 4)}
            for each, tokens, seconds in zip(budgets, reasoning.tokens, reasoning.seconds, strict=True)
        ],
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    after = calibration.tempered
    return {
        "bins": BINS,
        "ece_before": _percent(expected_calibration_error(calibration.raw)),
        "ece_after": None if after is None else _percent(expected_calibration_error(after)),
    }


def _percents(scores: Scores) -> dict[str, dict[str, float]]:
    return {name: {end: _percent(value) for end, value in each._asdict().items()} for name, each in scores.items()}


def _percent(share: float) -> float:
    return round(100 * share, 2)

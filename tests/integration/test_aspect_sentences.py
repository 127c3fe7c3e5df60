"""160 sentences of our own, English and Spanish, each with its aspects and what it says of them: what the default pack makes
of them must not get worse. No training or tuning has seen them. `pytest -s` prints the figures."""

from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.taxonomy import load_taxonomy
from workers.analyze.judge import Judge, Request

FILE = Path(__file__).parents[1] / "data" / "aspects.tsv"
KNOWN = {aspect.name for aspect in load_taxonomy().aspects}


class Sentence(NamedTuple):
    language: str
    text: str
    aspects: dict[str, str]

    @property
    def novel(self) -> bool:
        """Whether it speaks of aspects that no taxonomy of ours names."""
        return not self.aspects.keys() <= KNOWN


class Shares(NamedTuple):
    """Of the named aspects: right polarity. Of all found: right aspect (precision); of all there: found (recall)."""

    polarity: float
    precision: float
    recall: float


def sentences() -> list[Sentence]:
    rows = [line.split("\t") for line in FILE.read_text(encoding="utf-8").splitlines()]
    return [
        Sentence(language, text, dict(pair.split("=") for pair in aspects.split(";")))  # type: ignore[misc]
        for language, text, aspects in rows
    ]


def shares(judge: Judge, chosen: list[Sentence]) -> Shares:
    named = judge.judge([Request(s.text, aspects=tuple(s.aspects)) for s in chosen])
    right = total = hits = found = 0
    for sentence, analysis in zip(chosen, named, strict=True):
        assert analysis is not None
        right += sum(m.sentiment == sentence.aspects[m.aspect] for m in analysis.aspects)
        total += len(sentence.aspects)
    for sentence, analysis in zip(chosen, judge.judge([Request(s.text) for s in chosen]), strict=True):
        assert analysis is not None
        names = {m.aspect for m in analysis.aspects}
        hits += len(names & sentence.aspects.keys())
        found += len(names)
    return Shares(right / total, hits / max(1, found), hits / total)


def test_the_set_is_what_it_says() -> None:
    assert len(sentences()) >= 150
    assert {s.language for s in sentences()} == {"en", "es"}
    assert {name for s in sentences() for name in s.aspects if not s.novel} == KNOWN


@pytest.mark.parametrize(("language", "floor"), [("en", Shares(0.84, 0.66, 0.73)), ("es", Shares(0.70, 0.53, 0.72))])
def test_aspects_of_the_taxonomy_are_found_and_judged(judge: Judge, language: str, floor: Shares) -> None:
    seen = shares(judge, [s for s in sentences() if s.language == language and not s.novel])
    print(f"aspects of the taxonomy, {language}: {seen}")
    assert all(have >= least for have, least in zip(seen, floor, strict=True)), seen


@pytest.mark.parametrize(("language", "floor"), [("en", 0.80), ("es", 0.80)])
def test_aspects_named_by_the_caller_alone_are_judged(judge: Judge, language: str, floor: float) -> None:
    seen = shares(judge, [s for s in sentences() if s.language == language and s.novel])
    print(f"aspects that the caller names, {language}: {seen}")
    assert seen.polarity >= floor, seen

"""A question's answer: a few sentences of the texts that answer it, under the guardrails of every summary, or none.

    nearest texts -> how likely each answers -> enough? -> by language: composed, then quoted, then checked -> sentences

The question chooses what is said and is never itself said or obeyed: no sentence is made of its words. What has no support
is not shown, and too little support is said to be too little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from workers.analyze.instructions import addresses_machine
from workers.analyze.language import detect_language
from workers.analyze.question import Question
from workers.analyze.relevance import Relevance
from workers.analyze.summary import Length, Sentence, Summarizer

SURE: Final = 0.45  # P(answers) that the likeliest text must reach
LIKELY: Final = 0.25  # from which on a text counts as one that answers
LEAST_TEXTS: Final = 2
READ: Final = 24  # texts at most that sentences are made of, the likeliest
SENTENCES: Final = 5
LENGTH: Final = Length(words=40, sentences=3)  # of the texts of one language


@dataclass(frozen=True)
class Answer:
    """Sentences, none when there is not enough evidence; their citations are indices of the texts looked at. `answering`
    are those that answer, the likeliest first, with how likely each does."""

    sentences: tuple[Sentence, ...]
    answering: tuple[tuple[int, float], ...]


class Answerer:
    """Answers questions from texts. Threads may share it."""

    def __init__(self, relevance: Relevance, summarizer: Summarizer) -> None:
        self._relevance, self._summarizer = relevance, summarizer

    def answer(self, question: Question, texts: Sequence[str], weights: Mapping[str, float]) -> Answer:
        """The answer that redacted `texts` give. `weights` says how much each stem of the question counts."""
        if addresses_machine(question.text):
            return Answer((), ())
        likely = self._relevance.of(texts, question, weights)
        order = [int(i) for i in np.argsort(-likely, kind="stable") if not addresses_machine(texts[i])]
        answering = tuple((i, round(float(likely[i]), 4)) for i in order if likely[i] >= LIKELY)
        if len(answering) < LEAST_TEXTS or answering[0][1] < SURE:
            return Answer((), answering)
        found: list[Sentence] = []
        for numbers in _by_language([i for i, _ in answering[:READ]], texts, question):
            found += self._said(question, numbers, texts, weights)
        said = tuple(found[:SENTENCES])
        cited = {number for sentence in said for number in sentence.citations}
        return Answer(said if len(cited) >= LEAST_TEXTS else (), answering)

    def _said(
        self, question: Question, numbers: Sequence[int], texts: Sequence[str], weights: Mapping[str, float]
    ) -> list[Sentence]:
        def wanted(sentences: Sequence[str]) -> list[float]:
            return [float(share) for share in self._relevance.of(sentences, question, weights)]

        own = [texts[i] for i in numbers]
        summary = self._summarizer.summarize(own, LENGTH, " ".join(question.products), wanted=wanted)
        return [
            Sentence(s.text, tuple(numbers[i] for i in s.citations), s.support, s.quoted) for s in summary.sentences
        ]


def _by_language(numbers: Sequence[int], texts: Sequence[str], question: Question) -> list[list[int]]:
    """The texts by their language: the question's own first, then the one with most texts."""
    asked, _ = detect_language(question.text)
    groups: dict[str, list[int]] = {}
    for i in numbers:
        groups.setdefault(detect_language(texts[i])[0], []).append(i)
    return [groups[name] for name in sorted(groups, key=lambda name: (name != asked, -len(groups[name]), name))]

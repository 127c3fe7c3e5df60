"""How likely a text, or a sentence, answers a question: by its words, by the aspects it speaks of, by what it is about.

Aspects carry a question over to another language: the taxonomy describes them in several, and the model finds them in any
it serves. A logistic regression joins the three; `python -m workers.evaluate.relevance` fits it anew on the pairs of
tests/questions.yaml and says what it would bring.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.analyze.aspects_by_attention import AttentionFinder
from workers.analyze.content import content
from workers.analyze.question import Question
from workers.analyze.sentences import split_clauses
from workers.slm.encoder import Encoder, TokenStates, normalised, pool_spans
from workers.slm.topics import Topics

Array = NDArray[np.float32]
WEIGHTS: Final = (3.23, 3.55, 1.63)  # of words, aspects, topic
BIAS: Final = -4.31


class _Reading(NamedTuple):
    """Of a text: P(spoken of) of every aspect of the taxonomy (a,), what its clauses are about (k, d)."""

    aspects: Array
    topics: Array


class Relevance:
    """Compares texts with questions by one encoder. Threads may share it."""

    def __init__(self, encoder: Encoder, finder: AttentionFinder, topics: Topics) -> None:
        self._encoder, self._finder, self._topics = encoder, finder, topics

    def vector(self, question: Question) -> Array:
        """What the question is about, (d,), L2-normalised."""
        found: Array = self._topics(self._encoder.encode([question.about or question.text]).pooled)[0]
        return found

    def of(self, texts: Sequence[str], question: Question, weights: Mapping[str, float]) -> Array:
        """P(answers) of each text, (n,). `weights` says how much each stem of the question counts."""
        logits = self.evidence(texts, question, weights) @ np.array(WEIGHTS, np.float32) + BIAS
        probabilities: Array = 1 / (1 + np.exp(-logits))
        return probabilities

    def evidence(self, texts: Sequence[str], question: Question, weights: Mapping[str, float]) -> Array:
        """What `WEIGHTS` weigh, (n, 3): the share of the question's words, likeness of aspects, likeness of topic."""
        if not texts:
            return np.zeros((0, 3), np.float32)
        asked, *said = self._read([question.text, *texts])
        vector = self.vector(question)
        aspects = normalised(np.stack([each.aspects for each in said])) @ normalised(asked.aspects[None])[0]
        topics = [float((each.topics @ vector).max(initial=0)) for each in said]
        words = [_share(text, weights) for text in texts]
        return np.array([words, aspects, topics], np.float32).T

    def _read(self, texts: Sequence[str]) -> list[_Reading]:
        clauses = [[(span.start, span.end) for span in split_clauses(text)] for text in texts]

        def look(index: int, tokens: TokenStates) -> _Reading:
            present = self._finder.read(texts[index], tokens, clauses[index], None).present
            return _Reading(present, self._topics(pool_spans(tokens, clauses[index])))

        return self._encoder.reduce(texts, look)


def _share(text: str, weights: Mapping[str, float]) -> float:
    """How much of the question's words the text has, 0…1."""
    there = set(content(text))
    return sum(weight for stem, weight in weights.items() if stem in there) / (sum(weights.values()) or 1)

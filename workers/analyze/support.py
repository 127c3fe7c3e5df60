"""What a sentence can be held against: the clauses of a group of texts, embedded, and how far they support it.

Support is the mean of two measures in [0, 1]: the largest cosine between the sentence and a clause of its cited texts,
scaled so that `COSINE[0]` is 0 and `COSINE[1]` is 1, and the share of its content words that the cited texts have.
Either measure alone is fooled: an embedding by a sentence on the same subject, words by a sentence that joins them
anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.analyze.aspects_by_attention import LABELS
from workers.analyze.content import content
from workers.analyze.opinion_words import ENDORSEMENTS, FONDNESS, LIKED_STEMS, RECOMMEND_STEMS, REFUSALS
from workers.analyze.sentences import split_clauses
from workers.slm.encoder import Encoder
from workers.slm.heads import Heads

Array = NDArray[np.float32]
COSINE: Final = (
    0.70,
    0.95,
)  # on FewSum's dev and train groups, 99 % of our sentences reach the first with their own texts

IRONIC: Final = 0.8  # from this probability on praise is not taken at its word: the pack's own bar, 0.7, is for a flag


@dataclass(frozen=True)
class Evidence:
    """The clauses of a group of texts: of which text each is, its vector (n, d), and its leaning (n,), P(positive) less
    P(negative)."""

    texts: Sequence[str]
    clauses: tuple[str, ...]
    owner: NDArray[np.int64]
    vectors: Array
    leanings: Array

    def of(self, citations: Sequence[int]) -> NDArray[np.int64]:
        """The clauses of the cited texts."""
        return np.flatnonzero(np.isin(self.owner, citations))


class Reader:
    """Reads groups of texts and sentences about them with one encoder. Threads may share it."""

    def __init__(self, encoder: Encoder, heads: Heads) -> None:
        self._encoder, self._heads = encoder, heads

    def read(self, texts: Sequence[str]) -> Evidence:
        """The evidence that a group of texts holds."""
        pairs = [(number, span.of(text)) for number, text in enumerate(texts) for span in split_clauses(text)]
        clauses = tuple(clause for _, clause in pairs)
        vectors, leanings = self.seen(clauses)
        return Evidence(texts, clauses, np.array([number for number, _ in pairs], np.int64), vectors, leanings)

    def seen(self, sentences: Sequence[str]) -> tuple[Array, Array]:
        """Vectors (n, d), L2-normalised, and leanings (n,) in [-1, 1]."""
        if not sentences:
            return np.zeros((0, 1), np.float32), np.zeros(0, np.float32)
        vectors = self._encoder.encode(sentences).pooled
        shares = self._heads.probabilities("sentiment", vectors)
        return vectors, shares[:, LABELS.index("positive")] - shares[:, LABELS.index("negative")]

    def toxicity(self, vectors: Array) -> Array:
        """Of vectors (n, d), the probability (n,) that the text is toxic; zeros when the pack cannot tell."""
        if "toxicity" not in self._heads.cards:
            return np.zeros(len(vectors), np.float32)
        return self._heads.probabilities("toxicity", vectors)[:, -1]

    def ironic(self, vectors: Array) -> NDArray[np.bool_]:
        """Of vectors (n, d), whether the text is surely ironic (n,); false when the pack cannot tell."""
        if "irony" not in self._heads.cards:
            return np.zeros(len(vectors), np.bool_)
        return self._heads.probabilities("irony", vectors)[:, -1] >= IRONIC


def cosine_share(cosine: float) -> float:
    """A cosine on the scale from `COSINE[0]` to `COSINE[1]`, in [0, 1]."""
    low, high = COSINE
    return min(1.0, max(0.0, (cosine - low) / (high - low)))


def uncovered(sentence: str, cited: Sequence[str], subject: str = "") -> list[str]:
    """The content words' stems of `sentence` that no cited text has. `subject` is the word for what all texts are
    about. That something is recommended is covered by whoever says it would be bought or visited again, or never
    again; that it is liked, by who loves it or knows none better."""
    there = {stem for text in (*cited, subject) for stem in content(text)}
    lowered = " ".join(cited).lower()
    if any(phrase in lowered for phrase in (*ENDORSEMENTS, *REFUSALS)):
        there |= set(RECOMMEND_STEMS)
    if FONDNESS.search(lowered):
        there |= set(LIKED_STEMS)
    return [stem for stem in content(sentence) if stem not in there]

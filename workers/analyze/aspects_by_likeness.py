"""Aspects by likeness: clauses compared with what the taxonomy says of each aspect.

A clause mentions an aspect when its embedding, freed of what all texts share, is like one of the aspect's description
sentences (`workers.slm.heads.Likeness`). So a new aspect needs a description, not a training run. Its sentiment is the
sentiment head's word on the clause, blended with its word on the whole text.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.insights import AspectMention, Evidence
from schemas.taxonomy import Taxonomy
from workers.analyze.aspects_by_attention import LABELS
from workers.analyze.sentences import Span
from workers.slm.encoder import Encoder, TokenStates, pool_spans
from workers.slm.heads import Heads, Likeness

Vectors = NDArray[np.float32]
MOST_PER_CLAUSE = 2  # a clause speaks of one thing, now and then of two; what is merely like them comes behind


class LikenessFinder:
    """Finds aspects in embedded clauses. Descriptions are embedded once; names asked for later are remembered."""

    def __init__(self, taxonomy: Taxonomy, encoder: Encoder, heads: Heads, likeness: Likeness) -> None:
        self._encoder, self._heads, self._likeness = encoder, heads, likeness
        self._names = [aspect.name for aspect in taxonomy.aspects]
        self._described = {
            aspect.name: self._embed([*aspect.title.values(), *aspect.sentences()]) for aspect in taxonomy.aspects
        }

    def learn(self, names: Sequence[str]) -> None:
        """Embed the names that are new: a name that the taxonomy does not know is its own description."""
        for name in names:
            if name not in self._described:
                self._described[name] = self._embed([name.replace("_", " ")])

    def read_all(
        self,
        _texts: Sequence[str],
        tokens: Sequence[TokenStates],
        spans: Sequence[Sequence[tuple[int, int]]],
        _names: Sequence[str] | None,
    ) -> list[Vectors]:
        """Each text's clauses' embeddings (k, d)."""
        return [pool_spans(each, some) for each, some in zip(tokens, spans, strict=True)]

    def mentions(
        self, names: Sequence[str] | None, clauses: Sequence[Span], vectors: Vectors, whole: Vectors
    ) -> tuple[AspectMention, ...]:
        """See `AspectFinder.mentions`."""
        if not clauses or (names is not None and not names):
            return ()
        return self._find(clauses, vectors, whole) if names is None else self._judge(names, clauses, vectors, whole)

    def _find(self, clauses: Sequence[Span], vectors: Vectors, whole: Vectors) -> tuple[AspectMention, ...]:
        probability = _likeliest(self._probabilities(self._names, vectors))
        best = probability.argmax(axis=0)
        mentions = [
            self._mention(name, clauses[best[i]], vectors[best[i]], float(probability[best[i], i]), whole)
            for i, name in enumerate(self._names)
            if probability[best[i], i] >= self._likeness.card.threshold
        ]
        return tuple(sorted(mentions, key=lambda m: (m.evidence.start, -m.confidence)))

    def _judge(
        self, names: Sequence[str], clauses: Sequence[Span], vectors: Vectors, whole: Vectors
    ) -> tuple[AspectMention, ...]:
        """One mention for each name, from the clause that is likest to it."""
        probability = self._probabilities(names, vectors)
        best = probability.argmax(axis=0)
        return tuple(
            self._mention(name, clauses[best[i]], vectors[best[i]], float(probability[best[i], i]), whole)
            for i, name in enumerate(names)
        )

    def _embed(self, sentences: list[str]) -> Vectors:
        return self._likeness.centred(self._encoder.encode(sentences).pooled)

    def _probabilities(self, names: Sequence[str], vectors: Vectors) -> Vectors:
        """P(clause speaks of aspect), (clauses, names). A clause that no token touches speaks of nothing."""
        centred = self._likeness.centred(vectors)
        cosines = np.stack([(centred @ self._described[name].T).max(axis=1) for name in names], axis=1)
        touched = vectors.any(axis=1, keepdims=True)
        return np.where(touched, self._likeness.probability(cosines), 0).astype(np.float32)

    def _mention(self, name: str, clause: Span, vector: Vectors, probability: float, whole: Vectors) -> AspectMention:
        share = self._likeness.card.clause_share if vector.any() else 0.0
        own = self._heads.probabilities("sentiment", vector[None])[0]
        label = LABELS[int((share * own + (1 - share) * whole).argmax())]
        evidence = Evidence(start=clause.start, end=clause.end)
        return AspectMention(aspect=name, sentiment=label, confidence=min(1.0, probability), evidence=evidence)


def _likeliest(probability: Vectors) -> Vectors:
    """(clauses, names) with zeros wherever a clause is likelier to speak of `MOST_PER_CLAUSE` other names."""
    if probability.shape[1] <= MOST_PER_CLAUSE:
        return probability
    least = np.partition(probability, -MOST_PER_CLAUSE, axis=1)[:, -MOST_PER_CLAUSE, None]
    kept: Vectors = np.where(probability >= least, probability, 0)
    return kept

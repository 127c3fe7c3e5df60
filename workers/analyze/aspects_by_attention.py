"""Aspects that ask: each one's description looks through the text's tokens (`workers.slm.attention`).

What the taxonomy says of an aspect is embedded once. So a new aspect needs a description, not a training run, and the
clause that was looked at most is the evidence.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.insights import AspectMention, Evidence, SentimentLabel
from schemas.taxonomy import Taxonomy
from workers.analyze.aspect_words import AspectWords
from workers.analyze.sentences import Span
from workers.slm.attention import AspectAttention, PresenceCard, Queries, Reading
from workers.slm.encoder import Encoder, TokenStates, normalised, pool_spans
from workers.slm.topics import Topics

Array = NDArray[np.float32]
LABELS: tuple[SentimentLabel, ...] = ("negative", "neutral", "positive")


class Asked(NamedTuple):
    """Of the aspects (a,) asked of a text: P(present) (a,), polarity (a, 3), and how much each clause is looked at for it,
    (a, k); with what P(present) is made of, the attention's `presence`, the topic's `likeness` and whether it is `called` by
    its words, (a,)."""

    present: Array
    polarity: Array
    on_clauses: Array
    presence: Array
    likeness: Array
    called: Array


class _Names(NamedTuple):
    """Some aspects, ready to be asked of any text: their queries, their topics (a, d), their words, and what `PresenceCard`
    says of each, (5, a); `new` (a,) says which the attention was not trained on."""

    queries: Queries
    topics: Array
    words: AspectWords
    presence: Array
    new: NDArray[np.bool_]


class AttentionFinder:
    """Finds aspects by asking for them. Threads may share one; names asked for are remembered."""

    def __init__(
        self, taxonomy: Taxonomy, encoder: Encoder, attention: AspectAttention, topics: Topics | None = None
    ) -> None:
        self._encoder, self._attention, self._topics = encoder, attention, topics
        self.names = tuple(aspect.name for aspect in taxonomy.aspects)
        self._described = {
            aspect.name: self._embed([_spoken(aspect.name), *aspect.title.values(), *aspect.sentences()])
            for aspect in taxonomy.aspects
        }
        self._titles = {aspect.name: [*aspect.title.values()] for aspect in taxonomy.aspects}
        self._sentences = {aspect.name: [*aspect.sentences()] for aspect in taxonomy.aspects}
        self._asked: dict[tuple[str, ...], _Names] = {}
        self.learn(self.names)

    def learn(self, names: Sequence[str]) -> None:
        """Embed the names that are new: a name that the taxonomy does not know is its own description."""
        for name in names:
            if name not in self._described:
                self._described[name] = self._embed([_spoken(name)])
        key = tuple(names)
        if key and key not in self._asked:
            own, topics = (np.stack([self._described[name][i] for name in key]) for i in (0, 1))
            card = self._attention.card
            new = np.array([name not in card.names for name in key])
            cards = [card.new if each else card.learnt for each in new]
            words = AspectWords(
                [[_spoken(name), *self._titles.get(name, ())] for name in key],
                [self._sentences.get(name, ()) for name in key],
            )
            self._asked[key] = _Names(self._attention.queries(own), topics, words, _columns(cards), new)

    def read(
        self, text: str, tokens: TokenStates, spans: Sequence[tuple[int, int]], names: Sequence[str] | None
    ) -> Asked:
        """What the text and its token states answer to the names, or to all of the taxonomy's."""
        return self.read_all([text], [tokens], [spans], names)[0]

    def read_all(
        self,
        texts: Sequence[str],
        tokens: Sequence[TokenStates],
        spans: Sequence[Sequence[tuple[int, int]]],
        names: Sequence[str] | None,
    ) -> list[Asked]:
        """`read` of several texts that are asked for the same names."""
        key = self.names if names is None else tuple(names)
        if not key:
            return [
                Asked(*(np.zeros((0, *rest), np.float32) for rest in ((), (3,), (len(k),), (), (), ()))) for k in spans
            ]
        asked = self._asked[key]
        readings = self._attention.ask_all([each.states for each in tokens], asked.queries)
        topics = self._topics_of(tokens, spans)
        return [self._asked_of(asked, *each) for each in zip(texts, tokens, spans, readings, topics, strict=True)]

    def _topics_of(
        self, tokens: Sequence[TokenStates], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> Sequence[Array | None]:
        """The topics (k, d) of each text's spans; None where there is nothing to tell."""
        if self._topics is None:
            return [None] * len(tokens)
        pooled = [pool_spans(each, some) for each, some in zip(tokens, spans, strict=True)]
        topics = self._topics(np.concatenate(pooled))
        ends = np.cumsum([len(some) for some in spans])
        return [found if len(found) else None for found in np.split(topics, ends[:-1])]

    def _asked_of(
        self,
        asked: _Names,
        text: str,
        tokens: TokenStates,
        spans: Sequence[tuple[int, int]],
        reading: Reading,
        topics: Array | None,
    ) -> Asked:
        on_clauses = _summed(reading.looked, tokens.offsets, spans)
        called = asked.words.called([text[start:end] for start, end in spans])
        alike = np.zeros_like(called) if topics is None else asked.topics @ topics.T
        by_attention, by_topic, by_words, bias, _ = asked.presence
        likeness, named = (each.max(axis=1, initial=0) for each in (alike, called))
        logits = by_attention * reading.presence + by_topic * likeness + by_words * named + bias
        present = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
        if self._topics is not None:
            on_clauses += alike + called
            on_clauses[asked.new] = (by_topic[:, None] * alike + by_words[:, None] * called)[asked.new]
        return Asked(present, reading.polarity, on_clauses, reading.presence, likeness, named)

    def mentions(
        self, names: Sequence[str] | None, clauses: Sequence[Span], reading: Asked, whole: Array
    ) -> tuple[AspectMention, ...]:
        """See `AspectFinder.mentions`."""
        if not clauses:
            return ()
        if names is not None:
            return tuple(self._mention(name, i, clauses, reading, whole) for i, name in enumerate(names))
        thresholds = self._asked[self.names].presence[-1] if self.names else np.zeros(0, np.float32)
        found = spoken_of(reading.present, reading.on_clauses, thresholds, self._attention.card.most_per_clause)
        mentions = [self._mention(self.names[i], i, clauses, reading, whole) for i in found]
        return tuple(sorted(mentions, key=lambda m: (m.evidence.start, -m.confidence)))

    def _mention(self, name: str, row: int, clauses: Sequence[Span], reading: Asked, whole: Array) -> AspectMention:
        share = self._attention.card.whole_share
        label = LABELS[int(((1 - share) * reading.polarity[row] + share * whole).argmax())]
        clause = clauses[int(reading.on_clauses[row].argmax())]
        evidence = Evidence(start=clause.start, end=clause.end)
        return AspectMention(
            aspect=name, sentiment=label, confidence=round(float(reading.present[row]), 4), evidence=evidence
        )

    def _embed(self, sentences: list[str]) -> tuple[Array, Array]:
        """The mean embedding (d,) of what an aspect is described by, and its mean topic (d,)."""
        embedded = normalised(self._encoder.encode(sentences).pooled)
        topics = np.zeros_like(embedded) if self._topics is None else self._topics(embedded)
        return embedded.mean(axis=0), normalised(topics.mean(axis=0, keepdims=True))[0]


def _columns(cards: Sequence[PresenceCard]) -> Array:
    return np.array([(c.attention, c.topic, c.words, c.bias, c.threshold) for c in cards], np.float32).T


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def spoken_of(present: Array, on_clauses: Array, threshold: Array | float, most: int) -> list[int]:
    """The rows whose P(present) (a,) reaches the threshold, one for all or (a,), and is among the `most` likeliest of the
    clause they look at."""
    thresholds = np.broadcast_to(threshold, present.shape)
    likely = [i for i in np.argsort(-present, kind="stable").tolist() if present[i] >= thresholds[i]]
    clause = on_clauses.argmax(axis=1) if on_clauses.shape[1] else np.zeros(len(present), int)
    taken = np.zeros(max(1, on_clauses.shape[1]), int)
    found = []
    for i in likely:
        if taken[clause[i]] < most:
            taken[clause[i]] += 1
            found.append(i)
    return sorted(found)


def _summed(looked: Array, offsets: NDArray[np.int32], spans: Sequence[tuple[int, int]]) -> Array:
    """The attention (a, t) on the tokens of each span, (a, k). A token belongs to the span that it begins in."""
    if not spans:
        return np.zeros((len(looked), 0), np.float32)
    # A token may begin with the space before its word, so it is held by its last character.
    owner = np.searchsorted([start for start, _ in spans], offsets[:, 1] - 1, side="right") - 1
    summed: Array = looked @ (owner[:, None] == np.arange(len(spans))).astype(np.float32)
    return summed

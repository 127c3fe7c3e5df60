"""What one contestant answered to all texts, and how the pack's own head answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workers.errors import UsageError
from workers.evaluate.metrics import Array, Labels
from workers.slm.heads import HeadCard, Heads
from workers.slm.packs import Pack

NONE = "none"  # what a head of one label says of the texts without it
ASPECTS = "aspects"


@dataclass(frozen=True)
class Answers:
    """`said` (n,): an index into the labels for each judgement (a text, or an aspect of one). `raw` and `tempered` (n,): the
    probability of that label, before and after temperature; None where there is no such number."""

    name: str
    said: Labels
    docs_per_s: float
    raw: Array | None = None
    tempered: Array | None = None

    @property
    def confidence(self) -> Array | None:
        """The best that is known of how sure each answer is, (n,)."""
        return self.raw if self.tempered is None else self.tempered


def head_labels(pack: Pack, head: str) -> tuple[str, ...]:
    """The labels of which a head gives one a text. Raises `UsageError` when the pack has no such head."""
    cards = pack.heads.cards
    single = [name for name, card in cards.items() if card.kind == "softmax" or len(card.labels) == 1]
    if head not in single:
        why = "gives any number of labels a text" if head in cards else "is not of this pack"
        raise UsageError(f"the head {head!r} {why}; --head takes one of {', '.join([*single, ASPECTS])}")
    card = cards[head]
    return card.labels if card.kind == "softmax" else (NONE, *card.labels)


def pack_answers(pack: Pack, head: str, texts: Sequence[str], replicas: int | None) -> Answers:
    """The head's answers, from texts as the worker sees them. A softmax head's likeliest label counts, however unsure."""
    tempered, card = pack.heads, pack.heads.cards[head]
    untempered = replace(tempered, cards={**tempered.cards, head: card.model_copy(update={"temperature": 1.0})})
    with pack.encoder(replicas) as encoder:
        encoder.encode(texts[:1])
        began_s = time.perf_counter()
        pooled = encoder.encode(texts).pooled
        shares = _shares(tempered, head, pooled)
        docs_per_s = len(texts) / (time.perf_counter() - began_s)
    said = _given(card, shares)
    each = np.arange(len(texts))
    raw = _shares(untempered, head, pooled)
    return Answers(pack.name, said, docs_per_s, raw[each, said], shares[each, said])


def _shares(heads: Heads, head: str, pooled: NDArray[np.float32]) -> Array:
    """The probabilities (n, labels) of `head_labels`."""
    shares = heads.probabilities(head, pooled).astype(float)
    return shares if heads.cards[head].kind == "softmax" else np.hstack([1 - shares, shares])


def _given(card: HeadCard, shares: Array) -> Labels:
    least = card.thresholds.get(card.labels[0], 0.5)
    said = shares.argmax(axis=1) if card.kind == "softmax" else shares[:, 1] >= least
    given: Labels = said.astype(np.int64)
    return given

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

    def of(self, chosen: Labels) -> "Answers":
        """The answers to these texts, by index, alone."""
        some = (None if shares is None else shares[chosen] for shares in (self.raw, self.tempered))
        return Answers(self.name, self.said[chosen], self.docs_per_s, *some)


def head_labels(pack: Pack, head: str) -> tuple[str, ...]:
    """The labels of which a head gives one a text; of `HEAD.LABEL`, for a head that gives any number, that one or none.
    Raises `UsageError` when the pack has no such head."""
    cards = pack.heads.cards
    single = [name for name, card in cards.items() if card.kind == "softmax" or len(card.labels) == 1]
    if several := several_labels(pack, head):
        name, label = split_head(head)
        if label in several:
            return (NONE, label)
        each = ", ".join(f"{name}.{label}" for label in several)
        raise UsageError(f"the head {name!r} gives any number of labels a text; --head takes one of them: {each}")
    if head not in single:
        raise UsageError(f"the head {head!r} is not of this pack; --head takes one of {', '.join([*single, ASPECTS])}")
    card = cards[head]
    return card.labels if card.kind == "softmax" else (NONE, *card.labels)


def several_labels(pack: Pack, head: str) -> tuple[str, ...]:
    """The labels of a head that gives any number of them, named alone or as `HEAD.LABEL`; empty for other heads."""
    card = pack.heads.cards.get(split_head(head)[0])
    return card.labels if card and card.kind == "sigmoid" and len(card.labels) > 1 else ()


def split_head(head: str) -> tuple[str, str]:
    """(head, label) of `HEAD.LABEL`; the label is empty where none is named."""
    name, _, label = head.partition(".")
    return name, label


def pack_answers(pack: Pack, head: str, texts: Sequence[str], replicas: int | None) -> Answers:
    """The head's answers, from texts as the worker sees them. A softmax head's likeliest label counts, however unsure."""
    tempered, name = pack.heads, split_head(head)[0]
    card = tempered.cards[name]
    untempered = replace(tempered, cards={**tempered.cards, name: card.model_copy(update={"temperature": 1.0})})
    with pack.encoder(replicas) as encoder:
        encoder.encode(texts[:1])
        began_s = time.perf_counter()
        pooled = encoder.encode(texts).pooled
        shares = _shares(tempered, head, pooled)
        docs_per_s = len(texts) / (time.perf_counter() - began_s)
    said = _given(card, split_head(head)[1] or card.labels[0], shares)
    each = np.arange(len(texts))
    raw = _shares(untempered, head, pooled)
    return Answers(pack.name, said, docs_per_s, raw[each, said], shares[each, said])


def _shares(heads: Heads, head: str, pooled: NDArray[np.float32]) -> Array:
    """The probabilities (n, labels) of `head_labels`."""
    name, label = split_head(head)
    card, shares = heads.cards[name], heads.probabilities(name, pooled).astype(float)
    if card.kind == "softmax":
        return shares
    if label:
        shares = shares[:, [card.labels.index(label)]]
    return np.hstack([1 - shares, shares])


def _given(card: HeadCard, label: str, shares: Array) -> Labels:
    least = card.thresholds.get(label, 0.5)
    said = shares.argmax(axis=1) if card.kind == "softmax" else shares[:, 1] >= least
    given: Labels = said.astype(np.int64)
    return given

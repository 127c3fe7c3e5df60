"""The trained part of a pack: small layers on a text's embedding, and what turns their numbers into honest ones.

Probabilities are temperature-scaled (Guo et al. 2017, "On Calibration of Modern Neural Networks"): the logits are divided
by one number a head, fitted on data the head was not trained on.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from workers.slm.attention import AspectAttention, AttentionCard
from workers.slm.cards import card_of
from workers.slm.errors import PackError
from workers.slm.safetensors import read_safetensors
from workers.slm.topics import Topics

Array = NDArray[np.float32]
HEADS_CARD = "card.yaml"
REASON = "reason"  # the head for why a text complains: given to complaints alone


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeadCard(_Frozen):
    """`softmax` heads give one label, `sigmoid` heads any number. A label below its threshold is not given."""

    kind: Literal["softmax", "sigmoid"]
    labels: tuple[str, ...] = Field(min_length=1)
    temperature: float = Field(default=1.0, gt=0)
    thresholds: dict[str, float] = {}


class AspectCard(_Frozen):
    """How a clause's likeness to an aspect becomes a probability, and how its sentiment is judged.

    P(mentioned) = sigmoid(scale * (likeness - middle)), likeness being the cosine after centring. A mention's sentiment is
    `clause_share` of the clause's judgement and the rest of the whole text's.
    """

    scale: float = Field(gt=0)
    middle: float
    threshold: float = Field(ge=0, le=1)
    clause_share: float = Field(ge=0, le=1)


class HeadsCard(_Frozen):
    """What card.yaml beside the weights says: what they are, what they learnt from, how good they are, their limits."""

    base_sha256: str = Field(description="Of the base's weights file; heads fit no other.")
    licence: str
    date: datetime.date
    data: tuple[str, ...]
    heads: dict[str, HeadCard]
    aspects: AspectCard | None = None
    attention: AttentionCard | None = None
    metrics: dict[str, dict[str, float]] = {}
    tried: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Likeness:
    """Cosine between embeddings from which what all texts share is taken away: without that, every pair looks alike.

    `centre` (d,) is the mean embedding of a corpus, `shared` (c, d) its first principal directions (Mu & Viswanath 2018,
    "All-but-the-Top").
    """

    card: AspectCard
    centre: Array
    shared: Array

    def centred(self, vectors: Array) -> Array:
        """L2-normalised embeddings (n, d) -> the same without what all share, L2-normalised again."""
        rest = vectors - self.centre
        rest = rest - (rest @ self.shared.T) @ self.shared
        norms = np.linalg.norm(rest, axis=1, keepdims=True)
        norms[norms == 0] = 1
        scaled: Array = rest / norms
        return scaled

    def probability(self, cosines: Array) -> Array:
        """Centred cosines of any shape -> P(the clause speaks of the aspect), the same shape."""
        return _sigmoid((cosines - self.card.middle) * self.card.scale)


@dataclass(frozen=True)
class Layer:
    """`weight` (out, in), `bias` (out,)."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class Heads:
    """The heads of one pack. Pure arithmetic: threads may share it."""

    cards: Mapping[str, HeadCard]
    layers: Mapping[str, tuple[Layer, ...]]
    likeness: Likeness | None
    attention: AspectAttention | None = None
    topics: Topics | None = None

    @classmethod
    def read(
        cls,
        file: Path,
        cards: Mapping[str, HeadCard],
        aspects: AspectCard | None,
        attention: AttentionCard | None = None,
    ) -> "Heads":
        """The heads in `file`, as their cards describe them. Raises `PackError` when they do not fit."""
        tensors = read_safetensors(file)
        try:
            layers = {name: _read_layers(tensors, name, len(card.labels)) for name, card in cards.items()}
            likeness = Likeness(aspects, tensors["aspects.centre"], tensors["aspects.shared"]) if aspects else None
            asking = AspectAttention.read(tensors, attention) if attention else None
        except KeyError as error:
            raise PackError(
                f"{file} has no tensor {error}; train the heads again: python -m workers.slm.train"
            ) from error
        return cls(cards, layers, likeness, asking, Topics.read(tensors))

    def labels(self, name: str) -> tuple[str, ...]:
        """The labels of head `name`, in the order of its columns. Raises KeyError."""
        return self.cards[name].labels

    def predict(self, pooled: Array) -> dict[str, Array]:
        """L2-normalised embeddings (n, d) -> head name -> probabilities (n, labels) in float32."""
        return {name: self.probabilities(name, pooled) for name in self.cards}

    def probabilities(self, name: str, pooled: Array) -> Array:
        """L2-normalised embeddings (n, d) -> the probabilities (n, labels) of one head. Raises KeyError."""
        card = self.cards[name]
        scaled = self.logits(name, pooled) / np.float32(card.temperature)
        return _softmax(scaled) if card.kind == "softmax" else _sigmoid(scaled)

    def given(self, name: str, row: Array) -> tuple[str, ...]:
        """The labels that one row of head `name`'s probabilities gives: the likeliest of a softmax head, any of a sigmoid
        head; none below its threshold."""
        card = self.cards[name]
        best = [int(row.argmax())] if card.kind == "softmax" else range(len(card.labels))
        chosen = [(card.labels[i], float(row[i])) for i in best]
        return tuple(
            label for label, p in chosen if p >= card.thresholds.get(label, 0.5 if card.kind == "sigmoid" else 0)
        )

    def logits(self, name: str, pooled: Array) -> Array:
        """L2-normalised embeddings (n, d) -> the logits (n, labels) of one head, not yet tempered. Raises KeyError."""
        *hidden, last = self.layers[name]
        x = pooled
        for layer in hidden:
            x = np.maximum(layer(x), 0)
        return last(x)


def read_heads_card(directory: Path) -> HeadsCard:
    """The card of the trained heads in `directory`. Raises `PackError`."""
    return card_of(directory / HEADS_CARD, HeadsCard, "train again: python -m workers.slm.train")


def _read_layers(tensors: Mapping[str, NDArray[Any]], name: str, outputs: int) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    while f"{name}.{len(layers)}.weight" in tensors:
        scope = f"{name}.{len(layers)}"
        layers.append(Layer(tensors[f"{scope}.weight"].astype(np.float32), tensors[f"{scope}.bias"].astype(np.float32)))
    if not layers:
        raise KeyError(f"{name}.0.weight")
    if len(layers[-1].bias) != outputs:
        raise PackError(f"head {name} has {len(layers[-1].bias)} outputs for {outputs} labels; train the heads again")
    return tuple(layers)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _sigmoid(logits: Array) -> Array:
    # Beyond 30 the answer is 0 or 1 to float32's precision, and exp() would warn of overflow.
    probabilities: Array = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
    return probabilities

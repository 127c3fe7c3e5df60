"""Aspects by attention: a description asks a text's token states where it is spoken of, whether, and how.

The description is embedded by the same encoder; its projection is the query of a small multi-head attention over the
tokens, beside a learned key of no content that takes the weight when a text does not speak of it. Keys are never
computed: a query's product with the key matrix is taken once, and so is what the hidden layer makes of the query.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from workers.slm.errors import PackError

Array = NDArray[np.float32]
PREFIX = "attention."
TENSORS = ("query", "key", "value", "hidden", "last")


class PresenceCard(BaseModel):
    """P(present) = sigmoid(attention * a + topic * c + words * w + bias): `a` is the attention's presence logit, `c` the
    cosine between the aspect's topic and the likest clause's (`workers.slm.topics`), `w` 1 where the text has a word of its
    name, 0.5 where it has one of its description. An aspect is found from `threshold` on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attention: float = 1.0
    topic: float = 0.0
    words: float = 0.0
    bias: float = 0.0
    threshold: float = Field(default=0.5, ge=0, le=1)


class AttentionCard(BaseModel):
    """How the attention's logits become probabilities, and what counts as a mention.

    Presence goes by `learnt` for the aspects of `names`, which the attention was trained on, and by `new` for all others. An
    aspect is not found in a clause that speaks of `most_per_clause` likelier ones. Polarity is a softmax at
    `polarity_temperature`, of which `whole_share` is the whole text's sentiment instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: int = Field(gt=0)
    names: tuple[str, ...] = ()
    learnt: PresenceCard = PresenceCard()
    new: PresenceCard = PresenceCard()
    polarity_temperature: float = Field(default=1.0, gt=0)
    most_per_clause: int = Field(default=3, ge=1)
    whole_share: float = Field(default=0.0, ge=0, le=1)


class Queries(NamedTuple):
    """What some aspects (a,) ask, ready to be held against any text. `of_tokens` (d, heads * a + width) turns token states
    into scores, head by head, and values; `offset` (heads * a,) is added to the scores, `nothing` (heads * a,) is that of no
    content, `known` (a, inner) what the hidden layer knows of an aspect before it has seen a text."""

    of_tokens: Array
    offset: Array
    nothing: Array
    known: Array


class Reading(NamedTuple):
    """Of one text and some aspects: presence logits (a,), polarity (a, 3), and where each looked, (a, t), summing to the
    share of its attention that fell on the text."""

    presence: Array
    polarity: Array
    looked: Array


@dataclass(frozen=True)
class AspectAttention:
    """The weights. Pure arithmetic: threads may share it."""

    card: AttentionCard
    weights: Mapping[str, Array]

    @classmethod
    def read(cls, tensors: Mapping[str, NDArray[Any]], card: AttentionCard) -> "AspectAttention":
        """From a pack's tensors. Raises KeyError when one is missing, `PackError` when the heads do not divide it."""
        names = [f"{name}.{kind}" for name in TENSORS for kind in ("weight", "bias")]
        weights = {name: tensors[PREFIX + name].astype(np.float32) for name in (*names, "nothing")}
        if len(weights["query.bias"]) != weights["nothing"].size or len(weights["nothing"]) != card.heads:
            raise PackError(f"the aspect attention has not {card.heads} heads; train the encoder again")
        return cls(card, weights)

    def queries(self, descriptions: Array) -> Queries:
        """From one L2-normalised embedding an aspect, (a, d)."""
        w, heads = self.weights, self.card.heads
        projected = descriptions @ w["query.weight"].T + w["query.bias"]
        width = projected.shape[1]
        size = width // heads
        split = projected.reshape(-1, heads, size) / np.float32(math.sqrt(size))
        keys = w["key.weight"].reshape(heads, size, -1)
        of_states = np.einsum("ahs,hsd->dha", split, keys).reshape(keys.shape[2], -1)
        offset = np.einsum("ahs,hs->ha", split, w["key.bias"].reshape(heads, size)).reshape(-1)
        nothing = np.einsum("ahs,hs->ha", split, w["nothing"]).reshape(-1)
        known = (projected @ w["hidden.weight"][:, width : 2 * width].T + w["hidden.bias"]).astype(np.float32)
        return Queries(np.concatenate([of_states, w["value.weight"].T], axis=1), offset, nothing, known)

    def ask(self, states: Array, queries: Queries) -> Reading:
        """What a text's token states (t, d) answer to the queries."""
        return self.ask_all([states], queries)[0]

    def ask_all(self, texts: Sequence[Array], queries: Queries) -> list[Reading]:
        """What several texts' token states, (t, d) each, answer. Their products are taken together, which is cheaper."""
        w, heads = self.weights, self.card.heads
        asked, width = len(queries.known), len(w["value.bias"])
        of_tokens = np.concatenate(texts) @ queries.of_tokens
        found = np.empty((len(texts), asked, heads, width // heads), np.float32)
        nothing = np.empty((len(texts), asked, heads), np.float32)
        looked: list[Array] = []
        end = 0
        for row, states in enumerate(texts):
            start, end = end, end + len(states)
            scores = of_tokens[start:end, : heads * asked] + queries.offset
            top = np.maximum(scores.max(axis=0, initial=-np.inf), queries.nothing)
            shares, none = np.exp(scores - top), np.exp(queries.nothing - top)
            total = shares.sum(axis=0) + none
            shares, none = (shares / total).reshape(-1, heads, asked), (none / total).reshape(heads, asked)
            values = of_tokens[start:end, heads * asked :].reshape(-1, heads, width // heads)
            found[row] = np.matmul(shares.transpose(1, 2, 0), values.transpose(1, 0, 2)).transpose(1, 0, 2)
            nothing[row] = none.T
            looked.append(shares.mean(axis=1).T)
        found += (1 - nothing)[..., None] * w["value.bias"].reshape(heads, -1)
        of_found, of_nothing = w["hidden.weight"][:, :width], w["hidden.weight"][:, 2 * width :]
        hidden = found.reshape(-1, width) @ of_found.T + nothing.reshape(-1, heads) @ of_nothing.T
        hidden = _gelu(hidden.reshape(len(texts), asked, -1) + queries.known)
        logits = hidden @ w["last.weight"].T + w["last.bias"]
        polarity = np.exp(
            (logits[..., 1:] - logits[..., 1:].max(axis=-1, keepdims=True)) / self.card.polarity_temperature
        )
        polarity /= polarity.sum(axis=-1, keepdims=True)
        return [Reading(*each) for each in zip(logits[..., 0], polarity, looked, strict=True)]


def _gelu(x: Array) -> Array:
    """x * Phi(x), the error function by Abramowitz and Stegun 7.1.26 (error below 2e-7)."""
    z = np.abs(x) / np.float32(math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    result: Array = (x * 0.5 * (1 + erf)).astype(np.float32)
    return result

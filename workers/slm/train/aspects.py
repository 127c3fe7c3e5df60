"""Calibrates how a clause's likeness to an aspect becomes a probability, and how its sentiment is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from schemas.taxonomy import Taxonomy
from workers.slm.encoder import Encoder

Array = NDArray[np.float32]
SHARED_DIRECTIONS = 2
SHARES = tuple(round(0.1 * step, 1) for step in range(11))
_POLARITIES = ("negative", "neutral", "positive")


class Clause(Protocol):
    """Half-open characters of a text."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


Split = Callable[[str], Sequence[Clause]]
Scored = list[tuple[Array, Array]]


@dataclass(frozen=True)
class Calibration:
    """The tensors, the card's `aspects` section, and dev figures."""

    tensors: Mapping[str, Array]
    card: dict[str, float]
    metrics: Mapping[str, dict[str, float]]


def calibrate(
    encoder: Encoder,
    taxonomy: Taxonomy,
    sentiment: tuple[Array, Array],
    corpus: Array,
    polarity_train: Sequence[Mapping[str, Any]],
    polarity_dev: Sequence[Mapping[str, Any]],
    presence: Sequence[tuple[str, frozenset[str]]],
    split: Split,
) -> Calibration:
    """`corpus` (n, d) gives what all texts share; `presence` pairs texts with the aspects found in them: its first half
    fits, its second half measures. The polarity sets are MAMS-ACSA rows."""
    centre: Array = corpus.mean(axis=0).astype(np.float32)
    shared = np.linalg.svd(corpus[:8000] - centre, full_matrices=False)[2][:SHARED_DIRECTIONS].astype(np.float32)
    space = _Space(encoder, centre, shared, split)
    described = {a.name: space.embed([*a.title.values(), *a.sentences()]) for a in taxonomy.aspects}
    scale, middle, threshold, metrics = _presence(space, described, presence)
    share, accuracy = _clause_share(space, sentiment, polarity_train, polarity_dev)
    card = {"scale": scale, "middle": middle, "threshold": threshold, "clause_share": share}
    figures = {"sample_stream_second_half": metrics, "mams_acsa_dev": {"accuracy": accuracy}}
    return Calibration({"aspects.centre": centre, "aspects.shared": shared}, card, figures)


@dataclass(frozen=True)
class _Space:
    encoder: Encoder
    centre: Array
    shared: Array
    split: Split

    def centred(self, vectors: Array) -> Array:
        rest = vectors - self.centre
        rest = rest - (rest @ self.shared.T) @ self.shared
        norms = np.linalg.norm(rest, axis=1, keepdims=True)
        scaled: Array = rest / np.maximum(norms, np.float32(1e-12))
        return scaled

    def embed(self, texts: list[str]) -> Array:
        return self.centred(self.encoder.encode(texts).pooled)

    def clauses(self, texts: Sequence[str]) -> Scored:
        """Of each text: its own embedding (d,) and its clauses' (k, d)."""
        spans = [[(c.start, c.end) for c in self.split(text)] for text in texts]
        encoded = self.encoder.encode(texts, spans)
        return list(zip(encoded.pooled, encoded.spans, strict=True))


def _presence(
    space: _Space, described: Mapping[str, Array], texts: Sequence[tuple[str, frozenset[str]]]
) -> tuple[float, float, float, dict[str, float]]:
    """Fits P(mentioned) on the best clause's likeness; the threshold is the first half's best F1 over all decisions."""
    likeness = np.zeros((len(texts), len(described)), np.float32)
    for row, (_, vectors) in zip(likeness, space.clauses([text for text, _ in texts]), strict=True):
        if len(vectors):
            row[:] = [(space.centred(vectors) @ d.T).max() for d in described.values()]
    gold = np.array([[name in present for name in described] for _, present in texts])
    half = len(texts) // 2
    x, y = likeness[:half].reshape(-1, 1), gold[:half].ravel()
    model = LogisticRegression(C=1e4, max_iter=1000).fit(x, y)
    scale = float(model.coef_[0, 0])
    middle = -float(model.intercept_[0]) / scale
    shares = 1 / (1 + np.exp(-(likeness - np.float32(middle)) * np.float32(scale)))
    grid = np.arange(0.05, 0.9, 0.01)
    threshold = float(grid[int(np.argmax([_f1(shares[:half] >= t, gold[:half])[2] for t in grid]))])
    precision, recall, f1 = _f1(shares[half:] >= threshold, gold[half:])
    figures = {"aspect_precision": precision, "aspect_recall": recall, "aspect_f1": f1}
    return round(scale, 4), round(middle, 4), round(threshold, 3), figures


def _f1(said: NDArray[np.bool_], gold: NDArray[np.bool_]) -> tuple[float, float, float]:
    hit = int((said & gold).sum())
    precision, recall = hit / max(1, int(said.sum())), hit / max(1, int(gold.sum()))
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return round(100 * precision, 2), round(100 * recall, 2), round(100 * f1, 2)


def _clause_share(
    space: _Space,
    sentiment: tuple[Array, Array],
    train: Sequence[Mapping[str, Any]],
    dev: Sequence[Mapping[str, Any]],
) -> tuple[float, float]:
    """The share of the clause's own judgement that is most often right on train, and its accuracy on dev in percent."""
    best = max(SHARES, key=lambda share: _polarity_accuracy(space, sentiment, train, share))
    return best, _polarity_accuracy(space, sentiment, dev, best)


def _polarity_accuracy(
    space: _Space, sentiment: tuple[Array, Array], rows: Sequence[Mapping[str, Any]], share: float
) -> float:
    hits = total = 0
    names = sorted({a["category"] for row in rows for a in row["aspects"]})
    described = {name: space.embed([name]) for name in names}
    for row, (whole, clauses) in zip(rows, _cached_clauses(space, rows), strict=True):
        own = _softmax(np.stack([whole, *clauses]) @ sentiment[0].T + sentiment[1])
        for aspect in row["aspects"]:
            best = 1 + int((space.centred(clauses) @ described[aspect["category"]].T).max(axis=1).argmax())
            said = _POLARITIES[int((share * own[best] + (1 - share) * own[0]).argmax())]
            hits, total = hits + (said == aspect["polarity"]), total + 1
    return round(100 * hits / total, 2)


_remembered: dict[int, Scored] = {}


def _cached_clauses(space: _Space, rows: Sequence[Mapping[str, Any]]) -> Scored:
    """The same rows are judged once for every share tried; they are embedded once."""
    if id(rows) not in _remembered:
        _remembered[id(rows)] = space.clauses([row["text"] for row in rows])
    return _remembered[id(rows)]


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares

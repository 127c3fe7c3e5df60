"""Fits the aspect attention's temperatures and thresholds on dev texts, and measures presence and polarity.

Of the sample stream's first half every third text fits (the attention has not seen those); the second half measures. What a
description is worth by itself, for aspects that were never trained, is fitted on `new_aspects.yaml` beside this file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score

from schemas.taxonomy import Taxonomy
from workers.analyze.aspects_by_attention import LABELS, Asked, AttentionFinder, spoken_of
from workers.analyze.sentences import split_clauses
from workers.slm.attention import AspectAttention, PresenceCard
from workers.slm.encoder import Encoder, TokenStates, normalised
from workers.slm.heads import Heads
from workers.slm.train import fit
from workers.slm.train.finetune.aspect_samples import TUNE_EVERY

Array = NDArray[np.float32]
Stream = Sequence[tuple[str, str, Mapping[str, str], str]]
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
MOST = (1, 2, 3, 4)  # aspects a clause
THRESHOLDS = np.arange(0.05, 0.9, 0.01)
NEW_ASPECTS = Path(__file__).with_name("new_aspects.yaml")


class AspectDev:
    """`fitted` gives the fields of the attention's card; `metrics` is filled on the way. `attention` must have the plain
    card: temperatures of one, presence by its own logit."""

    def __init__(
        self, encoder: Encoder, heads: Heads, attention: AspectAttention, taxonomy: Taxonomy, temperature: float
    ) -> None:
        self._encoder, self._heads, self._attention, self._taxonomy = encoder, heads, attention, taxonomy
        self._temperature = temperature
        self._finder = AttentionFinder(taxonomy, encoder, attention, heads.topics)
        self.metrics: dict[str, dict[str, float]] = {}

    def fitted(self, mams: Sequence[Mapping[str, Any]], stream: Stream) -> dict[str, Any]:
        """Polarity's temperature and the whole text's share come from half of `mams`, presence from the `stream`."""
        share, temperature = self._polarity(mams)
        readings, whole = self._read(self._finder, [text for text, *_ in stream], None)
        learnt, most = self._learnt(readings, stream)
        self._measure(readings, whole, stream, (learnt, most), share)
        tune = [stream[i][0] for i in _tuned(stream)]
        return {
            "names": list(self._finder.names),
            "learnt": learnt.model_dump(),
            "new": self._new(tune).model_dump(),
            "polarity_temperature": temperature,
            "most_per_clause": most,
            "whole_share": share,
        }

    def _polarity(self, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
        names = [tuple(a["category"] for a in row["aspects"]) for row in rows]
        readings, whole = self._read(self._finder, [row["text"] for row in rows], names)
        own = np.concatenate([reading.polarity for reading in readings])
        whole = np.repeat(whole, [len(some) for some in names], axis=0)
        gold = np.array([LABELS.index(a["polarity"]) for row in rows for a in row["aspects"]])
        tune = np.repeat(np.arange(len(rows)) % 2 == 0, [len(some) for some in names])
        logits = np.log(np.maximum(own, 1e-9)).astype(np.float32)
        temperature = fit.temperature(logits[tune], gold[tune])
        cooled = np.exp(logits / temperature)
        cooled /= cooled.sum(axis=1, keepdims=True)

        def hits(share: float, chosen: NDArray[np.bool_]) -> float:
            mixed = (1 - share) * cooled[chosen] + share * whole[chosen]
            return round(100 * float((mixed.argmax(axis=1) == gold[chosen]).mean()), 2)

        best = max(SHARES, key=lambda share: hits(share, tune))
        self.metrics["mams_acsa_dev"] = {
            "accuracy": hits(best, np.ones_like(tune)),
            "accuracy_untuned_half": hits(best, ~tune),
            "ece_before": fit.calibration_error(logits[~tune], gold[~tune], 1.0),
            "ece_after": fit.calibration_error(logits[~tune], gold[~tune], temperature),
        }
        return best, temperature

    def _learnt(self, readings: Sequence[Asked], stream: Stream) -> tuple[PresenceCard, int]:
        """How presence is made of attention, topic and words, by likelihood; then threshold and most per clause by F0.7: an
        aspect that is not there misleads more than one that is missed."""
        tune = _tuned(stream)
        gold = self._gold(stream)[tune]
        some = [readings[i] for i in tune]
        card = _by_likelihood(some, gold)
        options = [
            (card.model_copy(update={"threshold": round(float(t), 3)}), most) for t in THRESHOLDS for most in MOST
        ]
        return max(options, key=lambda option: _f_score(_said(some, *option), gold))

    def _new(self, calm: Sequence[str]) -> PresenceCard:
        """The same for aspects that are known by their description alone, against each other's sentences and `calm` texts,
        which speak of none of them."""
        rows = yaml.safe_load(NEW_ASPECTS.read_text(encoding="utf-8"))
        described = [{name: value for name, value in row.items() if name != "says"} for row in rows]
        wider = Taxonomy.model_validate(self._taxonomy.model_dump() | {"aspects": described})
        finder = AttentionFinder(wider, self._encoder, self._attention, self._heads.topics)
        texts = [said["text"] for row in rows for said in row["says"]]
        owner = np.repeat(np.arange(len(rows)), [len(row["says"]) for row in rows])
        gold = np.concatenate([owner[:, None] == np.arange(len(rows)), np.zeros((len(calm), len(rows)), bool)])
        readings, _ = self._read(finder, [*texts, *calm], None)
        card = _by_likelihood(readings, gold)
        options = [card.model_copy(update={"threshold": round(float(t), 3)}) for t in THRESHOLDS]
        best = max(options, key=lambda option: _f1(_said(readings, option, max(MOST)), gold)[2])
        precision, recall, f1 = _f1(_said(readings, best, max(MOST)), gold)
        self.metrics["new_aspects_fitted"] = {"precision": precision, "recall": recall, "f1": f1}
        return best

    def _gold(self, stream: Stream) -> NDArray[np.bool_]:
        return np.array([[name in aspects for name in self._finder.names] for _, _, aspects, _ in stream])

    def _measure(
        self, readings: Sequence[Asked], whole: Array, stream: Stream, presence: tuple[PresenceCard, int], share: float
    ) -> None:
        said, gold = _said(readings, *presence), self._gold(stream)
        second = {"": np.arange(len(stream)) >= len(stream) // 2}
        second |= {f"_{code}": second[""] & np.array([s[3] == code for s in stream]) for code in ("en", "es")}
        for suffix, chosen in second.items():
            rows = np.flatnonzero(chosen).tolist()
            right = [
                LABELS[int(((1 - share) * readings[i].polarity[k] + share * whole[i]).argmax())] == stream[i][2][name]
                for i in rows
                for k, name in enumerate(self._finder.names)
                if name in stream[i][2]
            ]
            precision, recall, f1 = _f1(said[chosen], gold[chosen])
            self.metrics[f"sample_stream_second_half{suffix}"] = {
                "aspect_precision": precision,
                "aspect_recall": recall,
                "aspect_f1": f1,
                "polarity_of_given_aspects": round(100 * float(np.mean(right)), 2),
                "sentiment_accuracy": round(
                    100 * float(np.mean([LABELS[int(whole[i].argmax())] == stream[i][1] for i in rows])), 2
                ),
            }

    def _read(
        self, finder: AttentionFinder, texts: Sequence[str], names: Sequence[tuple[str, ...]] | None
    ) -> tuple[list[Asked], Array]:
        """What the texts answer to their names, or to all of the finder's, and their sentiment probabilities (n, 3)."""
        for some in set(names or ()):
            finder.learn(some)
        spans = [[(clause.start, clause.end) for clause in split_clauses(text)] for text in texts]

        def look(index: int, tokens: TokenStates) -> tuple[Asked, Array]:
            return finder.read(
                texts[index], tokens, spans[index], names[index] if names else None
            ), tokens.pooled.copy()

        found = self._encoder.reduce(texts, look)
        logits = self._heads.logits("sentiment", normalised(np.stack([pooled for _, pooled in found])))
        shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / self._temperature)
        return [reading for reading, _ in found], shares / shares.sum(axis=1, keepdims=True)


def _tuned(stream: Stream) -> list[int]:
    return list(range(0, len(stream) // 2, TUNE_EVERY))


def _by_likelihood(readings: Sequence[Asked], gold: NDArray[np.bool_]) -> PresenceCard:
    """Logistic regression on the attention's logit, the topic's likeness and the words (Platt 1999)."""
    x = np.stack([_features(reading) for reading in readings]).reshape(-1, 3)
    model = LogisticRegression(C=1e4, max_iter=1000).fit(x, gold.ravel())
    attention, topic, words = (round(float(value), 4) for value in model.coef_[0])
    return PresenceCard(attention=attention, topic=topic, words=words, bias=round(float(model.intercept_[0]), 4))


def _features(reading: Asked) -> Array:
    return np.stack([reading.presence, reading.likeness, reading.called], axis=1)


def _said(readings: Sequence[Asked], card: PresenceCard, most: int) -> NDArray[np.bool_]:
    """Which aspects (a,) of each text are found, (n, a)."""
    said = np.zeros((len(readings), len(readings[0].present)), bool)
    for row, reading in zip(said, readings, strict=True):
        logits = _features(reading) @ np.array([card.attention, card.topic, card.words], np.float32) + card.bias
        present = (1 / (1 + np.exp(-logits))).astype(np.float32)
        row[spoken_of(present, reading.on_clauses, card.threshold, most)] = True
    return said


def _f_score(said: NDArray[np.bool_], gold: NDArray[np.bool_], beta: float = 0.7) -> float:
    """F with recall counting `beta` times as much as precision (van Rijsbergen 1979)."""
    return float(fbeta_score(gold.ravel(), said.ravel(), beta=beta, zero_division=0))


def _f1(said: NDArray[np.bool_], gold: NDArray[np.bool_]) -> tuple[float, float, float]:
    hit = int((said & gold).sum())
    precision, recall = hit / max(1, int(said.sum())), hit / max(1, int(gold.sum()))
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return round(100 * precision, 2), round(100 * recall, 2), round(100 * f1, 2)

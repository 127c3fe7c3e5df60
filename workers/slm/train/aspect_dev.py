"""Fits the aspect attention's temperatures and threshold on dev texts, and measures presence and polarity.

Of the sample stream's first half every third text fits (the attention has not seen those); the second half measures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from workers.analyze.aspects_by_attention import LABELS, Asked, AttentionFinder, spoken_of
from workers.analyze.sentences import split_clauses
from workers.slm.encoder import Encoder, TokenStates, normalised
from workers.slm.heads import Heads
from workers.slm.train import fit
from workers.slm.train.finetune.aspect_samples import TUNE_EVERY

Array = NDArray[np.float32]
Stream = Sequence[tuple[str, str, Mapping[str, str], str]]
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)


class AspectDev:
    """`fitted` gives the fields of the attention's card; `metrics` is filled on the way. The pack's own card must still be
    the plain one: temperatures of one, middle zero."""

    def __init__(self, encoder: Encoder, heads: Heads, finder: AttentionFinder, temperature: float) -> None:
        self._encoder, self._heads, self._finder, self._temperature = encoder, heads, finder, temperature
        self.metrics: dict[str, dict[str, float]] = {}

    def fitted(self, mams: Sequence[Mapping[str, Any]], stream: Stream) -> dict[str, float]:
        """Polarity's temperature and the whole text's share come from half of `mams`, presence from the `stream`."""
        share, temperature = self._polarity(mams)
        readings, whole = self._read([text for text, *_ in stream], [self._finder.names] * len(stream))
        presence = self._presence(readings, stream)
        self._measure(readings, whole, stream, presence, share)
        return {"polarity_temperature": temperature, "whole_share": share, **presence}

    def _polarity(self, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
        names = [tuple(a["category"] for a in row["aspects"]) for row in rows]
        readings, whole = self._read([row["text"] for row in rows], names)
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

    def _presence(self, readings: Sequence[Asked], stream: Stream) -> dict[str, float]:
        """Temperature and middle by likelihood (Platt 1999), then threshold and most per clause by F1."""
        tune = np.arange(0, len(stream) // 2, TUNE_EVERY)
        gold = self._gold(stream)
        logits = _logit(np.stack([reading.present for reading in readings]))
        model = LogisticRegression(C=1e4, max_iter=1000).fit(logits[tune].reshape(-1, 1), gold[tune].ravel())
        temperature = 1 / max(1e-3, float(model.coef_[0, 0]))
        card = {
            "presence_middle": round(-float(model.intercept_[0]) * temperature, 4),
            "presence_temperature": round(temperature, 4),
        }
        options = [
            card | {"threshold": round(float(threshold), 3), "most_per_clause": most}
            for threshold in np.arange(0.05, 0.8, 0.01)
            for most in (1, 2, 3, 4)
        ]
        best = max(options, key=lambda option: _f1(self._said(readings, option)[tune], gold[tune])[2])
        return {name: float(value) if name != "most_per_clause" else int(value) for name, value in best.items()}

    def _said(self, readings: Sequence[Asked], card: Mapping[str, float]) -> NDArray[np.bool_]:
        said = np.zeros((len(readings), len(self._finder.names)), bool)
        for row, reading in zip(said, readings, strict=True):
            logits = (_logit(reading.present) - card["presence_middle"]) / card["presence_temperature"]
            present = (1 / (1 + np.exp(-logits))).astype(np.float32)
            row[spoken_of(present, reading.on_clauses, card["threshold"], int(card["most_per_clause"]))] = True
        return said

    def _gold(self, stream: Stream) -> NDArray[np.bool_]:
        return np.array([[name in aspects for name in self._finder.names] for _, _, aspects, _ in stream])

    def _measure(
        self, readings: Sequence[Asked], whole: Array, stream: Stream, card: Mapping[str, float], share: float
    ) -> None:
        said, gold = self._said(readings, card), self._gold(stream)
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

    def _read(self, texts: Sequence[str], names: Sequence[tuple[str, ...]]) -> tuple[list[Asked], Array]:
        """What the texts answer to their names, and their sentiment probabilities (n, 3)."""
        for some in set(names):
            self._finder.learn(some)
        spans = [[(clause.start, clause.end) for clause in split_clauses(text)] for text in texts]

        def look(index: int, tokens: TokenStates) -> tuple[Asked, Array]:
            return self._finder.read(tokens, spans[index], names[index]), tokens.pooled.copy()

        found = self._encoder.reduce(texts, look)
        logits = self._heads.logits("sentiment", normalised(np.stack([pooled for _, pooled in found])))
        shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / self._temperature)
        return [reading for reading, _ in found], shares / shares.sum(axis=1, keepdims=True)


def _logit(p: Array) -> Array:
    inside = np.clip(p, 1e-7, 1 - 1e-7)
    logits: Array = np.log(inside / (1 - inside)).astype(np.float32)
    return logits


def _f1(said: NDArray[np.bool_], gold: NDArray[np.bool_]) -> tuple[float, float, float]:
    hit = int((said & gold).sum())
    precision, recall = hit / max(1, int(said.sum())), hit / max(1, int(gold.sum()))
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return round(100 * precision, 2), round(100 * recall, 2), round(100 * f1, 2)

"""`python -m workers.slm.train.calibrate --data DIR`: fits a fine-tuned pack's temperatures and thresholds on dev sets,
measures it, and completes the card of its heads. No torch: it asks the built int8 pack, so what it measures is what runs.

Of each dev set every other text fits and the rest measure what the fit brings; macro figures are of the whole set.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from schemas.taxonomy import load_taxonomy
from workers.settings import load_settings
from workers.slm.attention import AttentionCard
from workers.slm.build import ensure_built
from workers.slm.encoder import Encoder
from workers.slm.heads import Heads
from workers.slm.recipes import load_recipe
from workers.slm.train import corpora, fit, silver
from workers.slm.train.aspect_dev import AspectDev
from workers.slm.train.finetune.samples import EMOTIONS, INTENTS, SENTIMENTS, sample_stream
from workers.slm.train.notes import DATA, LIMITS, TRIED

Array = NDArray[np.float32]
Labels = NDArray[np.int64]


class Calibration:
    """The card as it grows: `heads` and `attention` get temperatures and thresholds, `metrics` what was measured."""

    def __init__(self, encoder: Encoder, heads: Heads, data: Path, languages: tuple[str, ...]) -> None:
        self._encoder, self._heads, self._data, self._languages = encoder, heads, data, languages
        self.cards: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, float]] = {}

    def sentiment(self) -> None:
        dev = corpora.sentiment(self._data, "dev", self._languages)
        pooled = self._encoder.encode([e.text for e in dev]).pooled
        gold = np.array([SENTIMENTS.index(str(e.label)) for e in dev])
        logits = self._logits("sentiment", pooled)
        domains = np.array([e.domain for e in dev])
        for domain in sorted(set(domains.tolist())):
            inside = domains == domain
            said = logits[inside].argmax(axis=1)
            self.metrics[f"{domain}_dev"] = {
                "macro_recall": fit.macro_recall(gold[inside], said),
                "macro_f1": fit.macro_f1(gold[inside], said),
                "accuracy": round(100 * float((gold[inside] == said).mean()), 2),
            }
        tongues = [f["macro_f1"] for name, f in self.metrics.items() if name.startswith("xlmt_")]
        self.metrics["xlmt_mean_dev"] = {"macro_f1": round(float(np.mean(tongues)), 2)}
        self._softmax("sentiment", logits, gold)
        names = [SENTIMENTS[g] for g in gold.tolist()]
        rules = [silver.intents(e.text, name) for e, name in zip(dev, names, strict=True)]
        self._rules("intents", pooled, np.array([[i in r for i in INTENTS] for r in rules]))
        urgent = [[silver.urgent(e.text, name)] for e, name in zip(dev, names, strict=True)]
        self._rules("urgency", pooled, np.array(urgent))

    def emotion(self) -> None:
        dev = corpora.labelled(self._data, "tweet_emotion", "dev")
        logits = self._logits("emotion", self._encoder.encode([e.text for e in dev]).pooled)
        gold = np.array([EMOTIONS.index(str(e.label)) for e in dev])
        self.metrics["tweet_emotion_dev"] = {"macro_f1": fit.macro_f1(gold, logits.argmax(axis=1))}
        self._softmax("emotion", logits, gold, dict.fromkeys(EMOTIONS, 0.6))

    def binary(self, head: str, data_set: str, positive: str, floor: float) -> None:
        """A yes-or-no head measured on one TweetEval set; its label is given from the threshold of best F1, at least
        `floor`."""
        dev = corpora.labelled(self._data, data_set, "dev")
        logits = self._logits(head, self._encoder.encode([e.text for e in dev]).pooled)
        gold = np.array([e.label == positive for e in dev]).astype(int)
        tune = _tuning_half(len(gold))
        both = np.concatenate([-logits, logits], axis=1) * np.float32(0.5)  # a softmax of these is the sigmoid
        temperature = fit.temperature(both[tune], gold[tune])
        shares = _sigmoid(logits[:, 0] / temperature)
        self.metrics[f"{data_set}_dev"] = {
            "macro_f1": fit.macro_f1(gold, (logits[:, 0] > 0).astype(int)),
            "ece_before": fit.calibration_error(both[~tune], gold[~tune], 1.0),
            "ece_after": fit.calibration_error(both[~tune], gold[~tune], temperature),
        }
        threshold = max(floor, fit.best_threshold(shares[tune], gold[tune].astype(bool)))
        card = {"kind": "sigmoid", "labels": list(self._heads.labels(head)), "temperature": temperature}
        self.cards[head] = card | {"thresholds": {self._heads.labels(head)[0]: round(threshold, 3)}}

    def _softmax(self, head: str, logits: Array, gold: Labels, thresholds: dict[str, float] | None = None) -> None:
        tune = _tuning_half(len(gold))
        temperature = fit.temperature(logits[tune], gold[tune])
        self.metrics[f"{head}_calibration"] = {
            "ece_before": fit.calibration_error(logits[~tune], gold[~tune], 1.0),
            "ece_after": fit.calibration_error(logits[~tune], gold[~tune], temperature),
            **fit.accuracy_at_coverage(logits[~tune] / temperature, gold[~tune]),
        }
        card = {"kind": "softmax", "labels": list(self._heads.labels(head)), "temperature": temperature}
        self.cards[head] = card | ({"thresholds": thresholds} if thresholds else {})

    def _rules(self, head: str, pooled: Array, gold: NDArray[np.bool_]) -> None:
        shares = _sigmoid(self._logits(head, pooled))
        labels, tune = self._heads.labels(head), _tuning_half(len(gold))
        cuts = {n: round(fit.best_threshold(shares[tune, i], gold[tune, i]), 3) for i, n in enumerate(labels)}
        card = {"kind": "sigmoid", "labels": list(labels), "temperature": 1.0}
        self.cards[head] = card | {"thresholds": cuts}
        self.metrics[f"{head}_silver_dev"] = {
            f"f1_{name}": fit.f1(shares[~tune, i] >= cuts[name], gold[~tune, i]) for i, name in enumerate(labels)
        }

    def _logits(self, head: str, pooled: Array) -> Array:
        return self._heads.logits(head, pooled)


def _tuning_half(count: int) -> NDArray[np.bool_]:
    """Every other dev text: temperatures and thresholds are chosen on these, and what they bring is measured on the rest."""
    half: NDArray[np.bool_] = np.arange(count) % 2 == 0
    return half


def _sigmoid(logits: Array) -> Array:
    shares: Array = np.reciprocal(1 + np.exp(-np.clip(logits, -30, 30)))
    return shares


def main() -> None:
    """Completes workers/slm/heads/<pack>/card.yaml."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.calibrate", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--pack", default="e5-small-multilingual", help="a recipe's name")
    arguments = parser.parse_args()
    settings = load_settings()
    recipe = load_recipe(arguments.pack)
    pack = ensure_built(arguments.pack, settings.packs_dir, settings.cache_dir)
    file = recipe.heads_dir / "card.yaml"
    card = yaml.safe_load(file.read_text(encoding="utf-8"))
    attention = pack.heads.attention
    if attention is None:
        parser.error(
            f"the pack {pack.name} has no aspect attention; its heads are fitted by: python -m workers.slm.train"
        )
    with pack.encoder() as encoder:
        calibration = Calibration(encoder, pack.heads, arguments.data, recipe.languages)
        calibration.sentiment()
        calibration.emotion()
        calibration.binary("toxicity", "tweet_offensive", "offensive", floor=0.0)
        calibration.binary("irony", "tweet_irony", "irony", floor=0.7)
        plain = replace(attention, card=AttentionCard(heads=attention.card.heads))
        aspects = AspectDev(encoder, pack.heads, plain, load_taxonomy(), calibration.cards["sentiment"]["temperature"])
        mams = list(corpora.rows(arguments.data, "mams_acsa_dev"))
        card["attention"] = {"heads": attention.card.heads} | aspects.fitted(mams, sample_stream(recipe.languages))
    card |= {"data": list(DATA), "heads": calibration.cards, "metrics": calibration.metrics | aspects.metrics}
    card |= {"tried": list(TRIED), "limits": list(LIMITS)}
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(text, encoding="utf-8")
    print(yaml.safe_dump(card["metrics"] | {"attention": card["attention"]}, sort_keys=False))


if __name__ == "__main__":
    main()

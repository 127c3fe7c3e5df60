"""Dev figures during training: one number to choose the checkpoint by, and what it is made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score
from tokenizers import Tokenizer

from workers.slm.bert import Bert
from workers.slm.train import corpora
from workers.slm.train.finetune.frozen import Frozen, frozen_states, padded
from workers.slm.train.finetune.loop import embedded
from workers.slm.train.finetune.network import HEADS, Network
from workers.slm.train.finetune.samples import EMOTIONS, SENTIMENTS

MOST_TOKENS = 256


class DevSets:
    """The dev sets with their frozen states. `measure` is what `Trainer.run` asks for."""

    def __init__(
        self,
        bert: Bert,
        frozen: int,
        tokenizer: Tokenizer,
        data: Path,
        languages: Sequence[str],
        described: tuple[Frozen, Mapping[str, Sequence[int]]],
    ) -> None:
        sentiment = corpora.sentiment(data, "dev", languages)
        emotion = corpora.labelled(data, "tweet_emotion", "dev")
        offensive = corpora.labelled(data, "tweet_offensive", "dev")
        irony = corpora.labelled(data, "tweet_irony", "dev")
        self._mams = list(corpora.rows(data, "mams_acsa_dev"))
        parts = [sentiment, emotion, offensive, irony]
        texts = [e.text for part in parts for e in part] + [row["text"] for row in self._mams]
        self._texts = frozen_states(bert, frozen, tokenizer, texts, MOST_TOKENS)
        ends = np.cumsum([len(part) for part in parts])
        self._at = dict(
            zip(("sentiment", "emotion", "toxicity", "irony"), np.split(np.arange(ends[-1]), ends[:-1]), strict=True)
        )
        self._domains = np.array([e.domain for e in sentiment])
        self._gold = {
            "sentiment": np.array([SENTIMENTS.index(str(e.label)) for e in sentiment]),
            "emotion": np.array([EMOTIONS.index(str(e.label)) for e in emotion]),
            "toxicity": np.array([e.label == "offensive" for e in offensive]).astype(int),
            "irony": np.array([e.label == "irony" for e in irony]).astype(int),
        }
        self._described = described

    def measure(self, network: Network) -> tuple[float, dict[str, float]]:
        """The score to choose by (the mean of what is to be reached), and each figure in percent."""
        queries = embedded(network, self._described[0])
        asked = {name: queries[list(rows)].mean(dim=0) for name, rows in self._described[1].items()}
        logits, mams = self._run(network, asked)
        said = logits["sentiment"].argmax(axis=1)[self._at["sentiment"]]
        figures = {}
        for domain in sorted(set(self._domains.tolist())):
            inside = self._domains == domain
            gold = self._gold["sentiment"][inside]
            figures[domain] = _FIGURES.get(domain, _macro_f1)(gold, said[inside])
        figures["emotion"] = _macro_f1(self._gold["emotion"], logits["emotion"][self._at["emotion"]].argmax(axis=1))
        for name in ("toxicity", "irony"):
            figures[name] = _macro_f1(self._gold[name], (logits[name][self._at[name], 0] > 0).astype(int))
        figures["mams"] = mams
        tongues = [value for name, value in figures.items() if name.startswith("xlmt")]
        chosen = [
            figures[n] for n in ("tweets", "airline", "amazon_devices", "emotion", "toxicity", "mams", "xlmt_spanish")
        ]
        return float(np.mean([*chosen, float(np.mean(tongues)), figures["tweets"]])), figures

    def _run(self, network: Network, asked: Mapping[str, torch.Tensor]) -> tuple[dict[str, NDArray[np.float32]], float]:
        network.eval()
        count = len(self._texts.lengths)
        logits = {name: np.zeros((count, outputs), np.float32) for name, outputs in HEADS.items()}
        first = count - len(self._mams)
        hits = total = 0
        order = np.argsort(self._texts.lengths, kind="stable").tolist()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for start in range(0, count, 64):
                rows = order[start : start + 64]
                states, mask = padded(self._texts, rows)
                last, pooled = network.encode(states, mask)
                for name, values in network.logits(pooled, tuple(HEADS)).items():
                    logits[name][rows] = values.float().numpy()
                pairs = [
                    (at, a["category"], a["polarity"])
                    for at, i in enumerate(rows)
                    if i >= first
                    for a in self._mams[i - first]["aspects"]
                ]
                if pairs:
                    queries = torch.stack([asked[name] for _, name, _ in pairs])
                    given = network.aspects(last, mask, queries, torch.tensor([at for at, _, _ in pairs]), 0.0)
                    said = given[:, 1:].float().argmax(dim=1).tolist()
                    hits += sum(SENTIMENTS[s] == polarity for s, (_, _, polarity) in zip(said, pairs, strict=True))
                    total += len(pairs)
        return logits, 100 * hits / max(1, total)


def _macro_f1(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return 100 * float(f1_score(gold, said, average="macro"))


def _macro_recall(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return 100 * float(recall_score(gold, said, average="macro"))


def _accuracy(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return 100 * float((gold == said).mean())


_FIGURES = {"tweets": _macro_recall, "amazon_devices": _macro_recall, "airline": _accuracy}

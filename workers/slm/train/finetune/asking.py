"""`python -m workers.slm.train.finetune.asking`: trains the aspect attention alone, on the finished encoder's states.

The first training teaches the encoder and a first attention together; this one takes the encoder as it is and gives the
attention many passes over all that is known of aspects, absent ones above all. What is kept lies between the two: the first
judges polarity better, the second presence. The descriptions' embeddings are centred and
scaled first, since all of one encoder's embeddings are much alike; that goes into the query's weights in the end.
"""

import argparse
import copy
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from schemas.taxonomy import load_taxonomy
from workers.slm.e5s1 import read_e5s1
from workers.slm.prune import with_layers, with_pieces
from workers.slm.train import corpora
from workers.slm.train.finetune.aspect_samples import aspect_samples
from workers.slm.train.finetune.frozen import Frozen, frozen_states, padded
from workers.slm.train.finetune.loop import embedded
from workers.slm.train.finetune.losses import of_aspects
from workers.slm.train.finetune.network import AspectAttention, Network
from workers.slm.train.finetune.samples import SENTIMENTS, Sample, Sought, aspect_texts

MOST_TOKENS = 128
ABSENT_ASKED = 14  # of a text at a time, chosen anew each time
LANGUAGES = ("en", "es", "pt", "fr", "it", "de")


def finished(network: Network, texts: Frozen, batch: int = 64) -> Frozen:
    """The last layer's states of texts whose lower ones are given."""
    network.eval()
    states = torch.empty_like(texts.states)
    order = np.argsort(texts.lengths, kind="stable").tolist()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            last, _ = network.encode(*padded(texts, rows))
            for row, i in zip(last, rows, strict=True):
                states[texts.starts[i] : texts.starts[i] + texts.lengths[i]] = row[: texts.lengths[i]].bfloat16()
    return Frozen(states, texts.starts, texts.lengths, texts.offsets)


def rescaled(attention: AspectAttention, spread: Tensor, centre: Tensor) -> AspectAttention:
    """An attention that gives for a query x what `attention` gives for `spread` * x + `centre`."""
    other = copy.deepcopy(attention)
    with torch.no_grad():
        other.query.bias.add_(attention.query.weight @ centre)
        other.query.weight.mul_(spread)
    return other


class Asking:
    """Trains `attention` on texts' finished states; `queries[name]` are the scaled embeddings of its descriptions."""

    def __init__(
        self,
        attention: AspectAttention,
        samples: Sequence[Sample],
        texts: Frozen,
        queries: Mapping[str, Tensor],
        rate: float = 2e-3,
    ) -> None:
        self.attention, self.samples, self.texts, self.queries, self.rate = attention, samples, texts, queries, rate
        self.average = {name: p.detach().clone() for name, p in attention.named_parameters()}

    def run(self, epochs: int, dice: random.Random) -> None:
        optimizer = torch.optim.AdamW(self.attention.parameters(), lr=self.rate, weight_decay=0.02)
        batches = self._batches(dice)
        steps, step = epochs * len(batches), 0
        for epoch in range(epochs):
            losses = []
            self.attention.train()
            for batch in self._batches(dice) if epoch else batches:
                for group in optimizer.param_groups:
                    group["lr"] = self.rate * min(1, step / 100) * max(0.0, 1 - step / steps)
                loss = self._loss(batch, dice)
                loss.backward()
                nn.utils.clip_grad_norm_(self.attention.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(float(loss.detach()))
                step += 1
                with torch.no_grad():
                    for name, p in self.attention.named_parameters():
                        self.average[name].lerp_(p, 0.005)
            print(f"epoch {epoch + 1}  loss {sum(losses) / len(losses):.4f}", flush=True)
        self.attention.load_state_dict(self.average)

    def _batches(self, dice: random.Random) -> list[list[int]]:
        order = [i for i, s in enumerate(self.samples) for _ in range(int(s.times) + (dice.random() < s.times % 1))]
        dice.shuffle(order)
        pools = [
            sorted(order[at : at + 2_400], key=lambda i: self.texts.lengths[i]) for at in range(0, len(order), 2_400)
        ]
        batches = [pool[at : at + 48] for pool in pools for at in range(0, len(pool), 48)]
        dice.shuffle(batches)
        return batches

    def _loss(self, batch: list[int], dice: random.Random) -> Tensor:
        states, mask = padded(self.texts, batch)
        asked: list[tuple[int, Sought]] = []
        for row, i in enumerate(batch):
            absent = [s for s in self.samples[i].aspects if s.present == 0]
            asked += [(row, s) for s in self.samples[i].aspects if s.present != 0]
            asked += [(row, s) for s in dice.sample(absent, min(len(absent), ABSENT_ASKED))]
        rows = torch.tensor([row for row, _ in asked])
        queries = torch.stack([self._query(s.name, dice) for _, s in asked])
        logits = self.attention(states.float(), mask, queries, rows, 0.15)
        return of_aspects([s for _, s in asked], rows, logits, len(batch))

    def _query(self, name: str, dice: random.Random) -> Tensor:
        known = self.queries[name]
        return known[dice.sample(range(len(known)), min(len(known), dice.choice((1, 1, 2, 3, 9))))].mean(dim=0)


def mams_accuracy(
    attention: AspectAttention, texts: Frozen, rows: Sequence[Mapping[str, object]], queries: Mapping[str, Tensor]
) -> float:
    """The accuracy in percent of the polarity of given aspects."""
    attention.eval()
    hits: list[bool] = []
    with torch.no_grad():
        for i, row in enumerate(rows):
            given: list[dict[str, str]] = row["aspects"]  # type: ignore[assignment]
            states, mask = padded(texts, [i])
            asked = torch.stack([queries[a["category"]].mean(dim=0) for a in given])
            logits = attention(states.float(), mask, asked, torch.zeros(len(given), dtype=torch.long), 0.0)
            said = logits[:, 1:].argmax(dim=1).tolist()
            hits += [SENTIMENTS[s] == a["polarity"] for s, a in zip(said, given, strict=True)]
    return 100 * sum(hits) / len(hits)


def main() -> None:
    """Reads best.pt of the folder, writes asked.pt beside it: the same weights with another attention."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune.asking", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--base", type=Path, required=True, help="the E5S1 file")
    parser.add_argument("--pieces", type=Path, required=True, help="the kept pieces' ids, a .npy")
    parser.add_argument("--folder", type=Path, required=True, help="of the training")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--frozen", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--share", type=float, default=0.75, help="how far to go from the first training's attention")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the training texts: for trials")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(17)
    dice, began = random.Random(17), time.monotonic()  # noqa: S311
    bert = with_layers(with_pieces(read_e5s1(arguments.base), np.load(arguments.pieces)), arguments.layers)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    network = Network(bert, arguments.frozen)
    weights = torch.load(arguments.folder / "best.pt", weights_only=True)
    network.load_state_dict(weights)
    taxonomy = load_taxonomy()
    samples = aspect_samples(arguments.data, taxonomy, LANGUAGES)[:: round(1 / arguments.sample)]
    described = aspect_texts(taxonomy, samples)
    for row in corpora.rows(arguments.data, "mams_acsa_dev"):
        described |= {a["category"]: (a["category"],) for a in row["aspects"] if a["category"] not in described}
    sentences = sorted({text for some in described.values() for text in some})

    def read(texts: Sequence[str]) -> Frozen:
        return frozen_states(bert, arguments.frozen, tokenizer, texts, MOST_TOKENS)

    embeddings = embedded(network, read(sentences))
    centre, spread = embeddings.mean(dim=0), embeddings.std(dim=0)
    scaled = (embeddings - centre) / spread
    queries = {name: scaled[[sentences.index(t) for t in some]] for name, some in described.items()}
    dev = list(corpora.rows(arguments.data, "mams_acsa_dev"))
    dev_states = finished(network, read([row["text"] for row in dev]))
    states = finished(network, read([s.text for s in samples]))
    print(f"{len(samples)} texts ready after {time.monotonic() - began:.0f} s", flush=True)
    asking = Asking(rescaled(network.aspects, spread, centre), samples, states, queries)
    asking.run(arguments.epochs, dice)
    print(f"MAMS dev {mams_accuracy(asking.attention, dev_states, dev, queries):.2f}", flush=True)
    plain = rescaled(asking.attention, 1 / spread, -centre / spread)
    first = {name: p.detach() for name, p in network.aspects.state_dict().items()}
    own = {f"aspects.{name}": first[name].lerp(p.detach(), arguments.share) for name, p in plain.state_dict().items()}
    torch.save(weights | own, arguments.folder / "asked.pt")


if __name__ == "__main__":
    main()

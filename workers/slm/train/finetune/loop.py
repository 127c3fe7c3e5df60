"""The training itself: mixed batches of all tasks, a loss a head, warm-up and decay, averaged weights, checkpoints."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers.slm.train.finetune.frozen import Frozen, padded
from workers.slm.train.finetune.losses import Losses, of_aspects, of_topics
from workers.slm.train.finetune.network import HEADS, Network
from workers.slm.train.finetune.samples import Sample
from workers.slm.train.finetune.teacher import Taught
from workers.slm.train.state import read_state, write_state

POOL = 60  # batches whose texts are sorted by length together


@dataclass(frozen=True)
class Plan:
    """`minutes` of wall time when positive, else `epochs`: the learning rate falls to zero at their end."""

    epochs: float = 4.0
    minutes: float = 0.0
    rate: float = 1.5e-4
    head_rate: float = 1e-3
    batch_tokens: int = 1_900
    warm_up: float = 0.04
    average: float = 0.998
    token_dropout: float = 0.05
    seed: int = 13
    report_s: float = 60.0
    measure_s: float = 480.0


Measure = Callable[[Network], tuple[float, Mapping[str, float]]]


class Trainer:
    """Trains `network` on `samples`, whose frozen states are `texts`; `described[name]` are rows of `descriptions`, and
    `taught` is what the base says that some of the texts are about, `opinions` what is said of their sentiment beside their
    labels."""

    def __init__(
        self,
        network: Network,
        samples: Sequence[Sample],
        texts: Frozen,
        descriptions: Frozen,
        described: Mapping[str, Sequence[int]],
        taught: Taught,
        plan: Plan,
        folder: Path,
        opinions: Tensor | None = None,
    ) -> None:
        self.network, self.samples, self.texts, self.plan, self.folder = network, samples, texts, plan, folder
        self._taught = taught
        self._descriptions, self._described = descriptions, described
        self._loss = Losses(samples, opinions)
        self.average = {name: p.detach().clone() for name, p in network.named_parameters()}
        heads = [p for name, p in network.named_parameters() if not name.startswith("layers")]
        groups = [{"params": heads, "lr": plan.head_rate, "peak": plan.head_rate}]
        for depth, layer in enumerate(reversed(network.layers)):
            rate = plan.rate * 0.93**depth
            groups.append({"params": list(layer.parameters()), "lr": rate, "peak": rate})
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        self.step, self.spent_s, self.best = 0, 0.0, -1.0
        self.batches_an_epoch = max(1, sum(1 for _ in self._epoch(0)))

    def run(self, measure: Measure) -> None:
        """Train to the plan's end; `best.pt` in the folder holds the averaged weights that measured best."""
        began = last_report = last_measure = time.monotonic() - self.spent_s
        last_measure += self.spent_s
        losses: list[float] = []
        epoch = self.step // self.batches_an_epoch
        self._embed_descriptions()
        while self.progress < 1:
            done = self.step - epoch * self.batches_an_epoch
            for batch in islice(self._epoch(epoch), max(0, done), None):
                if self.step % (50 if self.step < 300 else 250) == 0:
                    self._embed_descriptions()
                losses.append(self._train(batch))
                self.step += 1
                now = time.monotonic()
                self.spent_s = now - began
                if now - last_report > self.plan.report_s:
                    mean = sum(losses) / len(losses)
                    print(
                        f"{self.spent_s / 60:5.1f} min  step {self.step}  epoch {self.step / self.batches_an_epoch:.2f}"
                        f"  loss {mean:.4f}",
                        flush=True,
                    )
                    last_report, losses = now, []
                if now - last_measure > self.plan.measure_s:
                    self._measure(measure)
                    last_measure = time.monotonic()
                if self.progress >= 1 or (self.folder / "stop").exists():
                    self._measure(measure)
                    return
            epoch += 1
        self._measure(measure)

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the plan's end."""
        if self.plan.minutes:
            return self.spent_s / (60 * self.plan.minutes)
        return self.step / (self.plan.epochs * self.batches_an_epoch)

    def _epoch(self, number: int) -> Iterator[list[int]]:
        dice = random.Random(self.plan.seed * 1000 + number)  # noqa: S311 - an order of texts, guards nothing
        order: list[int] = []
        for index, sample in enumerate(self.samples):
            order += [index] * (int(sample.times) + (dice.random() < sample.times % 1))
        dice.shuffle(order)
        lengths = self.texts.lengths
        some = POOL * 56
        for start in range(0, len(order), some):
            pool = sorted(order[start : start + some], key=lambda i: lengths[i])
            batches: list[list[int]] = [[]]
            for index in pool:
                if (len(batches[-1]) + 1) * lengths[index] > self.plan.batch_tokens:
                    batches.append([])
                batches[-1].append(index)
            dice.shuffle(batches)
            yield from (batch for batch in batches if batch)

    def _train(self, batch: list[int]) -> float:
        self._set_rates()
        self.network.train()
        states, mask = padded(self.texts, batch)
        if self.plan.token_dropout:
            dropped = torch.rand(mask.shape) < self.plan.token_dropout
            dropped[:, 0] = False
            mask = mask & ~dropped
        with torch.autocast("cpu", dtype=torch.bfloat16):
            last, pooled = self.network.encode(states, mask)
            loss = self._loss.of_heads(batch, self.network.logits(pooled, tuple(HEADS)))
            loss = loss + self._aspects_loss(batch, last, mask) + self._topics_loss(batch, pooled)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)
        return float(loss.detach())

    def _set_rates(self) -> None:
        done, warm = self.progress, self.plan.warm_up
        share = min(1.0, (done + 1e-4) / warm, max(0.0, (1 - done) / (1 - warm)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    def _aspects_loss(self, batch: list[int], states: Tensor, mask: Tensor) -> Tensor:
        asked = [(row, sought) for row, i in enumerate(batch) for sought in self.samples[i].aspects]
        if not asked:
            return states.sum() * 0
        rows = torch.tensor([row for row, _ in asked])
        queries = torch.stack([self._query(sought.name) for _, sought in asked])
        logits = self.network.aspects(states, mask, queries, rows, self.network.dropout)
        return of_aspects([sought for _, sought in asked], rows, logits.float(), len(batch))

    def _topics_loss(self, batch: list[int], pooled: Tensor) -> Tensor:
        rows, vectors = self._taught.of(batch)
        return of_topics(self.network.topics(pooled[rows]), vectors, len(batch)) if rows else pooled.sum() * 0

    def _query(self, name: str) -> Tensor:
        """The mean of one to three of a name's descriptions, anew each time: a name alone must do as well."""
        rows = self._described[name]
        some = random.sample(list(rows), min(len(rows), random.choice((1, 1, 2, 3))))  # noqa: S311
        return self._queries[some].mean(dim=0)

    def _embed_descriptions(self) -> None:
        self._queries = embedded(self.network, self._descriptions)

    def _measure(self, measure: Measure) -> None:
        """Measure the averaged weights, keep them when they are the best so far, and write the checkpoint."""
        own = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self.network.load_state_dict(self.average)
        score, figures = measure(self.network)
        listed = "  ".join(f"{name} {value:.1f}" for name, value in figures.items())
        print(f"== step {self.step} score {score:.2f}  {listed}", flush=True)
        if score > self.best:
            self.best = score
            torch.save(self.average, self.folder / "best.pt")
        torch.save(self.average, self.folder / "last.pt")
        self.network.load_state_dict(own)
        state = {"network": own, "average": self.average, "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "spent_s": self.spent_s, "best": self.best}
        write_state(self.folder, state)

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        state = read_state(self.folder)
        if state is None:
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.spent_s, self.best = (
            state["average"],
            state["step"],
            state["spent_s"],
            state["best"],
        )
        return True


def embedded(network: Network, texts: Frozen, batch: int = 64) -> Tensor:
    """The normalised mean states (n, d) of all `texts`, without gradient."""
    network.eval()
    found = torch.zeros(len(texts.lengths), network.aspects.query.in_features)
    order = np.argsort(texts.lengths, kind="stable").tolist()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            found[rows] = network.encode(*padded(texts, rows))[1].float()
    return found

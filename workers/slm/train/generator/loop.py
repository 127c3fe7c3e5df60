"""The training itself: rows of whole prompts, warm-up and decay by wall time, dev losses, checkpoints to go on from."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn

from workers.slm.train.generator.network import Told, answer_losses, row_of, set_weights, weights_of
from workers.slm.train.state import read_state, write_state


@dataclass(frozen=True)
class Plan:
    """`minutes` of wall time, in which the learning rate rises and falls to zero."""

    minutes: float = 50.0
    rate: float = 4e-4
    row_tokens: int = 900
    rows_a_step: int = 1
    warm_up: float = 0.06
    seed: int = 29
    report_s: float = 120.0
    measure_s: float = 720.0


class Trainer:
    """Trains `model` on `told`; `dev` has prompts by task. The folder gets `state.pt` to go on from and `best.pt`, the
    weights of the lowest mean of the tasks' dev losses. `stop` ends the training as if the
    time were up."""

    def __init__(
        self, model: PeftModel, told: Sequence[Told], dev: Mapping[str, Sequence[Told]], plan: Plan, folder: Path
    ) -> None:
        self.model, self.told, self.dev, self.plan, self.folder = model, told, dev, plan, folder
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=plan.rate, weight_decay=0.0)
        self.step, self.spent_s, self.best = 0, 0.0, float("inf")
        self.stopping = False

    def stop(self) -> None:
        """Let `run` end after the step that it is at, with all it needs to go on written down."""
        self.stopping = True

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the plan's end."""
        return self.spent_s / (60 * self.plan.minutes)

    def run(self) -> None:
        """Train to the plan's end or until told to stop."""
        if self.step == 0:
            self._measure()
        began = time.monotonic() - self.spent_s
        reported = measured = time.monotonic()
        losses: list[float] = []
        for rows in self._steps():
            if self.progress >= 1 or self.stopping:
                break
            losses.append(self._train(rows))
            self.step += 1
            now = time.monotonic()
            self.spent_s = now - began
            if now - reported > self.plan.report_s:
                mean = sum(losses) / len(losses)
                share = self.step / self.steps_an_epoch
                print(f"{self.spent_s / 60:5.1f} min  step {self.step}  epoch {share:.2f}  loss {mean:.4f}", flush=True)
                reported, losses = now, []
                self._save()
            if now - measured > self.plan.measure_s:
                self._measure()
                measured = time.monotonic()
        self._measure()

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which each prompt is seen once."""
        return len(self._rows(0)) // self.plan.rows_a_step

    def _steps(self) -> Iterator[list[list[int]]]:
        """The rows of each step from `step` on, epoch after epoch."""
        while True:
            epoch, done = divmod(self.step, self.steps_an_epoch)
            rows = self._rows(epoch)
            for at in range(done, self.steps_an_epoch):
                yield rows[at * self.plan.rows_a_step : (at + 1) * self.plan.rows_a_step]

    def _rows(self, epoch: int) -> list[list[int]]:
        """All prompts in an order of their own each epoch, in rows of at most so many tokens, or of one prompt."""
        dice = random.Random(self.plan.seed * 1000 + epoch)  # noqa: S311 - an order of texts, guards nothing
        order = list(range(len(self.told)))
        dice.shuffle(order)
        return packed(self.told, order, self.plan.row_tokens)

    def _train(self, rows: Sequence[Sequence[int]]) -> float:
        done, warm = self.progress, self.plan.warm_up
        share = min(1.0, (done + 1e-3) / warm, max(0.0, (1 - done) / (1 - warm)))
        self.optimizer.param_groups[0]["lr"] = self.plan.rate * share
        self.model.train()
        made = [row_of([self.told[i] for i in row]).to(self.model.device) for row in rows]
        total, weight = 0.0, sum(float(row.shares.sum()) for row in made)
        for row in made:
            loss = (answer_losses(self.model, row) * row.shares).sum() / weight
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def _measure(self) -> None:
        """Dev losses; the weights are kept when they are the best so far."""
        losses = {task: dev_loss(self.model, told, self.plan.row_tokens) for task, told in self.dev.items()}
        mean = sum(losses.values()) / len(losses)
        listed = "  ".join(f"{task} {loss:.4f}" for task, loss in losses.items())
        print(f"== step {self.step}  dev {mean:.4f}  {listed}", flush=True)
        if mean < self.best:
            self.best = mean
            torch.save(weights_of(self.model), self.folder / "best.pt")
        self._save()

    def _save(self) -> None:
        """All that is needed to go on."""
        state = {"weights": weights_of(self.model), "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "spent_s": self.spent_s, "best": self.best}
        write_state(self.folder, state)

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        state = read_state(self.folder)
        if state is None:
            return False
        set_weights(self.model, state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent_s, self.best = state["step"], state["spent_s"], state["best"]
        return True


def dev_loss(model: PeftModel, told: Sequence[Told], row_tokens: int) -> float:
    """The mean negative log likelihood of a token of the right answers."""
    model.eval()
    with torch.no_grad():
        rows = [row_of([told[i] for i in row]).to(model.device) for row in packed(told, range(len(told)), row_tokens)]
        found = [answer_losses(model, row) for row in rows]
    return float(torch.cat(found).mean())


def packed(told: Sequence[Told], order: Sequence[int], row_tokens: int) -> list[list[int]]:
    """The prompts in rows of at most so many tokens, one that is longer alone."""
    rows: list[list[int]] = []
    used = 0
    for i in order:
        if not rows or used + len(told[i]) > row_tokens:
            rows.append([])
            used = 0
        rows[-1].append(i)
        used += len(told[i])
    return rows

"""Thinking under a budget of tokens, then one label of a closed list.

Budget forcing after Muennighoff et al. 2025 ("s1: Simple test-time scaling"): a model that would stop too early is made to
go on, and at the limit it has to answer. The label is not written but chosen, so it is always one of the list.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workers.errors import UsageError

GO_ON: Final = "\nWait,"
Tokens = Sequence[str]


class Budget(NamedTuple):
    """How many tokens of thinking, at least and at most; 0 is none."""

    least: int
    most: int

    @classmethod
    def parse(cls, argument: str) -> Self:
        """`64`, from half of it to it, or `16-64`. Raises `UsageError`."""
        least, dash, most = argument.strip().partition("-")
        if not least.isdecimal() or (dash and not most.isdecimal()):
            raise UsageError(f"{argument!r} is no budget of thinking tokens; give a number, or two as 16-64")
        found = cls(int(least), int(most)) if dash else cls(int(least) // 2, int(least))
        if found.least > found.most:
            raise UsageError(f"the budget {argument!r} is more at least than at most; turn it round")
        return found

    def __str__(self) -> str:
        return f"{self.least}-{self.most}" if self.most else "0"


class Model(Protocol):
    """What thinking takes of a `workers.slm.generator.Generator`."""

    def tokens(self, text: str) -> list[str]: ...

    def go_on(self, prompts: Sequence[Tokens], new_tokens: int) -> list[list[str]]: ...

    def next_shares(self, prompts: Sequence[Tokens], among: Tokens) -> NDArray[np.float64]: ...


def think(model: Model, prompts: Sequence[Tokens], budget: Budget) -> list[list[str]]:
    """What the model thinks after each prompt, within the budget; the words that made it go on are counted."""
    thoughts: list[list[str]] = [[] for _ in prompts]
    waiting, go_on = list(range(len(prompts))) if budget.most else [], model.tokens(GO_ON)
    while waiting:
        room = budget.most - min(len(thoughts[i]) for i in waiting)
        more = model.go_on([[*prompts[i], *thoughts[i]] for i in waiting], room)
        for i, tokens in zip(waiting, more, strict=True):
            thoughts[i] = [*thoughts[i], *tokens][: budget.most]
        waiting = [i for i in waiting if len(thoughts[i]) < budget.least]
        for i in waiting:
            thoughts[i] = [*thoughts[i], *go_on][: budget.most]
        waiting = [i for i in waiting if len(thoughts[i]) < budget.most]
    return thoughts


def label_shares(model: Model, prompts: Sequence[Tokens], labels: Sequence[str]) -> NDArray[np.float64]:
    """How likely each label is what comes next, if it had to be one of them: natural logarithms, (prompts, labels).
    Labels that begin alike are told apart where they part. Raises `UsageError` for two that are one."""
    spelt = [(*model.tokens(f" {label}"), *model.tokens("\n")) for label in labels]
    if len(set(spelt)) < len(spelt):
        raise UsageError(f"two of the labels {', '.join(labels)} are the same tokens to the model; name them otherwise")
    shares = np.zeros((len(prompts), len(labels)))
    for begun in {tokens[:size] for tokens in spelt for size in range(len(tokens))}:
        there = [i for i, tokens in enumerate(spelt) if tokens[: len(begun)] == begun]
        among = sorted({spelt[i][len(begun)] for i in there})
        if len(among) > 1:
            found = model.next_shares([[*prompt, *begun] for prompt in prompts], among)
            for i in there:
                shares[:, i] += found[:, among.index(spelt[i][len(begun)])]
    return shares

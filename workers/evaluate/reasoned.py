"""Does it pay to let a generator think about the texts that the pack is least sure of? Their labels, and what they cost.

What the generator would say of texts without content is divided out of what it says of each (Zhao et al. 2021): it prefers
a label whatever it reads. Those texts are thought about, too.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from workers.errors import UsageError
from workers.evaluate.answers import Answers
from workers.evaluate.metrics import Labels
from workers.slm.generator import Generator
from workers.slm.reasoning import Budget, label_shares, think

WITHOUT_CONTENT: Final = ("N/A", "[MASK]", "…")
TEXT_TOKENS: Final = 256  # of a longer text, its beginning
ANSWER_TOKENS: Final = 64  # what leads to a label, and the label
SYSTEM: Final = "You are told a text. Think about what it says and how it is meant, then give its {head}: {labels}."
THEN: Final = "\nThe {head} is:"


class Reasoned(NamedTuple):
    """What the generator answers within a budget, the tokens it thought for a text, and the seconds a text took."""

    budget: Budget
    answers: Answers
    tokens: float
    seconds: float


def least_sure(answers: Answers, most: int) -> Labels:
    """Indices of the texts whose label the pack is least sure of, the least sure first; as many as there are, at most."""
    confidence = answers.confidence
    if confidence is None:
        raise ValueError(f"{answers.name} does not say how sure it is")
    return np.argsort(confidence, kind="stable")[:most]


def reasoned(
    generator: Generator,
    name: str,
    head: str,
    texts: Sequence[str],
    labels: Sequence[str],
    budgets: Sequence[Budget],
    said: Callable[[str], None],
) -> list[Reasoned]:
    """The answers of the generator of this name within each budget. Raises `UsageError` when it knows two labels as one."""
    system = SYSTEM.format(head=head, labels=", ".join(labels))
    prompts = _prompts(generator, system, [*texts, *WITHOUT_CONTENT], max(budget.most for budget in budgets))
    then = generator.tokens(THEN.format(head=head))
    found = []
    for budget in budgets:
        said(f"{name} thinks {budget} tokens about {len(texts):,} texts")
        began_s = time.perf_counter()
        thoughts = think(generator, prompts, budget)
        ends = [[*prompt, *thought, *then] for prompt, thought in zip(prompts, thoughts, strict=True)]
        shares = label_shares(generator, ends, labels)
        seconds = (time.perf_counter() - began_s) / len(prompts)
        scores = shares[: len(texts)] - shares[len(texts) :].mean(axis=0)
        sure = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        answers = Answers(f"{name}, {budget}", scores.argmax(axis=1).astype(np.int64), 1 / seconds, sure.max(axis=1))
        found.append(Reasoned(budget, answers, sum(map(len, thoughts[: len(texts)])) / len(texts), seconds))
    return found


def _prompts(generator: Generator, system: str, texts: Sequence[str], most: int) -> list[list[str]]:
    """The conversations up to the answer. Raises `UsageError` when so much thinking does not fit behind them."""
    cut = [generator.beginning(text, TEXT_TOKENS) for text in texts]
    prompts = [generator.conversation([("system", system), ("user", text)]) for text in cut]
    room = generator.shape.context_tokens - max(map(len, prompts)) - ANSWER_TOKENS
    if most > room:
        raise UsageError(f"{most} tokens of thinking do not fit the model's context; ask for {max(0, room)} at most")
    return prompts

"""Fits how `voxpop ask` weighs what speaks for a text: the question's words, its aspects, its topic.

    VOXPOP_CLICKHOUSE__PORT=… python -m workers.evaluate.relevance tests/questions.yaml

Reads the texts that ClickHouse has, for tests/questions.yaml those of the sample stream (`voxpop up` prints the port). A
logistic regression, whose bias is then the largest at which at most one question that no text answers would be answered.
Prints what the weights in use find and what fitted ones would, also when each question is judged by weights that were fitted
on the others: with some thirty questions only the latter tells what to expect of another.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from workers.analyze.answer import LEAST_TEXTS, LIKELY, SURE
from workers.analyze.question import read_question
from workers.analyze.relevance import BIAS, WEIGHTS
from workers.ask import Asker, open_asker
from workers.bench.rounds import markdown
from workers.errors import UsageError, VoxpopError
from workers.settings import load_settings
from workers.slm.fitting.logistic import fit_binary
from workers.store.connect import connect
from workers.store.nearest import Among, NearestTexts
from workers.store.query import Reader

Array = NDArray[np.float64]
C = 1.0  # of the regression: what a penalty is divided by
MOST_WRONGLY = 1
TEN = 10


class Asked(NamedTuple):
    """A question's nearest texts: `evidence` (n, 3) of each, whether it `answers` (n,); `there` is how many do, found or
    not, none for a question that no text answers."""

    evidence: Array
    answers: NDArray[np.bool_]
    there: int


class Weights(NamedTuple):
    """Of the evidence (3,), and the bias."""

    of: Array
    bias: float

    def likely(self, asked: Asked) -> Array:
        """P(answers) of each text, (n,)."""
        found: Array = 1 / (1 + np.exp(-(asked.evidence @ self.of + self.bias)))
        return found


class Figures(NamedTuple):
    """`recall`: the share of all answering texts among their question's first ten. `answered` of the questions that texts
    answer, and `wrongly` of the others, have enough likely texts; `precision`: the share of those texts that do answer, the
    mean over the questions rightly answered, 0 without one."""

    recall: float
    answered: int
    wrongly: int
    precision: float


def read_asked(file: Path, asker: Asker, store: NearestTexts) -> list[Asked]:
    """Every question of the file beside its nearest texts. Raises `UsageError` when no text answers any of them."""
    products, found = store.products(), []
    for text, answers in _listed(file):
        question = read_question(text, products)
        nearest = asker.nearest(question, Among(products=question.products), store)
        right = np.array([near.event_id in answers for near in nearest.texts], bool)
        found.append(Asked(asker.evidence(question, nearest).astype(float), right, len(answers)))
    if not any(asked.answers.any() for asked in found):
        raise UsageError(f"no text in ClickHouse answers a question of {file}; send the texts that it names first")
    return found


def _listed(file: Path) -> list[tuple[str, set[str]]]:
    """(question, ids of the events that answer) of a file."""
    try:
        listed: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        pairs = [(str(each["question"]), set(map(str, each["answers"]))) for each in listed["questions"]]
        return [*pairs, *((str(text), set()) for text in listed.get("none", ()))]
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}); give a file as tests/questions.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file} does not list questions and answers; write it as tests/questions.yaml") from error


def fitted(asked: Sequence[Asked]) -> Weights:
    """The weights that make the answers likeliest, with a bias that lets at most one question be answered wrongly."""
    evidence = np.concatenate([each.evidence for each in asked])
    layer = fit_binary(evidence, np.concatenate([each.answers for each in asked]), C)
    weights = Weights(layer.weight[0], float(layer.bias[0]))
    return _cautious(weights, [each for each in asked if not each.there])


def _cautious(weights: Weights, unanswerable: Sequence[Asked]) -> Weights:
    """With the largest bias, in steps of a hundredth and at most three away, at which few enough of the unanswerable are
    answered; as they are where there is no unanswerable one."""
    for bias in np.arange(weights.bias + 3, weights.bias - 3, -0.01) if unanswerable else ():
        shifted = Weights(weights.of, round(float(bias), 2))
        if sum(map(_is_answered, map(shifted.likely, unanswerable))) <= MOST_WRONGLY:
            return shifted
    return weights


def _is_answered(likely: Array) -> bool:
    return bool((likely >= LIKELY).sum() >= LEAST_TEXTS and likely.max() >= SURE)


def figures(asked: Sequence[Asked], likely: Sequence[Array]) -> Figures:
    """What weights that find texts so `likely` do."""
    first = [each.answers[np.argsort(-p, kind="stable")[:TEN]].sum() for each, p in zip(asked, likely, strict=True)]
    said = [each for each in zip(asked, likely, strict=True) if _is_answered(each[1])]
    right = [each.answers[p >= LIKELY].mean() for each, p in said if each.there]
    return Figures(
        round(float(sum(first) / sum(each.there for each in asked)), 3),
        len(right),
        len(said) - len(right),
        round(float(np.mean(right)), 3) if right else 0.0,
    )


def compared(asked: Sequence[Asked]) -> dict[str, tuple[Weights, Figures]]:
    """By what: the weights and what they find. Those of the last row are the means of the questions' own."""
    used = Weights(np.array(WEIGHTS), BIAS)
    of_all = fitted(asked)
    of_others = [fitted([*asked[:i], *asked[i + 1 :]]) for i in range(len(asked))]
    mean = Weights(np.mean([w.of for w in of_others], axis=0), float(np.mean([w.bias for w in of_others])))
    return {
        "in use": (used, figures(asked, [used.likely(each) for each in asked])),
        "fitted on these": (of_all, figures(asked, [of_all.likely(each) for each in asked])),
        "fitted on the others": (
            mean,
            figures(asked, [w.likely(each) for w, each in zip(of_others, asked, strict=True)]),
        ),
    }


def table(rows: dict[str, tuple[Weights, Figures]], asked: Sequence[Asked]) -> str:
    """Markdown."""
    answerable = sum(each.there > 0 for each in asked)
    head = ["weights", "words · aspects · topic", "bias", f"recall@{TEN}", f"answered of {answerable}"]
    head += [f"wrongly of {len(asked) - answerable}", "of its texts right"]
    lines = [
        [
            name,
            " · ".join(f"{weight:.2f}" for weight in weights.of),
            f"{weights.bias:.2f}",
            f"{found.recall:.3f}",
            str(found.answered),
            str(found.wrongly),
            f"{found.precision:.3f}",
        ]
        for name, (weights, found) in rows.items()
    ]
    return markdown(head, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m workers.evaluate.relevance", description=main.__doc__)
    parser.add_argument(
        "file", type=Path, help="questions and the ids of the events that answer, as tests/questions.yaml"
    )
    file: Path = parser.parse_args(arguments).file
    try:
        _listed(file)
        settings = load_settings()
        with connect(settings.clickhouse) as client, open_asker(settings) as asker:
            asked = read_asked(file, asker, NearestTexts(Reader(client, settings.clickhouse)))
    except VoxpopError as error:
        parser.error(str(error))
    print(table(compared(asked), asked))


if __name__ == "__main__":
    main()

"""What a user would take instead of the pack, each on the same texts in the same run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from workers.errors import VoxpopError
from workers.evaluate.answers import Answers
from workers.evaluate.labelled import LabelledTexts
from workers.settings import Settings


class Unfit(VoxpopError):
    """A rival cannot take part here. The evaluation goes on without it, and says why."""


@dataclass(frozen=True)
class Contest:
    """What all rivals answer: `texts`, each with one of the `labels` of `head`. `train` is what may be learnt from."""

    settings: Settings
    head: str
    texts: Sequence[str]
    labels: tuple[str, ...]
    train: LabelledTexts | None
    said: Callable[[str], None]

    def training(self) -> LabelledTexts:
        """The texts to learn from. Raises `Unfit` when there are none, or of one label only."""
        if self.train is None:
            raise Unfit("it learns from labelled texts; give some: --train FILE")
        if len(set(self.train.gold.tolist())) < 2:
            raise Unfit("the texts of --train bear one label only; give some of every label")
        return self.train


# Name on the command line -> the module whose `answer(contest)` gives `Answers` or raises `Unfit`.
MODULES: Mapping[str, str] = {
    "vader": "workers.evaluate.rivals.vader",
    "tfidf": "workers.evaluate.rivals.tfidf",
    "minilm": "workers.evaluate.rivals.minilm",
    "smollm2": "workers.evaluate.rivals.smollm2",
}
EXTRAS = {"vaderSentiment": "eval", "sklearn": "train"}


def rival_answers(name: str, contest: Contest) -> Answers:
    """What the rival of that name answers. Raises `Unfit` with the mend when it cannot, its package missing included."""
    try:
        answer: Callable[[Contest], Answers] = import_module(MODULES[name]).answer
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        raise Unfit(f"the package {package} is missing; run: pip install -e '.[{EXTRAS[package]}]'") from error
    return answer(contest)

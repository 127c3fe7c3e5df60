"""`python -m workers.evaluate.summaries --data DIR`: ROUGE of the ways to summarize on FewSum's groups of reviews.

ROUGE-1, -2 and -L, F1 with stemming, averaged over each group's references: as FewSum's table (Bražinskas et al. 2020), by
the same library. Needs `pip install -e '.[eval]'`. The reviews are read as they are: nothing in them is redacted.
"""

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from workers.analyze.author import GeneratingAuthor
from workers.analyze.summary import Summarizer, Summary
from workers.analyze.support import Reader
from workers.errors import UsageError
from workers.settings import Settings, load_settings
from workers.slm.build import ensure_pack

FILES = ("fewsum_amazon_train", "fewsum_amazon_dev", "fewsum_yelp_train", "fewsum_yelp_dev")
MEASURES = ("rouge1", "rouge2", "rougeL")


class Group(NamedTuple):
    """Reviews of one product, and what people wrote of them."""

    reviews: list[str]
    references: list[str]


class Outcome(NamedTuple):
    """What came of one file: ROUGE in percent, groups a second, how many sentences failed which guardrail, and how many of
    those in the summaries are no quotations."""

    rouge: dict[str, float]
    groups_per_s: float
    refused: Counter[str]
    new: int


class _Silent:
    """An author that says nothing, so that everything is quoted."""

    prompt = ""

    def write(self, texts: Sequence[str], language: str) -> list[str]:
        return []


class _Counting:
    """An author, and how many sentences it has written."""

    def __init__(self, author: GeneratingAuthor) -> None:
        self._author, self.prompt, self.written = author, author.prompt, 0

    def write(self, texts: Sequence[str], language: str) -> list[str]:
        sentences = self._author.write(texts, language)
        self.written += len(sentences)
        return sentences


class Way(NamedTuple):
    """How a group's reviews are summarized, and by which author when there is one."""

    summarize: Callable[[list[str]], Summary | str]
    author: _Counting | None = None


def groups(file: Path) -> list[Group]:
    """The groups of a FewSum file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [Group(row["reviews"], row["summaries"]) for row in rows]


def rouge(given: Sequence[Group], texts: Sequence[str]) -> dict[str, float]:
    """Means over the groups of the means over their references, in percent. Raises `UsageError` without the library."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UsageError("ROUGE needs the package rouge-score: pip install -e '.[eval]'") from error
    scorer = RougeScorer(list(MEASURES), use_stemmer=True)
    sums = dict.fromkeys(MEASURES, 0.0)
    for group, text in zip(given, texts, strict=True):
        scored = [scorer.score(reference, text) for reference in group.references]
        for name in MEASURES:
            sums[name] += sum(each[name].fmeasure for each in scored) / len(scored)
    return {name: 100 * total / len(given) for name, total in sums.items()}


def measured(given: Sequence[Group], summarize: Callable[[list[str]], Summary | str]) -> Outcome:
    """What a way to summarize makes of the groups."""
    began_s = time.perf_counter()
    made = [summarize(group.reviews) for group in given]
    taken_s = time.perf_counter() - began_s
    refused: Counter[str] = Counter()
    new = 0
    for each in made:
        if isinstance(each, Summary):
            refused.update(each.refused)
            new += sum(not sentence.quoted for sentence in each.sentences)
    texts = [each.text if isinstance(each, Summary) else each for each in made]
    return Outcome(rouge(given, texts), len(given) / taken_s, refused, new)


def ways(settings: Settings, generators: Sequence[str], stack: ExitStack) -> dict[str, Way]:
    """Name -> how it summarizes a group's reviews."""
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir)
    reader = Reader(stack.enter_context(pack.encoder(settings.model.replicas)), pack.heads)
    found = {
        "composed and quoted": Way(Summarizer(reader).summarize),
        "quoted only": Way(Summarizer(reader, _Silent()).summarize),
    }
    for generator in generators:
        decoder = ensure_pack(generator, settings.packs_dir, settings.cache_dir)
        loaded = stack.enter_context(decoder.generator(settings.model.replicas))
        author = _Counting(GeneratingAuthor(loaded, decoder.name, decoder.version))
        found[f"{generator}, guarded"] = Way(Summarizer(reader, author).summarize, author)
        found[f"{generator}, unchecked"] = Way(partial(_unchecked, author))
    return found


def _unchecked(author: _Counting, reviews: list[str]) -> str:
    return " ".join(author.write(reviews, "en"))


def main() -> None:
    """Prints a table: each way on each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of fewsum_….jsonl.gz")
    parser.add_argument("--files", nargs="+", default=FILES, help="their names without ending")
    parser.add_argument("--generator", nargs="+", default=[], help="decoder packs to set beside: smollm2-135m-voxpop")
    arguments = parser.parse_args()
    table = Table("File", "Way", "R1", "R2", "RL", "groups/s", "passed", "refused sentences")
    with ExitStack() as stack:
        for name, way in ways(load_settings(), arguments.generator, stack).items():
            for file in arguments.files:
                before = way.author.written if way.author else 0
                outcome = measured(groups(arguments.data / f"{file}.jsonl.gz"), way.summarize)
                passed = f"{outcome.new} of {way.author.written - before}" if way.author else ""
                figures = [f"{outcome.rouge[measure]:.1f}" for measure in MEASURES]
                refused = ", ".join(f"{why} {count}" for why, count in outcome.refused.most_common())
                table.add_row(file, name, *figures, f"{outcome.groups_per_s:.2f}", passed, refused)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()

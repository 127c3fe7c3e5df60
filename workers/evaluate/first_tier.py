"""`python -m workers.evaluate.first_tier --data DIR`: what a tiny model before the encoder could answer, and at what loss.

Hashed groups of letters and words, and a ridge regression on the encoder's own logits (Hinton et al. 2015) over unlabelled
texts. It may answer a text only where it is sure of all that a row says, and that no aspect is mentioned: it finds none. How
sure it has to be is fitted on every other dev text; what that brings is measured on the rest. Needs the extra `train`.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union

from schemas.taxonomy import load_taxonomy
from workers.analyze.aspects import aspect_finder
from workers.analyze.sentences import split_clauses
from workers.bench.rounds import markdown
from workers.evaluate.svg import Line, line_chart
from workers.settings import load_settings
from workers.slm.build import ensure_built
from workers.slm.encoder import TokenStates, normalised
from workers.slm.heads import Heads
from workers.slm.packs import Pack
from workers.slm.train import corpora
from workers.slm.train.fit import macro_recall

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
FEATURES = 1 << 17  # of letters, and as many of words
ALPHA, MOST_STEPS = 1.0, 60
ASPECTS = "no aspects"
SENTIMENTS = ("negative", "neutral", "positive")
BUDGET = 0.005  # of the texts, or of a figure
STYLE = """<style>
:root{color-scheme:light dark;--ink:#131312;--quiet:#5c5b57;--edge:#e2e1dc;--c0:#2a78d6;--c1:#d9591f;--c2:#148a60}
@media(prefers-color-scheme:dark){:root{--ink:#f4f4f1;--quiet:#b3b2ab;--edge:#383835}}
svg{font:12.5px system-ui,sans-serif}text{fill:var(--ink)}.quiet{fill:var(--quiet)}.end{text-anchor:end}
.middle{text-anchor:middle}.grid{stroke:var(--edge)}.line{fill:none;stroke-width:2}
</style>"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"'
WORDS = r"\w+|[^\w\s]"


class Judged(NamedTuple):
    """What the full model says of n texts: each head's logits (n, labels), and whether it finds no aspect (n,)."""

    logits: dict[str, Array]
    bare: Mask

    @property
    def targets(self) -> Array:
        """(n, outputs): the logits side by side, then 2 where there is an aspect and -2 where there is none."""
        return np.concatenate([*self.logits.values(), np.where(self.bare, -2, 2)[:, None]], axis=1).astype(np.float32)


class Sureness(NamedTuple):
    """Of one head on n texts: whether the tiny model says `same` as the full one, and how likely (n,) it thinks it does."""

    same: Mask
    likely: NDArray[np.float64]


class Coverage(NamedTuple):
    """The texts answered when the heads have to be sure enough; shares of 1, losses in points, on the half not fitted on."""

    answered: float
    recall_loss: float
    accuracy_loss: float
    unlike: dict[str, float]


def judged(pack: Pack, texts: Sequence[str], replicas: int | None) -> Judged:
    """By the pack, in one pass, as the worker does it."""
    heads = pack.heads
    with pack.encoder(replicas) as encoder:
        finder = aspect_finder(load_taxonomy(), encoder, heads, pack.name)
        clauses = [split_clauses(text) for text in texts]

        def look(indices: Sequence[int], tokens: Sequence[TokenStates]) -> list[tuple[Array, object]]:
            spans = [[(span.start, span.end) for span in clauses[i]] for i in indices]
            readings = finder.read_all([texts[i] for i in indices], tokens, spans, None)
            return [(each.pooled, reading) for each, reading in zip(tokens, readings, strict=True)]

        seen = encoder.reduce_batches(texts, look)
    pooled = normalised(np.stack([vector for vector, _ in seen]))
    sentiment = heads.probabilities("sentiment", pooled)
    found = [finder.mentions(None, clauses[i], reading, sentiment[i]) for i, (_, reading) in enumerate(seen)]
    return Judged({name: heads.logits(name, pooled) for name in heads.cards}, np.array([not each for each in found]))


class FirstTier:
    """The tiny model."""

    def __init__(self, texts: Sequence[str], truth: Judged) -> None:
        counted = {"n_features": FEATURES, "norm": None, "alternate_sign": False, "dtype": np.float32}
        letters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), **counted)
        words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=WORDS, **counted)
        self._features = make_union(
            *(make_pipeline(each, TfidfTransformer(sublinear_tf=True)) for each in (letters, words))
        )
        self._ridge = Ridge(alpha=ALPHA, solver="sparse_cg", tol=1e-3, max_iter=MOST_STEPS, fit_intercept=False)
        targets = truth.targets
        self._middle = targets.mean(axis=0)
        self._ridge.fit(self._features.fit_transform(texts), targets - self._middle)

    def __call__(self, texts: Sequence[str]) -> Array:
        """(n, outputs), as `Judged.targets`."""
        guessed: Array = self._features.transform(texts) @ self._ridge.coef_.T.astype(np.float32) + self._middle
        return guessed


def sureness(heads: Heads, guess: Array, truth: Judged, fitted: Mask) -> dict[str, Sureness]:
    """By head, and of there being no aspect; calibrated by the distance to the next other answer on the texts `fitted`."""
    found, first = {}, 0
    for name, logits in truth.logits.items():
        said, margin = _given(heads, name, guess[:, first : first + logits.shape[1]])
        expected, _ = _given(heads, name, logits)
        found[name] = _calibrated((said == expected).all(axis=1), margin, fitted)
        first += logits.shape[1]
    return found | {ASPECTS: _calibrated(truth.bare, -guess[:, -1], fitted)}


def _given(heads: Heads, name: str, logits: Array) -> tuple[Mask, Array]:
    """Which labels are given (n, labels), and how far each text is from being given others (n,)."""
    card = heads.cards[name]
    cuts = np.array([card.thresholds.get(x, 0.5 if card.kind == "sigmoid" else 0.0) for x in card.labels], np.float32)
    tempered = logits / np.float32(card.temperature)
    if card.kind == "sigmoid":
        distance = tempered - np.log(cuts / (1 - cuts))
        return distance >= 0, np.abs(distance).min(axis=1)
    powers = np.exp(tempered - tempered.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    best, ordered = shares.argmax(axis=1), np.sort(shares, axis=1)
    given = (np.arange(shares.shape[1]) == best[:, None]) & (shares >= cuts)
    to_cut = ordered[:, -1] - cuts[best]
    return given, np.where(to_cut < 0, -to_cut, np.minimum(to_cut, ordered[:, -1] - ordered[:, -2]))


def _calibrated(same: Mask, margin: Array, fitted: Mask) -> Sureness:
    x = np.stack([margin, np.sign(margin) * np.sqrt(np.abs(margin))], axis=1)
    return Sureness(same, LogisticRegression(C=10).fit(x[fitted], same[fitted]).predict_proba(x)[:, 1])


class Dev:
    """The dev texts: what people say of their sentiment (-1: nothing), what both models say, and which half fits."""

    def __init__(self, gold: NDArray[np.int64], full: NDArray[np.int64], tiny: NDArray[np.int64], fitted: Mask) -> None:
        self._gold, self._full, self._tiny, self.fitted = gold, full, tiny, fitted

    def coverage(self, heads: dict[str, Sureness], budget: float) -> Coverage:
        """As many texts as may be answered so that, on the half that fits, no figure loses more than `budget`: recall and
        accuracy of sentiment, and for each other head the share of texts that say other than the full model."""
        sure = np.sum([np.log(each.likely) for each in heads.values()], axis=0)
        kept = np.zeros(len(sure), bool)
        for cut in np.quantile(sure[self.fitted], np.linspace(1, 0, 401)):
            answered = sure >= cut
            if self._worst(heads, answered, self.fitted) > budget:
                break
            kept = answered
        rest = ~self.fitted
        recall, accuracy = self._losses(kept, rest)
        unlike = {name: 100 * float((kept & ~each.same)[rest].mean()) for name, each in heads.items()}
        return Coverage(float(kept[rest].mean()), 100 * recall, 100 * accuracy, unlike)

    def _worst(self, heads: dict[str, Sureness], answered: Mask, part: Mask) -> float:
        unlike = [float((answered & ~h.same)[part].mean()) for name, h in heads.items() if name != "sentiment"]
        return max(*self._losses(answered, part), *unlike)

    def _losses(self, answered: Mask, part: Mask) -> tuple[float, float]:
        """Of macro recall and of accuracy against what people say, shares of 1."""
        seen = part & (self._gold >= 0)
        gold, full = self._gold[seen], self._full[seen]
        mixed = np.where(answered, self._tiny, self._full)[seen]
        recall = (macro_recall(gold, full) - macro_recall(gold, mixed)) / 100
        return recall, float((full == gold).mean() - (mixed == gold).mean())


def chart(ways: dict[str, dict[str, Sureness]], rest: Mask) -> str:
    """How many rows stay as the full model has them, by how many the tiny model answers, as a picture of its own."""
    lines = []
    for colour, (name, heads) in enumerate(ways.items()):
        sure = np.sum([np.log(each.likely) for each in heads.values()], axis=0)[rest]
        same = np.all([each.same for each in heads.values()], axis=0)[rest][np.argsort(-sure)]
        right = 1 - np.cumsum(~same) / len(same)
        shares = np.arange(1, len(same) + 1) / len(same)
        points = [(float(shares[i]), float(right[i]), "") for i in range(0, len(same), max(1, len(same) // 100))]
        lines.append(Line(name, [point for point in points if point[1] >= 0.9], colour, dots=False))
    drawn = line_chart(lines, "texts answered by the tiny model", "rows as the full model has them", floor=0.9)
    opening, inside = drawn.split(">", 1)
    return f"{opening.replace('<svg', SVG, 1)}>{STYLE}{inside}\n"


def main() -> None:
    """Prints coverage and losses, and draws the trade."""
    parser = argparse.ArgumentParser(prog="python -m workers.evaluate.first_tier", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--texts", type=int, default=24_000, help="train texts to learn from")
    parser.add_argument("--chart", type=Path, help="an SVG file to draw")
    arguments = parser.parse_args()
    settings = load_settings()
    pack = ensure_built(settings.model.pack, settings.packs_dir, settings.cache_dir)
    train, dev = texts_of(arguments.data, arguments.texts)
    full = judged(pack, [example.text for example in dev], settings.model.replicas)
    tier = FirstTier(train, judged(pack, train, settings.model.replicas))
    started = time.perf_counter()
    guess = tier([example.text for example in dev])
    speed = len(dev) / (time.perf_counter() - started)
    fitted: Mask = np.arange(len(dev)) % 2 == 0
    heads = sureness(pack.heads, guess, full, fitted)
    gold = np.array([SENTIMENTS.index(str(e.label)) if e.label in SENTIMENTS else -1 for e in dev])
    columns = next(at for at, name in enumerate(pack.heads.cards) if name == "sentiment")
    first = sum(len(card.labels) for card in list(pack.heads.cards.values())[:columns])
    told = Dev(gold, full.logits["sentiment"].argmax(axis=1), guess[:, first : first + 3].argmax(axis=1), fitted)
    ways = {
        "sentiment alone": {"sentiment": heads["sentiment"]},
        "sentiment, and no aspects": {name: heads[name] for name in ("sentiment", ASPECTS)},
        "all that a row says": heads,
    }
    rows = []
    for name, needed in ways.items():
        for budget in (BUDGET, 2 * BUDGET):
            found = told.coverage(needed, budget)
            worst = max(found.unlike, key=found.unlike.__getitem__)
            losses = [f"{loss:.2f}" for loss in (found.recall_loss, found.accuracy_loss)]
            rows.append([name, f"{100 * budget:.1f}", f"{100 * found.answered:.1f} %", *losses])
            rows[-1].append(f"{worst} {found.unlike[worst]:.2f} %")
    print(markdown(["sure of", "points allowed", "answered", "recall lost", "accuracy lost", "most unlike"], rows))
    print(
        f"\n{len(train):,} texts learnt from; {speed:,.0f} texts/s; no aspects in {100 * full.bare.mean():.1f} % of dev"
    )
    if arguments.chart:
        arguments.chart.write_text(chart(ways, ~fitted), encoding="utf-8")


def texts_of(data: Path, most: int) -> tuple[list[str], list[corpora.Example]]:
    """Train texts without labels, no two alike and none of dev; and all dev texts."""
    languages = tuple(corpora.LANGUAGES)
    sets = ("tweet_emotion", "tweet_offensive", "tweet_irony")
    train, dev = (
        corpora.sentiment(data, part, languages) + [e for name in sets for e in corpora.labelled(data, name, part)]
        for part in ("train", "dev")
    )
    texts = list(dict.fromkeys(example.text for example in corpora.apart(train, dev)))
    random.Random(0).shuffle(texts)  # noqa: S311 - repeatable on purpose
    return texts[:most], dev


if __name__ == "__main__":
    main()

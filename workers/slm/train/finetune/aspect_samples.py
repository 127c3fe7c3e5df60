"""All that is known of aspects in texts, absent ones above all: what the aspect attention learns from."""

import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from schemas.taxonomy import Taxonomy
from workers.slm.train import corpora
from workers.slm.train.finetune import aspect_words, samples
from workers.slm.train.finetune.composed import composed
from workers.slm.train.finetune.samples import Sample, Sought

TUNE_EVERY = 3  # of the sample stream's first half: left to fit the threshold on
COMPOSED = 6_000
TIMES = {"mams": 1.5, "sample_stream": 6.0, "composed": 1.0}
# What reviews of gadgets speak of, each by words of its own: not named, it is not there.
GADGETS = tuple(aspect_words.TERMS)


def aspect_samples(data: Path, taxonomy: Taxonomy, languages: Collection[str]) -> list[Sample]:
    """The same list every time."""
    dice = random.Random(23)  # noqa: S311 - chooses training texts, guards nothing
    found = [
        *_with_absent(samples.mams(data, dice), "meals", (), dice),
        *_with_absent(samples.restaurants(data, dice), "meals", (), dice),
        *_with_absent((s for s in samples.laptops(data, dice) if s.aspects), "gadgets", GADGETS, dice),
        *(s for i, s in enumerate(samples.stream(taxonomy, languages)) if i % TUNE_EVERY),
        *_composed(taxonomy),
        *_airline(data, dice),
        *_amazon(data, dice),
    ]
    return [replace(sample, times=TIMES.get(sample.domain, 1.0)) for sample in found]


def _with_absent(
    some: Iterator[Sample], field: str, possible: tuple[str, ...], dice: random.Random
) -> Iterator[Sample]:
    """The same with more that the texts do not speak of: aspects of other trades, and of their own when `possible` ones
    would have been named."""
    for sample in some:
        named = {sought.name for sought in sample.aspects} | set(aspect_words.aspects_named(sample.text))
        absent = [*dice.sample(aspect_words.FOREIGN[field], 3), *(name for name in possible if name not in named)]
        more = tuple(Sought(name, 0) for name in absent if name not in named)
        yield replace(sample, aspects=(*sample.aspects, *more))


def _composed(taxonomy: Taxonomy) -> Iterator[Sample]:
    names = [aspect.name for aspect in taxonomy.aspects]
    for text, said in composed(COMPOSED, seed=29):
        yield Sample(text, "composed", aspects=samples.asked(said, names))


def _airline(data: Path, dice: random.Random) -> Iterator[Sample]:
    clear = ("punctuality", "baggage", "booking")
    for row in corpora.split(data, "airline_train", "train"):
        name = aspect_words.REASONS.get(row["reason"] or "")
        if name is None or row["reason_confidence"] < 0.65:
            continue
        absent = [*dice.sample(aspect_words.FOREIGN["flights"], 3), *(c for c in clear if c != name)]
        known = (Sought(name, 1, 0), *(Sought(n, 0) for n in absent))
        yield Sample(corpora.plain(row["text"], row["product"]), "airline", aspects=known)


def _amazon(data: Path, dice: random.Random) -> Iterator[Sample]:
    for row in corpora.split(data, "amazon_devices_train", "train"):
        named = aspect_words.aspects_named(row["text"])
        if not named:
            continue
        absent = [*dice.sample(aspect_words.FOREIGN["gadgets"], 2), *(n for n in aspect_words.PLAIN if n not in named)]
        known = (*(Sought(n, 1) for n in named), *(Sought(n, 0) for n in absent))
        yield Sample(corpora.plain(row["text"]), "amazon_devices", aspects=known)

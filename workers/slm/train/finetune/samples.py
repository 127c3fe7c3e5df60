"""Everything the encoder learns from, as one list: each text with all labels that are known of it."""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from schemas.samples import gold_labels, sample_messages
from schemas.taxonomy import Taxonomy
from workers.slm.train import corpora, silver
from workers.slm.train.finetune import aspect_words
from workers.slm.train.finetune.composed import composed

SENTIMENTS = ("negative", "neutral", "positive")
EMOTIONS = ("anger", "joy", "optimism", "sadness")
INTENTS = ("complaint", "praise", "question", "suggestion")
ACCURACY_DOMAINS = (
    "airline",
    "sentences",
    "sample_stream",
    "composed",
)  # judged by accuracy: their labels keep their shares
MOST_WEIGHT = 6.0


@dataclass(frozen=True, slots=True)
class Sought:
    """One aspect asked of a text: `present` 1, 0, or None when not known; `polarity` an index of SENTIMENTS or None."""

    name: str
    present: int | None
    polarity: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, where it comes from, its labels by head (absent: not known), their weights, and the aspects asked of it.

    `times` is how often an epoch shows it.
    """

    text: str
    domain: str
    labels: Mapping[str, object] = field(default_factory=dict)
    weight: float = 1.0
    aspects: tuple[Sought, ...] = ()
    times: float = 1.0


def training_samples(data: Path, taxonomy: Taxonomy, languages: Collection[str]) -> list[Sample]:
    """All training texts, none of which is a dev text too. The same list every time."""
    found = _sentiment(data, languages)
    found += _labelled(data, "tweet_emotion", "emotion", EMOTIONS.index, times=3.0)
    found += _labelled(data, "tweet_offensive", "toxicity", lambda label: int(label == "offensive"), times=1.5)
    found += _labelled(data, "tweet_irony", "irony", lambda label: int(label == "irony"), times=1.0)
    dice = random.Random(5)  # noqa: S311 - chooses training texts, guards nothing
    found += [
        *mams(data, dice),
        *restaurants(data, dice),
        *laptops(data, dice),
        *stream(taxonomy, languages),
        *_composed(taxonomy, dice),
    ]
    return found


def aspect_texts(taxonomy: Taxonomy, samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """What each aspect name is described by: the taxonomy's titles and sentences, or the name itself."""
    names = sorted({sought.name for sample in samples for sought in sample.aspects})
    described = {a.name: (a.name.replace("_", " "), *a.title.values(), *a.sentences()) for a in taxonomy.aspects}
    return described | {name: (name.replace("_", " "),) for name in names if name not in described}


def _sentiment(data: Path, languages: Collection[str]) -> list[Sample]:
    train, dev = (corpora.sentiment(data, part, languages) for part in ("train", "dev"))
    train = corpora.apart(train, dev)
    titles = {r["text"][:200]: r["title"] for r in corpora.rows(data, "amazon_devices_train")}
    reasons = {
        corpora.plain(r["text"], r["product"]): r["reason"]
        for r in corpora.rows(data, "airline_train")
        if r["reason"] and r["reason_confidence"] >= 0.6
    }
    counts = Counter((e.domain, e.label) for e in train)
    totals = Counter(e.domain for e in train)
    dice = random.Random(7)  # noqa: S311
    samples = []
    for example in train:
        label = SENTIMENTS.index(str(example.label))
        weight = totals[example.domain] / (3 * counts[example.domain, example.label])
        if example.domain in ACCURACY_DOMAINS:
            weight = 1.0
        sample = Sample(
            example.text,
            example.domain,
            _of_sentiment(example.text, label),
            min(weight, MOST_WEIGHT),
            times=3.0 if example.domain.startswith("xlmt") else 1.0,
        )
        if example.domain == "airline":
            sample = replace(sample, aspects=_of_reason(reasons.get(example.text), dice))
        if example.domain == "amazon_devices":
            sample = replace(sample, aspects=_of_gadget(example.text, dice))
            title = titles.get(example.text[:200])
            if title:
                samples.append(replace(sample, text=f"{title}\n{example.text}"))
        samples.append(sample)
    return [*samples, *_strung_together(samples, dice)]


def _of_sentiment(text: str, label: int) -> dict[str, object]:
    name = SENTIMENTS[label]
    named = silver.intents(text, name)
    return {
        "sentiment": label,
        "intents": [int(i in named) for i in INTENTS],
        "urgency": int(silver.urgent(text, name)),
    }


def _strung_together(samples: Sequence[Sample], dice: random.Random) -> Iterator[Sample]:
    """Long texts in every language: three to seven posts of one sentiment, now and then with a neutral one between."""
    for domain in sorted({s.domain for s in samples if s.domain.startswith("xlmt")}):
        for label in (0, 2):
            pool = [s.text for s in samples if s.domain == domain and s.labels["sentiment"] == label]
            calm = [s.text for s in samples if s.domain == domain and s.labels["sentiment"] == 1]
            if len(pool) < 6:
                continue
            for _ in range(400 if domain == "xlmt_spanish" else 150):
                parts = dice.sample(pool, dice.randint(3, 6)) + (
                    dice.sample(calm, 1) if calm and dice.random() < 0.4 else []
                )
                dice.shuffle(parts)
                yield Sample(" ".join(parts), f"long_{domain}", {"sentiment": label})


def _of_reason(reason: str | None, dice: random.Random) -> tuple[Sought, ...]:
    foreign = tuple(Sought(name, 0) for name in dice.sample(aspect_words.FOREIGN["flights"], 1))
    name = aspect_words.REASONS.get(reason or "")
    return (Sought(name, 1, 0), *foreign) if name else ()


def _of_gadget(text: str, dice: random.Random) -> tuple[Sought, ...]:
    named = tuple(Sought(name, 1) for name in aspect_words.aspects_named(text))
    return (*named, *(Sought(name, 0) for name in dice.sample(aspect_words.FOREIGN["gadgets"], 1)))


def _labelled(data: Path, name: str, head: str, index: object, times: float) -> list[Sample]:
    train, dev = (corpora.labelled(data, name, part, 12_000) for part in ("train", "dev"))
    return [Sample(e.text, name, {head: index(str(e.label))}, times=times) for e in corpora.apart(train, dev)]  # type: ignore[operator]


def _whole(polarities: Collection[str]) -> dict[str, object]:
    """The sentiment of a sentence whose aspects all agree."""
    only = set(polarities)
    return {"sentiment": SENTIMENTS.index(only.pop())} if len(only) == 1 and "conflict" not in only else {}


def asked(pairs: Mapping[str, str], names: Sequence[str]) -> tuple[Sought, ...]:
    """What `pairs` (aspect -> sentiment) say, and that the other `names` are absent. A conflict has no polarity."""
    known = [Sought(n, 1, SENTIMENTS.index(p) if p in SENTIMENTS else None) for n, p in pairs.items()]
    return (*known, *(Sought(name, 0) for name in names if name not in pairs))


def mams(data: Path, dice: random.Random) -> Iterator[Sample]:
    """MAMS-ACSA: every text is asked for all eight categories."""
    for row in corpora.rows(data, "mams_acsa_train"):
        pairs = {a["category"]: a["polarity"] for a in row["aspects"]}
        absent = dice.sample(aspect_words.FOREIGN["meals"], 1)
        yield Sample(row["text"], "mams", aspects=asked(pairs, (*aspect_words.MAMS, *absent)), times=3.0)


def restaurants(data: Path, dice: random.Random) -> Iterator[Sample]:
    """SemEval 2014 restaurants: categories, and terms as aspects of their own."""
    for row in corpora.rows(data, "semeval14_restaurants_train"):
        pairs = {a["category"].replace("anecdotes/", ""): a["polarity"] for a in row["aspects"]}
        absent = [*aspect_words.RESTAURANTS, *dice.sample(aspect_words.FOREIGN["meals"], 1)]
        terms = {t["term"].lower(): t["polarity"] for t in row["terms"] if t["term"].lower() not in pairs}
        sought = (*asked(pairs, absent), *asked(terms, ()))
        yield Sample(row["text"], "sentences", _whole(pairs.values()), aspects=sought, times=1.5)


def laptops(data: Path, dice: random.Random) -> Iterator[Sample]:
    """SemEval 2014 laptops: terms in the taxonomy's words where it has any, else as aspects of their own."""
    for row in corpora.rows(data, "semeval14_laptops_train"):
        terms = {t["term"].lower(): t["polarity"] for t in row["terms"]}
        named: dict[str, str] = {}
        for term, polarity in terms.items():
            if (name := aspect_words.aspect_of_term(term)) is not None:
                named[name] = polarity if named.get(name, polarity) == polarity else "conflict"
        absent = dice.sample(aspect_words.FOREIGN["gadgets"], 1)
        sought = (*asked(named, absent), *asked({t: p for t, p in terms.items() if t not in named}, ()))
        yield Sample(row["text"], "sentences", _whole(terms.values()), aspects=sought)


def _composed(taxonomy: Taxonomy, dice: random.Random) -> Iterator[Sample]:
    names = [a.name for a in taxonomy.aspects]
    for text, said in composed(2_500):
        polar = set(said.values()) - {"neutral"} or {"neutral"}
        absent = dice.sample(names, 12)
        yield Sample(text, "composed", _whole(polar), aspects=asked(said, absent))


def stream(taxonomy: Taxonomy, languages: Collection[str]) -> list[Sample]:
    """The first half of our own stream; the second half measures."""
    rows = sample_stream(languages)
    return [
        Sample(
            text,
            "sample_stream",
            _of_sentiment(text, SENTIMENTS.index(sentiment)),
            aspects=asked(aspects, [a.name for a in taxonomy.aspects]),
            times=5.0,
        )
        for text, sentiment, aspects, _ in rows[: len(rows) // 2]
    ]


def sample_stream(languages: Collection[str]) -> list[tuple[str, str, Mapping[str, str], str]]:
    """The stream's texts in these languages, each once, in order: text, sentiment, aspects' sentiments, language."""
    gold, found = gold_labels(), {}
    for message in sample_messages():
        if message.expected_reason is None and message.value is not None:
            event = json.loads(message.value)
            label = gold[event["source"], event["id"]]
            if label.language in languages:
                found[event["text"]] = (event["text"], label.sentiment, label.aspects, label.language)
    return list(found.values())

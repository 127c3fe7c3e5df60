"""What a generator is taught: headlines of a review and digests of eight, every one held to the checks that it will meet.

A headline is the author's title, a sentence that a person wrote of several reviews, or what the review says of things
("great sound, but short battery life"), and is kept only where every guardrail lets it pass for that very text. A digest
is what people wrote of a group (FewSum), or a review that the others of its product support, left out of them.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, Literal

from workers.analyze.content import content
from workers.analyze.guardrails import Claim, failures
from workers.analyze.headline_author import LEAST_WORDS, headline_of, is_copied
from workers.analyze.opinion_words import COPULAS, GENERAL, POLARITY
from workers.analyze.opinions import ENTITY, Opinion, nouns_of, one_form, opinions_of, words_of
from workers.analyze.sentences import split_sentences
from workers.analyze.summary import Summarizer
from workers.analyze.support import Evidence, Reader, uncovered
from workers.slm.train.corpora import is_held_out, plain, rows

Task = Literal["headline", "digest"]
Part = Literal["train", "dev"]

SEED: Final = 29
LEAST_CHARS: Final = 60  # of a text that has a headline
MOST_WORDS: Final = 14  # of a headline
HEADLINES_A_TEXT: Final = 3
OPINIONS: Final = 3  # of one kind, in a headline
GROUP: Final = 8
LEFT_OUT_WORDS: Final = (18, 70)  # of a review that stands for a digest of the others
LEFT_OUT_COVERED: Final = 0.6  # of its content words the others have
LEFT_OUT_A_PRODUCT: Final = 12
GROUPS_A_PRODUCT: Final = 3
IN_DEVICES: Final = 12  # reviews of devices that name a thing, for it to be one that a headline speaks of
IN_GROUP: Final = 2  # the same of a group of eight
_VAGUE: Final = frozenset(
    ("thing", "things", "way", "lot", "lots", "bit", "time", "times", "day", "days", "one", "use", "lack", "part")
)
_COMPARING: Final = frozenset(
    ("more", "less", "most", "than", "other", "another", "as", "how", "so", "if", "would", "could")
)
_FIRST_PERSON = re.compile(r"\b(?:i|i['’]\w+|me|my|mine|we|we['’]\w+|us|our|you|your|u|ur)\b", re.I)


@dataclass(frozen=True)
class Sample:
    """What is read (one text, or the texts of a group) and what may be written of it: each of `answers` is right."""

    task: Task
    texts: tuple[str, ...]
    answers: tuple[str, ...]


def headline_samples(data: Path, part: Part, reader: Reader) -> list[Sample]:
    """Texts of the Amazon reviews, and for training of FewSum's train groups, with the headlines that pass."""
    found = []
    reviews = list(device_reviews(data, part))
    texts = [plain(row["text"]) for row in reviews]
    things = things_of(texts, IN_DEVICES if part == "train" else IN_DEVICES // 4)
    for text, row in zip(texts, reviews, strict=True):
        offered = [cased(headline_of(row["title"]), text), *spoken(text, things)]
        found.append((text, offered))
    if part == "train":
        for name in ("fewsum_amazon_train", "fewsum_yelp_train"):
            for group in rows(data, name):
                own = [plain(review) for review in group["reviews"]]
                things = things_of(own, IN_GROUP)
                lines = [headline_of(span.of(s)) for s in group["summaries"] for span in split_sentences(s)]
                found += [(text, [*_near(lines, text), *spoken(text, things)]) for text in own]
    kept = []
    for text, offered in found:
        if len(text) >= LEAST_CHARS and (answers := passing(text, offered, reader)):
            kept.append(Sample("headline", (text,), tuple(answers[:HEADLINES_A_TEXT])))
    return kept


def device_reviews(data: Path, part: Part) -> Iterator[dict[str, Any]]:
    """The reviews of Amazon devices, once each: a fifth by hash is dev."""
    seen = set()
    for row in rows(data, "amazon_devices_train"):
        words = tuple(words_of(row["text"]))
        if words not in seen and is_held_out(row["text"]) == (part == "dev"):
            yield row
        seen.add(words)


def passing(text: str, offered: Iterable[str], reader: Reader) -> list[str]:
    """Those of the lines that may be a headline of the text."""
    lines = [
        line
        for line in dict.fromkeys(offered)
        if LEAST_WORDS <= len(line.split()) <= MOST_WORDS and len(set(content(line))) > 1 and not is_copied(line, text)
    ]
    if not lines:
        return []
    evidence, (vectors, leanings) = reader.read([text]), reader.seen(lines)
    return [
        line
        for line, vector, leaning in zip(lines, vectors, leanings.tolist(), strict=True)
        if not failures(Claim(line, vector, leaning, (0,)), evidence) and not uncovered(line, [text])
    ]


def cased(title: str, text: str) -> str:
    """A title as a sentence is written: small letters but for the first and for what the text has in capitals within a
    sentence."""
    starts = {span.of(text).split()[0] for span in split_sentences(text) if span.of(text).split()}
    named = {word.strip(".,!?;:()\"'") for word in text.split() if word not in starts and not word.islower()}
    words = [word if word.strip(".,!?;:()\"'") in named else word.lower() for word in title.split()]
    line = re.sub(r"\s+([!?.,])", r"\1", " ".join(words)).rstrip("!?., ")
    return line[:1].upper() + line[1:]


@dataclass(frozen=True)
class Things:
    """The nouns of texts, each with its more frequent form, and pairs of words that are one name: "battery life"."""

    forms: dict[str, str]
    names: frozenset[tuple[str, str]]


def things_of(texts: Sequence[str], at_least: int) -> Things:
    """The things that at least so many of the texts name."""
    told = [words_of(text) for text in texts]
    nouns = {noun: count for noun, count in nouns_of(told).items() if count >= at_least and noun not in _VAGUE}
    before = Counter(pair for words in told for pair in set(pairwise(words)))
    names = {
        (a, b)
        for (a, b), count in before.items()
        if b in nouns and a in nouns and a not in POLARITY and count >= max(2, at_least // 2)
    }
    return Things({noun: noun for noun in one_form(nouns)}, frozenset(names))


def spoken(text: str, things: Things) -> list[str]:
    """What the text says of things in adjectives, in one line: praise, blame, or the one but the other."""
    opinions = list(dict.fromkeys(opinions_of([text], things.forms)))
    words = words_of(text)
    good = _phrases([o for o in opinions if o.polarity > 0], words, things)
    bad = _phrases([o for o in opinions if o.polarity < 0], words, things)
    if good and bad:
        lines = [f"{_joined(good[:2])}, but {_joined(bad[:2])}"]
    else:
        lines = [_joined((good or bad)[:OPINIONS])] if good or bad else []
    return [line[:1].upper() + line[1:] for line in lines]


def _phrases(opinions: Sequence[Opinion], words: Sequence[str], things: Things) -> list[str]:
    phrases = []
    pairs = list(pairwise(words))
    compared = {b for a, b in pairs if a in _COMPARING}
    for noun, said in [(o.noun, o.said) for o in opinions]:
        if compared & set(said.split()) or (
            noun != ENTITY and " " not in said and not _is_beside(said, noun, words, things)
        ):
            continue
        name = next((f"{a} {b}" for a, b in pairs if b == noun and (a, b) in things.names), noun)
        if noun != ENTITY and " " not in said:
            phrases.append(f"{said} {name}")
        elif noun != ENTITY and not noun.endswith("s"):
            phrases.append(f"{name} {said}")
        elif noun == ENTITY and said not in GENERAL:
            phrases.append(f"{said} up" if (said.split()[-1], "up") in pairs else said)
    kept: list[str] = []
    for phrase in phrases:
        if not any(set(phrase.split()) & set(other.split()) for other in kept):
            kept.append(phrase)
    return kept


def _is_beside(said: str, noun: str, words: Sequence[str], things: Things) -> bool:
    """Whether the adjective stands right before the thing's name or behind its copula, and the name ends there."""
    for at in (i for i, word in enumerate(words) if word == noun):
        after = words[at + 1 : at + 5]
        name = at - 1 if at > 1 and (words[at - 1], noun) in things.names else at
        ends = not after or (after[0] not in things.forms and after[0] not in POLARITY)
        if ends and (words[max(0, name - 1)] == said or (after and after[0] in COPULAS and said in after)):
            return True
    return False


def _joined(phrases: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(phrases[:-1]), phrases[-1]) if part)


def _near(lines: Sequence[str], text: str) -> list[str]:
    """The lines whose words the text has, most words first."""
    fit = [line for line in lines if not uncovered(line, [text])]
    return sorted(fit, key=lambda line: -len(content(line)))


def digest_samples(data: Path, part: Part, reader: Reader | None = None) -> list[Sample]:
    """FewSum's groups with what three people wrote; with a reader also what the rules compose of them, which the checks let
    pass, and other groups: a review that the others of its product support, or what the rules compose."""
    found = []
    for name in (f"fewsum_amazon_{part}", f"fewsum_yelp_{part}"):
        for group in rows(data, name):
            texts = tuple(map(plain, group["reviews"]))
            found.append(Sample("digest", texts, (*group["summaries"], *(composed(texts, reader) if reader else ()))))
    if reader is None:
        return found
    return [*found, *left_out(data, part, reader), *together(data, part, reader)]


def composed(texts: Sequence[str], reader: Reader) -> list[str]:
    """The digest that the rules make of the texts, when at least three of its sentences are no quotations."""
    summary = Summarizer(reader).summarize(texts)
    said = [sentence.text for sentence in summary.sentences if not sentence.quoted]
    return [" ".join(said)] if len(said) > 2 else []


def together(data: Path, part: Part, reader: Reader) -> Iterator[Sample]:
    """Groups of eight reviews of one product, with what the rules compose of them."""
    dice = random.Random(SEED)  # noqa: S311 - an order of texts, guards nothing
    for texts in by_product(data, part):
        dice.shuffle(texts)
        for start in range(0, min(len(texts) - GROUP, GROUP * GROUPS_A_PRODUCT) + 1, GROUP):
            some = texts[start : start + GROUP]
            if answers := composed(some, reader):
                yield Sample("digest", tuple(some), tuple(answers))


def by_product(data: Path, part: Part) -> Iterator[list[str]]:
    """The reviews of each device that are long enough."""
    reviews = sorted(device_reviews(data, part), key=lambda row: str(row["product"]))
    for _, of_product in groupby(reviews, key=lambda row: str(row["product"])):
        yield [text for row in of_product if len(text := plain(row["text"])) >= LEAST_CHARS]


def left_out(data: Path, part: Part, reader: Reader) -> Iterator[Sample]:
    """Groups of one product's reviews, and a review that they support as their digest: in the third person, in full
    sentences, most of its words theirs, and every sentence passes the checks against them."""
    dice = random.Random(SEED)  # noqa: S311 - an order of texts, guards nothing
    for texts in by_product(data, part):
        candidates = [text for text in texts if _is_digest_like(text)]
        dice.shuffle(candidates)
        made = 0
        for text in candidates:
            others = sorted((t for t in texts if t != text), key=lambda t: len(uncovered(text, [t])))[: GROUP - 1]
            if len(others) == GROUP - 1 and made < LEFT_OUT_A_PRODUCT and _is_supported(text, others, reader):
                dice.shuffle(others)
                made += 1
                yield Sample("digest", tuple(others), (text,))


def _is_digest_like(text: str) -> bool:
    least, most = LEFT_OUT_WORDS
    sentences = [span.of(text) for span in split_sentences(text)]
    whole = all(s[:1].isupper() and s.rstrip()[-1:] in ".!" for s in sentences)
    return least <= len(text.split()) <= most and len(sentences) > 1 and whole and not _FIRST_PERSON.search(text)


def _is_supported(text: str, others: Sequence[str], reader: Reader) -> bool:
    missing = len(uncovered(text, others))
    if 1 - missing / max(1, len(uncovered(text, ()))) < LEFT_OUT_COVERED:
        return False
    evidence = reader.read(others)
    sentences = [span.of(text) for span in split_sentences(text)]
    refused = sum(bool(failures(claim, evidence)) for claim in _claims(sentences, evidence, reader))
    return refused <= len(sentences) // 2


def _claims(sentences: Sequence[str], evidence: Evidence, reader: Reader) -> Iterator[Claim]:
    """Each sentence, citing the text that is nearest to it."""
    vectors, leanings = reader.seen(sentences)
    for sentence, vector, leaning in zip(sentences, vectors, leanings.tolist(), strict=True):
        nearest = int(evidence.owner[(evidence.vectors @ vector).argmax()])
        yield Claim(sentence, vector, leaning, (nearest,))

"""Labelled texts to train and tune on, read from a directory of gzipped JSON lines.

Train and dev are kept apart by `apart`: the files alone do not do it. Of TweetEval's 2,000 dev tweets, 1,430 stand in
XLM-T's English train file too, since both were drawn from SemEval.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.analyze.redact import Redactor

LANGUAGES = {"en": "english", "es": "spanish", "pt": "portuguese", "fr": "french", "it": "italian", "de": "german"}
_HANDLE = re.compile(r"@\w+")
_LINK = re.compile(r"https?://\S+|\bhttp\b")
_REDACTOR = Redactor()
MAX_CHARS = 1200  # of a training text; long reviews say what they say early


@dataclass(frozen=True, slots=True)
class Example:
    """One text. `domain` is where it comes from; `label` None where the set has none of that kind."""

    text: str
    domain: str
    label: str | None = None


def rows(data: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of one file."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def sentiment(data: Path, part: str, languages: Collection[str]) -> list[Example]:
    """Texts labelled negative, neutral, positive, in these languages (English sets always). `part` is train or dev; sets
    without a dev file lend every tenth row."""
    found = [Example(plain(r["text"]), "tweets", r["label"]) for r in rows(data, f"tweet_sentiment_{part}")]
    for name in (name for code, name in LANGUAGES.items() if code in languages):
        found += [Example(plain(r["text"]), f"xlmt_{name}", r["label"]) for r in rows(data, f"xlmt_{name}_{part}")]
    found += [
        Example(plain(r["text"], r["product"]), "airline", r["label"]) for r in split(data, "airline_train", part)
    ]
    found += [
        Example(plain(r["text"]), "amazon_devices", _of_stars(r["rating"]))
        for r in split(data, "amazon_devices_train", part)
    ]
    return found


def labelled(data: Path, name: str, part: str, most: int = 8_000) -> list[Example]:
    """A TweetEval set such as `tweet_emotion`."""
    return [Example(plain(r["text"]), name, r["label"]) for r in _sampled(data, f"{name}_{part}", most)]


def apart(train: list[Example], dev: list[Example]) -> list[Example]:
    """`train` without the texts that `dev` holds too, however their handles, links, marks and case differ."""
    held_out = {_words(example.text) for example in dev}
    return [example for example in train if _words(example.text) not in held_out]


def _words(text: str) -> tuple[str, ...]:
    bare = _HANDLE.sub(" ", _LINK.sub(" ", text)).replace("[HANDLE]", " ")
    return tuple(re.findall(r"\w+", bare.lower()))


def split(data: Path, name: str, part: str) -> Iterator[dict[str, Any]]:
    """The rows of a set without a dev file: every tenth by hash is dev, the others are train."""
    for row in rows(data, name):
        held_out = hashlib.sha256(row["text"].encode()).digest()[0] % 10 == 0
        if held_out == (part == "dev"):
            yield row


def is_held_out(text: str) -> bool:
    """Whether a review of a device is of the fifth, by hash, that no generator's adapter is trained on."""
    return hashlib.sha256(text.encode()).digest()[0] % 5 == 0


def _sampled(data: Path, name: str, most: int) -> list[dict[str, Any]]:
    """At most so many rows, chosen by hash: the same ones every time."""
    found = list(rows(data, name))
    return sorted(found, key=lambda row: hashlib.sha256(row["text"].encode()).digest())[:most]


def _of_stars(rating: int) -> str:
    return "negative" if rating <= 2 else "positive" if rating >= 4 else "neutral"


def plain(text: str, product: str = "") -> str:
    """As the worker sees texts: personal data redacted. The handle of the product's own company stays, as in the worker;
    in every other text it does not, since many texts come without their product."""
    return _REDACTOR.redact(text, product=product if len(text) % 2 else "").text[:MAX_CHARS]

"""The texts that are measured on: as long as posts and reviews are, with a long tail, out of our own sample's sentences."""

import random
from pathlib import Path

import orjson

from schemas.events import MAX_TEXT_CHARS, InvalidMessage, decode_event
from schemas.samples import sample_messages
from workers.errors import UsageError

# (share, mean of the logarithm of the length in characters, its deviation): posts, reviews, the long tail of reviews.
LENGTHS = ((0.60, 4.6, 0.6), (0.35, 5.6, 0.7), (0.05, 7.2, 0.5))


def built_in_texts(count: int, seed: int = 0) -> list[str]:
    """`count` texts, no two alike: a median of some 140 characters, one in twenty above 1,000. Repeatable."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    pieces = _sample_texts()
    shares, *_ = zip(*LENGTHS, strict=True)
    texts = []
    for number in range(count):
        _, mean, deviation = rng.choices(LENGTHS, shares)[0]
        chars = min(5_000, max(12, int(rng.lognormvariate(mean, deviation))))
        text = f"{number}"
        while len(text) < chars:
            text += f" {rng.choice(pieces)}"
        cut = text.rfind(" ", 0, chars + 1)
        texts.append(text[: cut if cut > 0 else chars])
    return texts


def texts_of(file: Path, count: int) -> list[str]:
    """The first `count` texts of a file: one a line, plain or a JSON object with `text`. Raises `UsageError`."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read ({error}); give a file of one text a line, plain or JSON") from error
    texts = [text[:MAX_TEXT_CHARS] for text in map(_text_of, lines) if text.strip()][:count]
    if not texts:
        raise UsageError(f"{file} holds no text; give a file of one text a line, plain or JSON")
    return texts


def _text_of(line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        return str(orjson.loads(line)["text"])
    except (orjson.JSONDecodeError, KeyError):
        return line


def _sample_texts() -> list[str]:
    found = []
    for message in sample_messages():
        try:
            found.append(decode_event(message.value).text)
        except InvalidMessage:
            continue  # malformed on purpose
    return found

"""Headlines that a generator writes. Each is checked against its own text; one that fails a check is nobody's headline."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from workers.analyze.guardrails import Claim, failures
from workers.analyze.judge import MAX_HEADLINE_CHARS
from workers.analyze.sentences import split_sentences
from workers.analyze.support import Reader
from workers.slm.generator import Generator

SYSTEM: Final = (
    "You write the headline of a customer's text: one short line in the third person, at most ten words, that says what the"
    " text says and nothing else."
)
NEW_TOKENS: Final = 40
TEXT_TOKENS: Final = 400  # of a longer text, its beginning
LEAST_WORDS: Final = 3

_LABEL = re.compile(r"^[\s\"'“”*#-]*(?:(?:headline|title)\s*:[\s\"'“”*]*)?", re.I)
_END = re.compile(r"[\s\"'“”*.]+$")


class Written(NamedTuple):
    """What was written about a text, the names of the checks that it fails, and the tokens it took."""

    headline: str
    failed: tuple[str, ...]
    tokens: int


class HeadlineAuthor:
    """Writes headlines with a generator, held against their texts by a reader."""

    def __init__(self, generator: Generator, reader: Reader) -> None:
        self._generator, self._reader = generator, reader
        self._system = system_of(generator)

    def write(self, texts: Sequence[str]) -> list[Written]:
        """One a text, in order. The same texts give the same."""
        asked = [asked_of(self._generator, text) for text in texts]
        answers = self._generator.answers(self._system, asked, NEW_TOKENS)
        return [self._checked(text, answer) for text, answer in zip(texts, answers, strict=True)]

    def _checked(self, text: str, answer: str) -> Written:
        headline, tokens = headline_of(answer), len(self._generator.tokens(answer))
        if tokens >= NEW_TOKENS and headline_of(f"{answer}…") != headline:  # its end is not there
            return Written(headline, ("unfinished",), tokens)
        if len(headline.split()) < LEAST_WORDS or len(headline) > MAX_HEADLINE_CHARS:
            return Written(headline, ("length",), tokens)
        if is_copied(headline, text):
            return Written(headline, ("copied",), tokens)
        vectors, leanings = self._reader.seen([headline])
        claim = Claim(headline, vectors[0], float(leanings[0]), (0,), prompt=self._system)
        return Written(headline, failures(claim, self._reader.read([text])), tokens)


def system_of(generator: Generator) -> str:
    """What the generator is told once: what it was trained with, if it was."""
    task = generator.shape.tasks.get("headline")
    return task.system if task else SYSTEM


def asked_of(generator: Generator, text: str) -> str:
    """What it is told of a text: its beginning; untrained, it has to be told what to do with it, too."""
    task = generator.shape.tasks.get("headline")
    if task:
        return generator.beginning(text, task.text_tokens)
    return f"Text:\n{generator.beginning(text, TEXT_TOKENS)}\n\nHeadline of the text:"


def headline_of(answer: str) -> str:
    """An answer's first sentence, without the quotation marks, the label and the full stop that models put around it."""
    line = _LABEL.sub("", next((line for line in answer.splitlines() if line.strip()), ""))
    sentences = split_sentences(line)
    return _END.sub("", sentences[0].of(line) if sentences else line)


def is_copied(headline: str, text: str) -> bool:
    """Whether the headline is a piece of the text, word for word."""
    return _plain(headline) in _plain(text)


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()

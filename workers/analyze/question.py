"""What a question asks about: the product that it names, and the words that are left when it has been asked."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workers.analyze.content import content
from workers.analyze.opinion_words import FUNCTION_WORDS, QUESTION_WORDS
from workers.errors import UsageError

MOST_CHARS: Final = 200
_WORD = re.compile(r"[\w'’]+(?:-\w+)*")


@dataclass(frozen=True)
class Question:
    """`text` as asked, `products` it names, `about`: its words without these and without those it asks with."""

    text: str
    products: tuple[str, ...]
    about: str

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of what it is about, each once."""
        return tuple(dict.fromkeys(content(self.about)))


def checked(text: str) -> str:
    """The question on one line. Raises `UsageError` when there is none, or it is too long to be one."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in line):
        raise UsageError('the question is empty; ask for instance: "why are people returning the X200?"')
    if len(line) > MOST_CHARS:
        raise UsageError(f"the question has {len(line):,} characters, and {MOST_CHARS} are read; ask more briefly")
    return line


def read_question(text: str, products: Sequence[str]) -> Question:
    """Reads a checked question. A product is named by its name, or by a word of it with a digit that no other has: "the
    X200". Case and accents do not matter."""
    said = _WORD.findall(text)
    folded = [folding(word) for word in said]
    named: list[str] = []
    taken: set[int] = set()
    for product in sorted(products, key=lambda name: (-len(name), name)):
        places = _places(folded, [folding(word) for word in _WORD.findall(product)])
        if places and not places <= taken:
            named.append(product)
            taken |= places
    for product, model in _models(products).items():
        places = {i for i, word in enumerate(folded) if word == model and i not in taken}
        if places:
            named.append(product)
            taken |= places
    about = [word for i, word in enumerate(said) if i not in taken and word.lower() not in _ASKING]
    return Question(text, tuple(sorted(named)), " ".join(about))


def folding(word: str) -> str:
    """In small letters, without accents and without the genitive's ending."""
    plain = "".join(c for c in unicodedata.normalize("NFD", word.casefold()) if not unicodedata.combining(c))
    return re.sub(r"['’]s?$", "", plain)


def _places(words: Sequence[str], name: Sequence[str]) -> set[int]:
    """The places of every run of `name` in `words`."""
    starts = [i for i in range(len(words) - len(name) + 1) if name and words[i : i + len(name)] == name]
    return {start + i for start in starts for i in range(len(name))}


def _models(products: Sequence[str]) -> dict[str, str]:
    """Product -> the word with a digit that is in its name alone."""
    names = {product: [folding(word) for word in _WORD.findall(product)] for product in products}
    return {
        product: word
        for product, words in names.items()
        for word in words
        if re.search(r"\d", word) and not word.isdigit() and sum(word in other for other in names.values()) == 1
    }


_ASKING: Final = FUNCTION_WORDS | QUESTION_WORDS

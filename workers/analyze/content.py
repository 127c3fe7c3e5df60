"""The words of a text that mean something, without their endings."""

import re
from functools import lru_cache

from workers.analyze.opinion_words import FUNCTION_WORDS
from workers.analyze.opinions import words_of

_ENDINGS = re.compile(r"(?:ing|edly|ed|ly|es|s|os|as|o|a|e)$")


def content(text: str) -> list[str]:
    """The stems of the words of `text` that mean something."""
    return [stem(word) for word in words_of(text) if len(word) > 2 and word not in FUNCTION_WORDS]


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """A word without the endings that number, gender and person give it."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return _ENDINGS.sub("", word) if len(word) > 4 else word.removesuffix("s")

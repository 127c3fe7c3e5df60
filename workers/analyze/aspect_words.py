"""Whether a text calls an aspect by its words: those of its name and title, or those of its description."""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from workers.analyze.content import content

BY_NAME, BY_DESCRIPTION = 1.0, 0.5
STEM = 6  # letters: aparcar and aparcamiento begin alike, and so do returned and returning


class AspectWords:
    """The stems of the words that some aspects (a,) are called by."""

    def __init__(self, names: Sequence[Sequence[str]], descriptions: Sequence[Sequence[str]]) -> None:
        self._rows = len(names)
        self._callers: dict[str, list[tuple[int, float]]] = {}
        for row, (own, described) in enumerate(zip(map(stems, names), map(stems, descriptions), strict=True)):
            for stem in own | described:
                self._callers.setdefault(stem, []).append((row, BY_NAME if stem in own else BY_DESCRIPTION))

    def called(self, clauses: Sequence[str]) -> NDArray[np.float32]:
        """(a, k): `BY_NAME` where clause k has a word of an aspect's name or title, `BY_DESCRIPTION` where it has one of its
        description, else 0."""
        found = np.zeros((self._rows, len(clauses)), np.float32)
        for column, clause in enumerate(clauses):
            for stem in stems([clause]):
                for row, by in self._callers.get(stem, ()):
                    found[row, column] = max(found[row, column], by)
        return found


def stems(texts: Iterable[str]) -> frozenset[str]:
    """The beginnings of the words that mean something, without accents: many people write none."""
    return frozenset(_without_accents(stem)[:STEM] for text in texts for stem in content(text))


def _without_accents(word: str) -> str:
    if word.isascii():
        return word
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))

"""Whether a text calls an aspect by its words: those of its name and title, or those of its description."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

BY_NAME, BY_DESCRIPTION = 1.0, 0.5
STEM = 6  # letters: aparcar and aparcamiento begin alike, and so do returned and returning
_WORD = re.compile(r"[^\W\d_]{3,}")
_EMPTY = frozenset(
    word
    for line in (
        "the and for with that this from what how its his her their whether not are was were has have had can cannot ",
        "could would all any where when una unos unas los las del con por para que como sus son era hay sin muy mas ",
        "esta este ese esa esto algo cada donde cuando quien too very into onto over more most much many people ",
        "personas gente thing things cosa cosas good bad great buen bueno mal use used using uso ",
    )
    for word in line.split()
)


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
    """The beginnings of the words that mean something, without accents and plurals."""
    words = _WORD.findall(unicodedata.normalize("NFD", " ".join(texts)).translate(_NO_ACCENTS).lower())
    return frozenset((word if len(word) < 4 else word.rstrip("s"))[:STEM] for word in words if word not in _EMPTY)


_NO_ACCENTS = dict.fromkeys(range(0x300, 0x370))

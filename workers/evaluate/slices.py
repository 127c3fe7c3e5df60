"""Parts of the texts that may fare differently: by language, and by length in characters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.analyze.language import detect_language

LEAST = 20  # texts of a language; rarer ones are told together, since a figure on five texts says nothing
LENGTHS = (80, 280, 1_000)  # a remark, a post, a review; what is longer is the long tail
OTHERS = "others"


class Slice(NamedTuple):
    """Some of the texts: `by` language or length, and which of the n texts they are (n,)."""

    by: str
    name: str
    inside: NDArray[np.bool_]


def slices(texts: Sequence[str], languages: Sequence[str]) -> list[Slice]:
    """The slices that hold texts, languages by size, then lengths from short to long. An empty language is detected."""
    known = [named or detect_language(text)[0] for text, named in zip(texts, languages, strict=True)]
    return [*_by_language(known), *_by_length(texts)]


def _by_language(languages: Sequence[str]) -> Iterator[Slice]:
    counts = Counter(languages)
    frequent = [code for code, count in counts.most_common() if count >= LEAST]
    codes = np.array(languages)
    for code in frequent:
        yield Slice("language", code, codes == code)
    rest = ~np.isin(codes, frequent)
    if rest.any():
        yield Slice("language", OTHERS, rest)


def _by_length(texts: Sequence[str]) -> Iterator[Slice]:
    chars = np.array([len(text) for text in texts])
    low = 0
    for high in (*LENGTHS, None):
        inside = (chars > low) & (chars <= high) if high else chars > low
        if inside.any():
            name = f"{low + 1:,}–{high:,}" if high else f"over {low:,}"
            yield Slice("length", f"{name} characters", inside)
        low = high or low

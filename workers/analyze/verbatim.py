"""Verbatim sentences that stand for a group of texts: short, of no person, and of what most texts speak of.

A sentence scores by how many texts share its content words, less what has been said, by its length; one author's day and
questions are left out. It is always the author's own words, without an opener such as "And".
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from workers.analyze.content import stem
from workers.analyze.headline import without_opener
from workers.analyze.opinion_words import COPULAS, NO_NOUNS, POLARITY
from workers.analyze.opinions import words_of
from workers.analyze.sentences import split_clauses, split_sentences

WORDS: Final = (4, 18)  # of a sentence that is taken
LENGTH_POWER: Final = 0.6  # 0 prefers long sentences, 1 those that are dense
PERSONAL: Final = 0.25  # what a sentence that speaks of its author is worth
FRAGMENT: Final = 0.7  # what one without a verb that we know is worth
_PERSON = re.compile(
    r"(?<!\w)(?:i|i'\w+|im|ive|me|my|mine|we|we'\w+|us|our|he|she|his|her|him|husband|wife|son|daughter"
    r"|mom|dad|boyfriend|girlfriend|friends?|yo|mi|mis"
    r"|me|nos|nuestr\w+|marido|mujer|hij[oa]s?|amig\w+|he|hemos|compr[eé]|ped[ií]|fui|fuimos|volver[eé]"
    r"|recomiendo)(?!\w)",
    re.I,
)
# Needs the sentence before it, or leaves out that it is its author who did so.
_LEANS = re.compile(
    r"(?:that|which|who|because|then|than|also|too|so|or|nor|otherwise|even though|although|though|while"
    r"|if|unless|until|with|without|for the|not"
    r"|que|así que|porque|entonces|además|si|aunque|mientras|wish|love|loved|took|got|went|bought|ordered|needed"
    r"|tried|had|used|came|ended|called|purchased|received"
    r"|garnished|added)\b",
    re.I,
)
_VERB = re.compile(
    r"(?<!\w)(?:is|are|was|were|isn't|aren't|wasn't|weren't|has|have|had|does|doesn't|do|don't|did|didn't"
    r"|can|can't|will|won't|would|\w+s"
    r"|es|son|está|están|era|fue|fueron|tiene|tienen|hay|va|van|funciona|dura|llega|llegó|viene|parece"
    r"|deja|falla|cuesta|suena|sabe)(?!\w)",
    re.I,
)


class Piece(NamedTuple):
    """Words of one text, by its index."""

    text: str
    number: int


def pieces_of(texts: Sequence[str]) -> list[Piece]:
    """The sentences and clauses that may be quoted, in the order of the texts."""
    return [Piece(piece, number) for number, text in enumerate(texts) for piece in _pieces(text)]


def spread_of(texts: Sequence[str]) -> Counter[str]:
    """Content stem -> how many texts have it."""
    return Counter(stem_ for text in texts for stem_ in set(topical(text)))


def topical(text: str) -> list[str]:
    """The stems of the words of `text` that name a thing or judge it."""
    return [stem(word) for word in words_of(text) if len(word) > 2 and (word in POLARITY or word not in NO_NOUNS)]


def worth_of(piece: str, spread: Counter[str], covered: Collection[str]) -> float:
    """How much it says of what is not yet `covered` and that others say, too, by its length."""
    new = {s for s in topical(piece) if spread[s] > 1 and s not in covered}
    worth: float = sum(spread[s] - 1 for s in new) / len(piece.split()) ** LENGTH_POWER
    worth *= PERSONAL if _PERSON.search(piece.replace("’", "'")) else 1
    return worth if _has_verb(piece) else worth * FRAGMENT


def _is_whole(piece: str) -> bool:
    """Whether its author has ended it, and no bracket and no quotation mark lacks its other half: half of what somebody else
    said is not its author's."""
    if piece.endswith(("...", "…")):
        return False
    halves = (("(", ")"), ("“", "”"), ("«", "»"))
    return piece.count('"') % 2 == 0 and all(piece.count(left) == piece.count(right) for left, right in halves)


def _has_verb(piece: str) -> bool:
    return any(word in COPULAS for word in words_of(piece)) or _VERB.search(piece) is not None


def _pieces(text: str) -> Iterator[str]:
    seen = set()
    for span in (*split_sentences(text), *split_clauses(text)):
        piece = text[without_opener(text, span) : span.end].strip(" -–—,;:")
        if piece in seen or not WORDS[0] <= len(piece.split()) <= WORDS[1] or "?" in piece or "¿" in piece:
            continue
        if _LEANS.match(piece) or piece.upper() == piece or not _is_whole(piece):
            continue
        seen.add(piece)
        yield piece

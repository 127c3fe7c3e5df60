"""What texts say of a thing in an adjective: "the staff was very friendly", "comida muy rica", "it fits well".

Rules over words, no model: an adjective of `opinion_words` beside a noun, or joined to one by a copula; a verb with its
adverb ("works great"); "easy to clean". A noun is what texts put an article
or such an adjective before, so no list of things is needed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from workers.analyze.opinion_words import (
    ADVERBS,
    ASSESSING_VERBS,
    COPULAS,
    DETERMINERS,
    EFFORT,
    GENERAL,
    NEGATIONS,
    NO_NOUNS,
    OPEN_DEEDS,
    POLARITY,
    POSTPOSED,
    PRONOUNS,
    STRENGTHS,
)
from workers.analyze.sentences import split_clauses

ENTITY: Final = ""  # the noun of an opinion on the whole: "it is great"
MIN_TEXTS: Final = 2  # that have a word, before it counts as a thing's name
NEAR: Final = 3  # words before an adjective in which a negation turns it
COMPOUND: Final = 3  # words that a noun may be made of: "customer service"
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*|[,.;:!?()]")
_AND = frozenset((",", "and", "y", "e"))
_AND_BEFORE = frozenset(("muy", "tan", "bastante", "súper", "super", "más"))
_LIKENESS = frozenset(("like", "as", "como"))  # "a smell like burnt hair" is no hair
_AUTHORS_OWN = frozenset(("my", "mi", "mis"))  # "my mood is fine" is no word on a flight
_COUNTS = frozenset(["dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez"])
_ARTICLES = frozenset(("a", "an", "the", "un", "una", "unos", "unas"))
# "El de la estación es correcto" says nothing of the station.
_JOINING = frozenset(
    [
        "of",
        "in",
        "at",
        "on",
        "for",
        "from",
        "with",
        "by",
        "near",
        "behind",
        "de",
        "del",
        "en",
        "con",
        "para",
        "por",
        "a",
        "al",
        "desde",
    ]
)


class Opinion(NamedTuple):
    """One text's word on a thing: `said` is "friendly", "easy to clean" or "fits well". `polarity` is 1, -1 or 0."""

    noun: str
    said: str
    polarity: int
    text: int


def words_of(text: str) -> list[str]:
    """The words and marks of a text in small letters, apostrophes straight."""
    return [word.replace("’", "'").lower() for word in _WORD.findall(text)]


def nouns_of(texts: Sequence[Sequence[str]]) -> dict[str, int]:
    """The words that some of the texts (as `words_of` gives them) put an article or an adjective before and that at
    least two have -> how many have them."""
    used: Counter[str] = Counter()
    named: set[str] = set()
    for words in texts:
        used.update(set(words))
        pairs = pairwise(words)
        named |= {b for a, b in pairs if (a in DETERMINERS or a in POLARITY) and _may_be_noun(b)}
    return {noun: used[noun] for noun in sorted(named) if used[noun] >= MIN_TEXTS}


def one_form(nouns: Mapping[str, int]) -> dict[str, str]:
    """Each noun -> its more frequent form of singular and plural."""
    forms = {noun: noun for noun in nouns}
    for noun in nouns:
        for plural in (f"{noun}s", f"{noun}es"):
            if plural in nouns:
                best = max((noun, plural), key=lambda form: (nouns[form], form))
                forms[noun] = forms[plural] = best
    return forms


def opinions_of(texts: Sequence[str], forms: Mapping[str, str]) -> list[Opinion]:
    """The opinions in `texts` on the nouns that `forms` knows, and on the whole (`ENTITY`). What is negated or asked is left
    out: "not bad" is no praise."""
    return [
        opinion
        for number, text in enumerate(texts)
        for clause in split_clauses(text)
        if not clause.of(text).endswith("?")
        for opinion in _opinions(words_of(clause.of(text)), forms, number)
    ]


def _may_be_noun(word: str) -> bool:
    return len(word) > 2 and "'" not in word and word not in NO_NOUNS


def _opinions(words: list[str], forms: Mapping[str, str], number: int) -> Iterator[Opinion]:
    for at, word in enumerate(words):
        if any(before in NEGATIONS for before in words[max(0, at - NEAR) : at]):
            continue
        if word in ASSESSING_VERBS and not (at and words[at - 1] in DETERMINERS):
            yield from _verb(words, at, forms, number)
        elif word in POLARITY:
            yield from _adjective(words, at, forms, number)


def _adjective(words: list[str], at: int, forms: Mapping[str, str], number: int) -> Iterator[Opinion]:
    said = words[at]
    if said in EFFORT:
        deed = words[at + 2] if at + 2 < len(words) and words[at + 1] == "to" else ""
        if deed.isalpha() and deed not in OPEN_DEEDS:
            yield Opinion(ENTITY, f"{said} to {deed}", POLARITY[said], number)
        return
    place = _beside(words, at, forms)
    if place is None:
        if said not in GENERAL and _is_of_unknown_noun(words, at):
            return
        place = _subject(words, at)
        place = place if place is None else _head(words, place)
    elif words[max(0, at - 1)] in _LIKENESS:
        return
    yield from _about(words, place, forms, said, POLARITY[said], number)


def _verb(words: list[str], at: int, forms: Mapping[str, str], number: int) -> Iterator[Opinion]:
    after = at + 1
    while after < len(words) and words[after] in STRENGTHS:
        after += 1
    if after == len(words) or words[after] not in ADVERBS:
        return
    before = at - 1
    while before >= 0 and words[before] in STRENGTHS:
        before -= 1
    said = f"{ASSESSING_VERBS[words[at]]} {words[after]}"
    yield from _about(words, before if before >= 0 else None, forms, said, ADVERBS[words[after]], number)


def _about(
    words: list[str], place: int | None, forms: Mapping[str, str], said: str, polarity: int, number: int
) -> Iterator[Opinion]:
    if place is None:
        return
    if words[place] in PRONOUNS:
        yield Opinion(ENTITY, said, polarity, number)
    elif words[place] in forms and words[max(0, place - 1)] not in _AUTHORS_OWN:
        yield Opinion(forms[words[place]], said, polarity, number)


def _beside(words: list[str], at: int, forms: Mapping[str, str]) -> int | None:
    """Where the noun stands that the adjective is next to: after it, or as in Spanish before it."""
    first = at + 1
    while first < len(words) and (words[first] in POLARITY or words[first] in _AND):
        first += 1
    last = first
    while last < min(len(words), first + COMPOUND) and _may_be_noun(words[last]):
        last += 1
    joined = first == at + 1 or words[first - 1] in POLARITY
    if last > first and words[last - 1] in forms and joined:
        return last - 1
    before = at - 1
    while before > 0 and words[before] in _AND_BEFORE:
        before -= 1
    found = before >= 0 and words[before] in forms and words[at] in POSTPOSED
    return before if found and not (before == at - 1 and _is_told_apart(words, before)) else None


def _is_told_apart(words: list[str], noun: int) -> bool:
    """Whether an adjective right behind the noun only tells which one is meant: "se me estropeó la cámara buena"."""
    return noun > 1 and (words[noun - 1] in DETERMINERS or words[noun - 1] in _COUNTS) and words[noun - 2] not in _AND


def _subject(words: list[str], at: int) -> int | None:
    """Where the noun or pronoun stands that a copula joins to the adjective."""
    place = at - 1
    while place >= 0 and (words[place] in STRENGTHS or words[place] in POLARITY or words[place] in _AND):
        place -= 1
    if place >= 0 and words[place] in PRONOUNS and words[place].endswith(("'s", "'re")):
        return place
    if place < 0 or words[place] not in COPULAS or (words[place] in ASSESSING_VERBS and words[at] in ADVERBS):
        return None
    place -= 1
    while place >= 0 and words[place] in STRENGTHS:
        place -= 1
    return place if place >= 0 else None


def _head(words: list[str], place: int) -> int:
    """Where the thing stands of which a noun only tells which one is meant: "the food at this place is great"."""
    before = place - 1
    while before >= 0 and words[before] in DETERMINERS:
        before -= 1
    return before - 1 if before > 0 and words[before] in _JOINING else place


def _is_of_unknown_noun(words: list[str], at: int) -> bool:
    """Whether the adjective belongs to a noun behind it: "it is a fine wooden bed" does not say that it is fine."""
    article = at - 1
    while article > 0 and (words[article] in STRENGTHS - _ARTICLES or words[article] in POLARITY):
        article -= 1
    return words[article] in _ARTICLES and at + 1 < len(words) and _may_be_noun(words[at + 1])

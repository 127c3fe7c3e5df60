"""What a sentence of a brief must pass beyond the guardrails: one product, figures and trends as they are told.

A number that occurs somewhere is not yet the right number: "34 % positive" has a 34 that is the share of the negative. So a
figure must be said word by word as one of the cited statements has it, between its commas.
"""

import re
from collections.abc import Sequence
from typing import Final

from workers.analyze.guardrails import NUMBER_WORDS, Claim, failures
from workers.analyze.opinions import words_of
from workers.analyze.support import Evidence

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_PIECE = re.compile(r"[,;:](?=\s)|[.!?](?=\s|$)")
_MARKUP: Final = frozenset("<>[]{}`|*#\\~^")  # that no statement has: a brief is shown as Markdown
# Words that tell of a change, a comparison or a cause; also as beginnings of words.
_CONNECTING: Final = frozenset(
    word
    for words in (
        "up down more fewer less most least higher lower highest lowest better best worse worst because due thus",
        "therefore than again still first last record double half rose rise rising fell fall falling grew grow growing",
        "since after más menos mejor peor porque debido mayor menor sube baja subió bajó",
    )
    for word in words.split()
)
_STEMS = re.compile(
    r"increas|decreas|improv|worsen|declin|drop|doubl|tripl|halv|surg|soar|plung|caus|lead|led\b|driv|result|trend"
    r"|aument|dismin|mejor|empeor|crec|caíd|provoc|tendenc"
)


def brief_failures(claim: Claim, evidence: Evidence, products: Sequence[str]) -> tuple[str, ...]:
    """The names of the checks that a brief's sentence fails; none when it may be shown. `products` says of which product
    each of the evidence's texts is."""
    failed = list(failures(claim, evidence))
    cited = [number for number in claim.citations if 0 <= number < len(evidence.texts)]
    if len({products[number] for number in cited}) != 1:
        failed.append("product")
    said = [evidence.texts[number] for number in cited]
    if not _figures_are_theirs(claim.text, said):
        failed.append("figure")
    if not _connects_as_they_do(claim.text, said):
        failed.append("trend")
    if _MARKUP & set(claim.text) - set("".join(said)):
        failed.append("markup")
    return tuple(failed)


def _figures_are_theirs(claim: str, cited: Sequence[str]) -> bool:
    """Whether every number stands in a piece of a cited statement that the claim has word by word; one in letters stands
    there in letters."""
    text, there = _plain(claim), {word for statement in cited for word in words_of(statement)}
    if any(word in NUMBER_WORDS and word not in there for word in words_of(claim)):
        return False
    covered = [
        (at, at + len(piece))
        for statement in cited
        for piece in map(_plain, _PIECE.split(statement))
        if _NUMBER.search(piece)
        for at in _places(piece, text)
    ]
    return all(any(a <= m.start() and m.end() <= b for a, b in covered) for m in _NUMBER.finditer(text))


def _places(piece: str, text: str) -> list[int]:
    return [m.start() for m in re.finditer(rf"(?<!\w){re.escape(piece)}(?!\w)", text)]


def _connects_as_they_do(claim: str, cited: Sequence[str]) -> bool:
    there = {word for statement in cited for word in words_of(statement)}
    return all(word in there for word in words_of(claim) if _connects(word))


def _connects(word: str) -> bool:
    return word in _CONNECTING or _STEMS.match(word) is not None


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("%", " % ").split()).strip(" .!?")

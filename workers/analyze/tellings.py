"""What single clauses tell by how they lean: of a thing, in contrast to what stands before, or as a verdict."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from workers.analyze.content import content
from workers.analyze.opinion_words import ENDORSEMENTS, FONDNESS, REFUSALS
from workers.analyze.support import Evidence

LEANS: Final = 0.2  # what leans less is neither praise nor blame
PLAIN: Final = 0.6  # a clause that leans so far tells what its author thinks
_CONTRAST: Final = re.compile(r"(?:but|however|although|though|pero|aunque|sin embargo)\b", re.I)

Told = set[tuple[int, str, int]]


def told_of(evidence: Evidence) -> Told:
    """(text, stem, 1 or -1) of what clauses plainly tell of a thing: of what they begin with, "the bed was a failure";
    and of all in a clause set against praise, or blame, unless it plainly leans to the other side: "knees like new. But the
    sole is smooth" praises no sole, however it is read alone."""
    told: Told = set()
    before_number, before_leaning = -1, 0.0
    for number, clause, leaning in _clauses(evidence):
        stems = content(clause)
        plain = abs(leaning) >= PLAIN
        contrast = _CONTRAST.match(clause) and number == before_number and abs(before_leaning) >= LEANS
        if contrast and not (plain and _side(leaning) != _side(before_leaning)):
            told |= {(number, stem, -_side(before_leaning)) for stem in stems}
        elif plain:
            told |= {(number, stem, _side(leaning)) for stem in stems[:1]}
        before_number, before_leaning = number, leaning
    return told


def verdicts_of(evidence: Evidence, ironic: Sequence[bool]) -> dict[str, frozenset[int]]:
    """Verdict -> the texts that give it in a clause that plainly leans so: "volver al botón" recommends nothing, nor does
    what is asked. Love that is ironic is none; `ironic` says it of each text."""
    found: dict[str, set[int]] = {"endorsing": set(), "fond": set(), "refusing": set()}
    for number, clause, leaning in _clauses(evidence):
        lowered = clause.lower()
        if abs(leaning) < PLAIN or lowered.endswith("?"):
            continue
        if leaning < 0 and any(phrase in lowered for phrase in REFUSALS):
            found["refusing"].add(number)
        if leaning > 0 and any(phrase in lowered for phrase in ENDORSEMENTS):
            found["endorsing"].add(number)
        if leaning > 0 and FONDNESS.search(clause) and not ironic[number]:
            found["fond"].add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def _clauses(evidence: Evidence) -> Iterator[tuple[int, str, float]]:
    """Text, clause and leaning."""
    yield from zip(evidence.owner.tolist(), evidence.clauses, evidence.leanings.tolist(), strict=True)


def _side(leaning: float) -> int:
    return 1 if leaning > 0 else -1

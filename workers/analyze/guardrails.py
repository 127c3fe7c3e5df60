"""What a sentence must pass before it is shown. Nothing that fails one of these is stored or printed.

A sentence is checked against the texts that it cites, and nothing else: what other texts say does not support it. The checks
know no model's name and trust no writer: composed, quoted and generated sentences go through the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workers.analyze.content import content, stem
from workers.analyze.instructions import addresses_machine
from workers.analyze.opinion_words import FUNCTION_WORDS, POLARITY
from workers.analyze.opinions import words_of
from workers.analyze.support import Array, Evidence, cosine_share, uncovered

MIN_COSINE: Final = 0.70  # to a clause of the cited texts; see support.COSINE
MIN_COVERAGE: Final = (
    0.75  # of content words; of our sentences 5 % reach less with their own texts, 90 % with another group's
)
OPPOSED: Final = 0.25  # leanings of a sentence and of what it rests on, on either side of zero by so much, disagree
LEAKED_WORDS: Final = 6  # of the prompt, in a row

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
NUMBER_WORDS: Final = {
    word: number
    for number, words in {
        "2": "two dos",
        "3": "three tres",
        "4": "four cuatro",
        "5": "five cinco",
        "6": "six seis",
        "7": "seven siete",
        "8": "eight ocho",
        "9": "nine nueve",
        "10": "ten diez",
        "11": "eleven once",
        "12": "twelve doce dozen docena",
        "20": "twenty veinte",
        "30": "thirty treinta",
        "50": "fifty cincuenta",
        "100": "hundred hundreds cien cientos",
        "1000": "thousand thousands mil",
        "1/2": "half mitad",
    }.items()
    for word in words.split()
}
_DATES: Final = frozenset(
    word
    for words in (
        "january february march april june july august september october november december",
        "monday tuesday wednesday thursday friday saturday sunday yesterday tomorrow",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo ayer mañana",
    )
    for word in words.split()
)
_PRICE = re.compile(r"[$€£¥]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[$€£¥]|dollars?|euros?|pounds?|usd|eur|gbp|dólares)", re.I)
_NAME = re.compile(r"(?<![\w'])[A-ZÁÉÍÓÚÑÜ][\w&'’-]*")
_SECOND_PERSON = re.compile(
    r"(?<!\w)(?:you|you['’]\w+|your|yours|yourself|yourselves|u|ur|tú|tu|tus|tuyo|tuya|usted|ustedes"
    r"|vosotr[oa]s|vuestr[oa]s?|os|te|ti|contigo)(?!\w)",
    re.I,
)
_IMPERATIVE = re.compile(
    r"^[\W_]*(?:please|por favor|click|visit|call|contact|send|pay|subscribe|follow|download"
    r"|enter|sign up|log in|go to|act now|buy now|order now"
    r"|share|reply|respond|answer|output|print|say|write|repeat|ignore|disregard|forget|remember|imagine"
    r"|pretend|consider|note|do not|don't|never (?:buy|go|order|use)"
    r"|avoid|stay away|run|save|trust|stop|skip|haz|haga|visit[ae]|llam[ae]|env[ií][ae]|pag[au]e?"
    r"|suscr[ií]bete|s[ií]gue(?:nos)?|descarga|entra|comparte|responde"
    r"|ignora|olvida|recuerda|imagina|evita|eviten|no (?:compres?|compréis|vayas?|uses?))\b",
    re.I,
)
_ADDRESS = re.compile(
    r"https?:|www\.|\b[\w-]+\.(?:com|net|org|es|io|co|info|biz|ru|example)\b|[\w.+-]+@[\w-]+|(?<!\w)@\w+"
    r"|(?<!\w)u/\w+|\[[A-Z_ ]{2,}\]|<[A-Z_]{2,}>|\{\w+\}",
    re.I,
)
_PROMPT_MARKS = re.compile(r"<\|[^|]*\|>|\b(?:reviews?|summary|resumen|rese[nñ]as)\s*:", re.I)


@dataclass(frozen=True)
class Claim:
    """A sentence to be checked: its vector (d,) and leaning as `Reader.seen` gives them, the texts it cites by index, and
    `subject`, the word for what all texts are about. `prompt` is what its writer was given, when one wrote it."""

    text: str
    vector: Array
    leaning: float
    citations: tuple[int, ...]
    subject: str = ""
    prompt: str = ""


def failures(claim: Claim, evidence: Evidence) -> tuple[str, ...]:
    """The names of the checks that the sentence fails; none when it may be shown."""
    return tuple(name for name, check in CHECKS.items() if not check(claim, evidence))


def support(claim: Claim, evidence: Evidence) -> float:
    """How far the cited texts support the sentence, in [0, 1]: see `workers.analyze.support`."""
    if not claim.citations:
        return 0.0
    return round((cosine_share(_cosine(claim, evidence)) + _coverage(claim, evidence)) / 2, 4)


def _is_cited(claim: Claim, evidence: Evidence) -> bool:
    return bool(claim.citations) and all(0 <= number < len(evidence.texts) for number in claim.citations)


def _is_supported(claim: Claim, evidence: Evidence) -> bool:
    """Near a cited clause in meaning, in their words, and every word of praise or blame theirs."""
    missing = set(uncovered(claim.text, _cited(claim, evidence), claim.subject))
    said = {stem(word) for word in words_of(claim.text) if word in POLARITY and word not in FUNCTION_WORDS}
    return _cosine(claim, evidence) >= MIN_COSINE and _coverage(claim, evidence) >= MIN_COVERAGE and not said & missing


def _numbers_occur(claim: Claim, evidence: Evidence) -> bool:
    return numbers_of(claim.text) <= {number for text in _cited(claim, evidence) for number in numbers_of(text)}


def _prices_occur(claim: Claim, evidence: Evidence) -> bool:
    there = {_compact(price) for text in _cited(claim, evidence) for price in _PRICE.findall(text)}
    return {_compact(price) for price in _PRICE.findall(claim.text)} <= there


def _dates_occur(claim: Claim, evidence: Evidence) -> bool:
    there = {word for text in _cited(claim, evidence) for word in words_of(text)}
    return all(word in there for word in words_of(claim.text) if word in _DATES)


def _names_occur(claim: Claim, evidence: Evidence) -> bool:
    """Every capitalised word but the first, and the first, too, when it is written in capitals or digits."""
    there = {_folded(word) for text in (*_cited(claim, evidence), claim.subject) for word in text.split()}
    first = len(claim.text) - len(claim.text.lstrip("\"'“«¡¿("))
    names = [m.group() for m in _NAME.finditer(claim.text) if m.start() > first or not m.group()[1:].islower()]
    return all(_folded(name) in there or len(name) == 1 for name in names)


def _polarity_agrees(claim: Claim, evidence: Evidence) -> bool:
    return bool(claim.citations) and not any(opposes(claim, evidence, number) for number in claim.citations)


def opposes(claim: Claim, evidence: Evidence, number: int) -> bool:
    """Whether a text leans the other way where it speaks of what the sentence says: in the clause that shares most words
    with it, of equals the nearest. (The nearest of all would be one that leans as the sentence does.)"""
    of_text = evidence.of([number])
    if not len(of_text):
        return True
    said = set(content(claim.text))
    shared = [len(said & set(content(evidence.clauses[i]))) for i in of_text]
    cosines = evidence.vectors[of_text] @ claim.vector
    *_, (_, _, nearest) = sorted(zip(shared, cosines.tolist(), of_text.tolist(), strict=True))
    rests_on = float(evidence.leanings[nearest])
    return min(abs(claim.leaning), abs(rests_on)) > OPPOSED and claim.leaning * rests_on < 0


def _is_no_second_person(claim: Claim, _: Evidence) -> bool:
    return not _SECOND_PERSON.search(claim.text)


def _is_no_instruction(claim: Claim, _: Evidence) -> bool:
    return not _IMPERATIVE.search(claim.text) and not addresses_machine(claim.text)


def _leaks_no_prompt(claim: Claim, _: Evidence) -> bool:
    if _PROMPT_MARKS.search(claim.text):
        return False
    said, given = words_of(claim.text), " ".join(words_of(claim.prompt))
    runs = (said[i : i + LEAKED_WORDS] for i in range(len(said) - LEAKED_WORDS + 1))
    return not any(" ".join(run) in given for run in runs)


def _is_without_address(claim: Claim, _: Evidence) -> bool:
    return not _ADDRESS.search(claim.text)


CHECKS: dict[str, Callable[[Claim, Evidence], bool]] = {
    "cited": _is_cited,
    "support": _is_supported,
    "number": _numbers_occur,
    "price": _prices_occur,
    "date": _dates_occur,
    "name": _names_occur,
    "polarity": _polarity_agrees,
    "second_person": _is_no_second_person,
    "instruction": _is_no_instruction,
    "leak": _leaks_no_prompt,
    "address": _is_without_address,
}


def _cited(claim: Claim, evidence: Evidence) -> list[str]:
    return [evidence.texts[number] for number in claim.citations if 0 <= number < len(evidence.texts)]


def _cosine(claim: Claim, evidence: Evidence) -> float:
    clauses = evidence.of(claim.citations)
    return float((evidence.vectors[clauses] @ claim.vector).max()) if len(clauses) else 0.0


def _coverage(claim: Claim, evidence: Evidence) -> float:
    missing = len(uncovered(claim.text, _cited(claim, evidence), claim.subject))
    return 1 - missing / max(1, len(uncovered(claim.text, ())))


def numbers_of(text: str) -> set[str]:
    """The numbers that a text names, in digits or words, as digits."""
    found = {number.strip(".,:/") for number in _NUMBER.findall(text)}
    return found | {NUMBER_WORDS[word] for word in words_of(text) if word in NUMBER_WORDS}


def _compact(price: str) -> str:
    return re.sub(r"\s", "", price).strip(".,").lower()


def _folded(word: str) -> str:
    return re.sub(r"[’']s$", "", word.strip("\"'“”«»¡!¿?().,;:…*")).lower()

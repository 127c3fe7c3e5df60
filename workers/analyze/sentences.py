"""Sentences and clauses of Spanish and English product feedback, as spans of the text.

Written for how people type: lower case after a full stop, no full stop at all, emoji where one would be, ¿ and ¡, bullets.
Every function takes time linear in the text. The spans are in order, do not overlap, begin and end with a visible
character, and together hold every character that is not a space.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MAX_CHARS: Final = 400
"""No span is longer: a rant without punctuation is cut at the last space before this."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start…end of a text, end excluded."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]


_EMOJI = (
    r"[\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
    r"[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff\u2640\u2642]*"
)
_CANDIDATE = re.compile(
    rf"(?P<stop>[.!?…。！？]+[\"'”’»)\]]*)(?P<after>(?:[ \t]*(?:{_EMOJI})+)?)"
    r"|(?P<line>[\r\n\u2028\u2029]\s*)"
    rf"|(?P<emoji>(?:{_EMOJI}[ \t]*)+)"
    r"|(?P<bullet>[ \t](?=[•●▪◦‣][ \t]))"
)
_LISTED: Final = {
    "titles": "sr sra srta dr dra dña prof lic ing arq avda av ej mr mrs ms st vs mt ee i.e e.g p.ej gral",
    "short": """no núm num n nº p pág pag págs pp art cap tel ext vol fig aprox approx ud uds vd vds cía inc ltd co corp dept
        est etc jr ed a.m p.m am pm min max máx mín c d jan feb mar apr jun jul aug sep sept oct nov dec ene abr ago dic hr
        hrs h seg""",
    "hours": "etc am pm a.m p.m",
    "openers": """i it we he she they you the this that these my our but and so no not el la los las lo un una me mi nos se
        pero y es ya si yo muy que""",
}
# A full stop never ends a sentence after a title; after another short form it does not before a digit or a small letter
# (except that hours and "etc." stand before digits only by chance); after "U.S." it does before a word that opens sentences.
_TITLES = frozenset(_LISTED["titles"].split())
_SHORT = frozenset(_LISTED["short"].split())
_HOURS = frozenset(_LISTED["hours"].split())
_OPENERS = frozenset(_LISTED["openers"].split())
_INITIALS = re.compile(r"(?:^|[\s(])(?:[A-Za-z]\.)*[A-Za-z]$")
_LAST_WORD = re.compile(r"[\w.ºª']+$")
_NEXT = re.compile(r"\s*[\"'“‘«(\[]*")
_ENUMERATION = re.compile(r"\s*(?:[-*•]\s*)?\d{1,2}$")
_WRAPPED_LINE_CHARS = 60
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def split_sentences(text: str) -> list[Span]:
    """The sentences of `text`, none longer than MAX_CHARS."""
    cuts = [0, *_sentence_ends(text), len(text)]
    pieces = _trimmed(text, pairwise(cuts))
    return _with_words(text, [part for piece in pieces for part in _bounded(text, piece)])


def split_clauses(text: str, sentences: Sequence[Span] | None = None) -> list[Span]:
    """The `sentences` of `text` (all, unless some are given) cut further where the opinion may turn: at "but", "aunque", a
    semicolon, a new subject."""
    clauses: list[Span] = []
    for sentence in split_sentences(text) if sentences is None else sentences:
        cuts = [sentence.start, *_clause_starts(text, sentence), sentence.end]
        clauses.extend(_trimmed(text, pairwise(cuts)))
    return clauses


# --- where a sentence ends -------------------------------------------------------------------------------------------


def _sentence_ends(text: str) -> Iterator[int]:
    start = 0
    for match in _CANDIDATE.finditer(text):
        if _ends_here(text, start, match):
            start = match.end()
            yield start


def _ends_here(text: str, start: int, match: re.Match[str]) -> bool:
    if match["stop"]:
        return bool(match["after"].strip()) or _stop_ends(text, start, match.start(), match.end(), match["stop"])
    if match["line"]:
        return not _is_wrapped(text, start, match)
    if match["bullet"]:
        return True
    following = text[match.end() : match.end() + 1]
    starts_anew = following.isupper() or following in ("¿", "¡", "@", "#")
    return starts_anew and len(_WORD.findall(text, max(start, match.start() - 80), match.start())) > 1


def _stop_ends(text: str, start: int, at: int, end: int, stop: str) -> bool:
    if end == len(text):
        return True
    glued = not text[end].isspace()
    opening = _NEXT.match(text, end)
    after = opening.end() if opening else end
    following = text[after : after + 1]
    token = _last_token(text, start, at)
    if glued:
        return _glued_stop_ends(token, stop, text[end : end + 2])
    if following.islower() and (stop.startswith(("..", "…")) or stop[-1] in "\"'”’»)]"):
        return False  # "well... it broke", "fast (really fast!) and cheap"
    if stop.startswith("."):
        return _full_stop_ends(text, start, at, token, following, after)
    return True


def _glued_stop_ends(token: str, stop: str, following: str) -> bool:
    """No space after the stop: an address, a decimal, or a typist in a hurry ("bad.Very")."""
    if "/" in token or "@" in token or not following[0].isalpha():
        return following[:1] in ("¿", "¡")
    if stop[0] in "!?…！？。" or len(stop) > 1:
        return True
    return token[-1:].islower() and following[0].isupper() and len(token) > 2 and following[1:].islower()


def _full_stop_ends(text: str, start: int, at: int, token: str, following: str, after: int) -> bool:
    word = _LAST_WORD.search(token)
    last = word.group().lower().rstrip(".") if word else ""
    if last in _TITLES or _ENUMERATION.fullmatch(text, start, at):
        return False
    if last in _SHORT:
        return not (following.islower() or (following.isdigit() and last not in _HOURS))
    if token.isupper() and len(token) <= 3 and following.islower():
        return False  # EE. UU. y otros
    if _INITIALS.search(token) and token[-1:].isupper():
        upcoming = _WORD.match(text, after)
        return bool(upcoming and upcoming.group().lower() in _OPENERS and "." in token)
    return True


def _last_token(text: str, start: int, at: int) -> str:
    """What stands right before `at`, back to a space; at most 64 characters of it."""
    window = text[max(start, at - 64) : at]
    pieces = window.split()
    return pieces[-1] if pieces and not window[-1:].isspace() else ""


def _is_wrapped(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a line break is only where a mail program broke a long line."""
    line_start = max(text.rfind("\n", max(start, match.start() - 200), match.start()) + 1, start)
    breaks = match["line"].count("\n") + match["line"].count("\u2029")
    return (
        breaks == 1
        and match.start() - line_start >= _WRAPPED_LINE_CHARS
        and text[match.end() : match.end() + 1].islower()
    )


# --- shape of the spans ----------------------------------------------------------------------------------------------


def _trimmed(text: str, pieces: Iterator[tuple[int, int]]) -> Iterator[Span]:
    for start, end in pieces:
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end = start + len(piece.strip())
        if start < end:
            yield Span(start, end)


def _bounded(text: str, span: Span) -> Iterator[Span]:
    start = span.start
    while span.end - start > MAX_CHARS:
        space = max(text.rfind(blank, start + MAX_CHARS // 2, start + MAX_CHARS) for blank in " \t\n")
        cut = space if space > start else start + MAX_CHARS
        yield from _trimmed(text, iter([(start, cut)]))
        start = cut
        while text[start].isspace():
            start += 1
    yield Span(start, span.end)


def _with_words(text: str, spans: list[Span]) -> list[Span]:
    """A piece of marks or emoji alone joins its neighbour, as long as MAX_CHARS allows."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.end - joined[-1].start <= MAX_CHARS:
            wordless = not _WORD.search(text, span.start, span.end) or not _WORD.search(
                text, joined[-1].start, joined[-1].end
            )
            if wordless:
                joined[-1] = Span(joined[-1].start, span.end)
                continue
        joined.append(span)
    return joined


# --- where a clause begins -------------------------------------------------------------------------------------------

_SUBJECT = (
    r"(?:the|this|that|these|those|it|it's|they|he|she|we|i|i'm|you|my|our|their|his|her|there|el|la|los|las|lo|mi|mis|su|sus|este"
    r"|esta|estos|estas|un|una|me|nos|se|yo|ellos|nunca|ahora)"
)
_VERB = re.compile(
    r"(?<!\w)(?:is|isn't|are|aren't|was|wasn't|were|has|have|had|does|doesn't|do|don't|did|didn't|can|can't|will|won't"
    r"|works?|worked|came|comes|arrived|lasts?|looks?|feels?|sounds?|needs?|keeps?|broke|breaks|takes?|took|costs?|es|son|está|esta|están|era|eran"
    r"|fue|fueron|tiene|tienen|tenía|va|van|funciona|funcionan|dura|duran|llegó|llego|llegan?|viene|vino|hay|ha|han|parece|tarda"
    r"|tardó|cuesta|falla|fallan|deja|necesita|suena|huele|sabe)(?!\w)",
    re.I,
)
_TURN = re.compile(
    r"(?P<always>;|\s[-–—]{1,2}\s|—|(?:\.{2,}|…)(?=\s))"
    r"|(?<!\w)(?P<contrast>but|however|although|even though|nevertheless|whereas|pero|aunque|sin embargo"
    r"|en cambio|no obstante"
    r"|mientras que|a pesar de|eso s[ií]|lo malo|lo [uú]nico|por el contrario)(?!\w)"
    r"|,\s*(?P<after_comma>while|yet|though|except|despite|unfortunately|sadly|salvo|excepto|mientras|por desgracia|so"
    r"|as[ií] que)(?!\w)"
    rf"|,\s*(?P<subject>(?:and\s+|y\s+)?{_SUBJECT})(?!\w)"
    rf"|\s(?P<joined>(?:and|y|e)\s+{_SUBJECT})(?!\w)",
    re.I,
)
_NOT_CONTRAST = re.compile(r"(?:nothing|anything|everything|all|none|no one|nobody|last|one)\s+$", re.I)


def _clause_starts(text: str, sentence: Span) -> Iterator[int]:
    last = sentence.start
    for match in _TURN.finditer(text, sentence.start, sentence.end):
        at = match.end() if match["always"] else match.start(match.lastgroup or 0)
        if _turns(text, sentence, last, match, at):
            last = at
            yield at


def _turns(text: str, sentence: Span, last: int, match: re.Match[str], at: int) -> bool:
    left = len(_WORD.findall(text, last, at))
    right = len(_WORD.findall(text, at, sentence.end))
    if left == 0 or right == 0:
        return False
    if match["always"] or match["after_comma"]:
        return True
    if match["contrast"]:
        return not _NOT_CONTRAST.search(text, max(last, at - 12), at)
    return left > 2 and _has_predicate(text, at, sentence.end) and _VERB.search(text, last, at) is not None


def _has_predicate(text: str, start: int, end: int) -> bool:
    """Three words or more, one of them a verb, before the next comma."""
    comma = text.find(",", start, end)
    end = comma if comma > 0 else end
    return len(_WORD.findall(text, start, end)) > 2 and _VERB.search(text, start, end) is not None

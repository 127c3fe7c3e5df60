"""What stands where personal data stood, and the loop that puts it there."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from workers.analyze.redact.folding import folded_copy

PLACEHOLDERS: Final = {
    "email": "[EMAIL]",
    "phone": "[PHONE]",
    "card": "[CARD]",
    "iban": "[IBAN]",
    "account": "[ACCOUNT]",
    "national_id": "[ID]",
    "ip": "[IP]",
    "handle": "[HANDLE]",
}

# While we work a placeholder is one noncharacter (Unicode 16, section 23.7: for use inside a program), so that no pattern
# can match into it: the first row stands for what this call redacts, the second for placeholders that were there before.
_KINDS: Final = tuple(PLACEHOLDERS)
_NEW, _OLD = 0xFDD0, 0xFDE0
_MARK: Final = {kind: chr(_NEW + i) for i, kind in enumerate(_KINDS)}
_OLD_MARK: Final = {PLACEHOLDERS[kind]: chr(_OLD + i) for i, kind in enumerate(_KINDS)}
_MARKED = re.compile("[\ufdd0-\ufdef]")
_WRITTEN = re.compile("|".join(re.escape(written) for written in _OLD_MARK))


@dataclass(frozen=True, slots=True)
class Redaction:
    """One replaced piece: a key of `PLACEHOLDERS`, and where its placeholder stands in the redacted text, in characters."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Redacted:
    text: str
    redactions: tuple[Redaction, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many pieces of each kind this call replaced."""
        return dict(Counter(redaction.kind for redaction in self.redactions))


_NOTHING: Final = Redacted("", ())


def until_nothing_left(text: str, find: Callable[[str], Iterable[tuple[str, int, int]]]) -> Redacted:
    """Replaces what `find` finds in the folded text until it finds nothing: what one match hid, the next pass sees."""
    if not text:
        return _NOTHING
    marked = text if text.isascii() else _MARKED.sub("\ufffd", text)
    if "[" in marked:
        marked = _WRITTEN.sub(lambda match: _OLD_MARK[match.group()], marked)
    while True:
        folded, origins = folded_copy(marked)
        chosen = _without_overlaps(find(folded), len(folded))
        if not chosen:
            return _render(marked) if not marked.isascii() else Redacted(marked, ())
        pieces, done = [], 0
        for kind, start, end in chosen:
            if origins is not None:
                start, end = origins[start], origins[end]
            pieces += [marked[done:start], _MARK[kind]]
            done = end
        marked = "".join(pieces) + marked[done:]


def _without_overlaps(found: Iterable[tuple[str, int, int]], length: int) -> list[tuple[str, int, int]]:
    """In reading order, the earlier finder winning where two meet."""
    taken, chosen = bytearray(), []
    for kind, start, end in found:
        taken = taken or bytearray(length)
        if start < end and not any(taken[start:end]):
            taken[start:end] = b"\x01" * (end - start)
            chosen.append((kind, start, end))
    return sorted(chosen, key=lambda piece: piece[1])


def _render(marked: str) -> Redacted:
    pieces: list[str] = []
    redactions: list[Redaction] = []
    done = length = 0
    for match in _MARKED.finditer(marked):
        code = ord(match.group())
        kind = _KINDS[(code - _NEW) % 16]
        pieces += [marked[done : match.start()], PLACEHOLDERS[kind]]
        start = length + match.start() - done
        length = start + len(PLACEHOLDERS[kind])
        if code < _OLD:
            redactions.append(Redaction(kind, start, length))
        done = match.end()
    pieces.append(marked[done:])
    return Redacted("".join(pieces), tuple(redactions))

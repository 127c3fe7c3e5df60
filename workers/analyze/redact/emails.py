"""E-mail addresses, written, spelled out and half hidden."""

import re
from collections.abc import Iterator

from workers.analyze.redact.folding import small_letters

_LOCAL = r"\w\-.+%'!#$*^`{|}~"
_HOST = r"(?:\[[0-9A-Fa-f:.]{3,45}\]|(?:[\w-]+\.)+(?:xn--[\w-]+|[^\W\d_]{2,}))"
_PROVIDER = (
    r"(?:gmail|googlemail|hotmail|outlook|live|msn|yahoo|ymail|icloud|me|mac|aol|gmx|proton(?:mail)?|pm|zoho|mail|correo|terra"
    r"|telefonica|movistar|orange|uol|bol|libero|web|freenet|fastmail|yandex)"
)
_PROVIDER_HOST = (
    rf"{_PROVIDER}(?:\s{{0,2}}[.,]\s{{0,2}}|\s)(?:com?|es|net|org|de|fr|it|pt|mx|ar|cl|br|uk)(?:\.[a-z]{{2}})?(?!\w)"
)
_DOT = (
    r"(?:\s{0,2}[\[({<]\s?(?:dot|punto|ponto|\.)\s?[\])}>]\s{0,2}|\s{1,3}(?:dot|punto|ponto)\s{1,3}"
    r"|[._](?:dot|punto)[._]|\.)"
)
_SPOKEN_HOST = rf"[a-z0-9-]+(?:{_DOT}[a-z0-9-]+){{0,2}}{_DOT}[a-z]{{2,10}}(?!\w)"
_SPOKEN_LOCAL = (
    r"(?<![\w.+-])[\w.+-]+(?:\s{1,2}(?:dot|punto|ponto|gui[oó]n(?:\s{1,2}bajo)?|underscore|dash)\s{1,2}[\w.+-]+){0,3}?"
)
_EMAIL = re.compile(rf"@?(?<![{_LOCAL}])[{_LOCAL}]+@{_HOST}|\"[^\"\n]{{1,64}}\"@{_HOST}")
_EMAIL_ODD = re.compile(rf"(?<![{_LOCAL}/=?&])[{_LOCAL}/=?&]+@{_HOST}")
_EMAIL_LOOSE = re.compile(
    rf"(?<![\w.+-])[\w.+-]+\s{{0,3}}@\s{{0,3}}(?:{_PROVIDER_HOST}|(?:gmail|hotmail|outlook|yahoo|icloud|protonmail)(?!\w))",
    re.I,
)
_EMAIL_CUE = re.compile(
    r"(?<!\w)(?:e-?mail|correo(?:\s+electr[oó]nico)?|mail)\b[^\n@]{0,20}?(?<![\w.+-])"
    r"(?P<address>[\w.+-]+\s{0,3}@\s{0,3}[\w-]+\s{0,2}(?:\.\s{0,2}[\w-]+){1,3})",
    re.I,
)
# What every match of the patterns above has in it; these begin with one character, and are looked for much faster.
_AT_HOST = re.compile(rf"@{_HOST}")
_AT_PROVIDER = re.compile(
    rf"@\s{{0,3}}(?:{_PROVIDER_HOST}|(?:gmail|hotmail|outlook|yahoo|icloud|protonmail)(?!\w))", re.I
)
# Of a text in small letters: what stands for @ when an address is spelled out. Patterns that begin with letters of one case,
# or with one of a few characters, are looked for much faster than others.
_BRACKETED = re.compile(r"[\[({<]\s?(?:at|a|@)\s?[\])}>]")
_SPOKEN_AT = re.compile(r"at\s{1,3}(?:\S+\s{1,3}dot\s|\S+\.)")
_AT_ALONE = re.compile(
    r"(?<![\w.+-])(?!(?:look|it|me|us|them|him|her|shop|bought|is|was|are|be|available|ordered?|found|here|online|buy|sold)\s)"
    r"[\w.+-]+(?:\s{1,2}dot\s{1,2}[\w.+-]+){0,3}?\s{1,3}at\s{1,3}"
    r"(?:[a-z0-9-]+(?:\s{1,3}dot\s{1,3}[a-z0-9-]+){1,3}|(?:gmail|hotmail|outlook|yahoo|icloud|protonmail)\.[a-z.]{2,6})(?!\w)",
    re.I,
)
_EMAIL_SPOKEN = (
    re.compile(
        rf"{_SPOKEN_LOCAL}\s{{0,3}}(?:[\[({{<]\s?(?:at|a|@|arroba)\s?[\])}}>]|\barroba\b|_at_)\s{{0,3}}{_SPOKEN_HOST}",
        re.I,
    ),
    re.compile(rf"{_SPOKEN_LOCAL}(?:\s{{1,3}}arroba\s{{1,3}}|\s?[\[({{<]\s?at\s?[\])}}>]\s?){_PROVIDER}(?!\w)", re.I),
    _AT_ALONE,
    re.compile(
        rf"(?<!\w)[\w.+-]+?(?:arroba|_at_)(?:gmail|hotmail|outlook|yahoo|icloud)(?:{_DOT}|punto)?(?:com|es|net)?(?!\w)",
        re.I,
    ),
)


def _trim_quotes(text: str, start: int, end: int) -> tuple[int, int]:
    """An address in quotes, asterisks or tildes does not begin with them."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip("'`*~|{!#$^.")), end


def emails(text: str) -> Iterator[tuple[int, int]]:
    small = small_letters(text)
    if "@" in text:
        written = (_EMAIL, _EMAIL_ODD) if _AT_HOST.search(text) else ()
        for pattern in (*written, *((_EMAIL_LOOSE,) if _AT_PROVIDER.search(text) else ())):
            for match in pattern.finditer(text):
                yield _trim_quotes(text, *match.span())
        if "mail" in small or "correo" in small:
            for match in _EMAIL_CUE.finditer(text):
                yield match.span("address")
    if "arroba" in small or "_at_" in small or _BRACKETED.search(small):
        patterns: tuple[re.Pattern[str], ...] = _EMAIL_SPOKEN
    else:
        patterns = (_AT_ALONE,) if _SPOKEN_AT.search(small) else ()
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield match.span()

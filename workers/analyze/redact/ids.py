"""National ids and bank accounts: by their own check digits, or by the word before them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from workers.analyze.redact.folding import small_letters


def _is_es_nif(value: str) -> bool:
    from stdnum.es import nif

    return bool(nif.is_valid(value))


def _is_cuit(value: str) -> bool:
    from stdnum.ar import cuit

    return bool(cuit.is_valid(value))


def _is_rut(value: str) -> bool:
    from stdnum.cl import rut

    return bool(rut.is_valid(value))


def _is_cpf(value: str) -> bool:
    from stdnum.br import cpf

    return bool(cpf.is_valid(value))


def _is_rfc(value: str) -> bool:
    from stdnum.mx import rfc

    return bool(rfc.is_valid(value))


def _is_codice_fiscale(value: str) -> bool:
    from stdnum.it import codicefiscale

    return bool(codicefiscale.is_valid(value))


def _is_nir(value: str) -> bool:
    from stdnum.fr import nir

    return bool(nir.is_valid(value))


def _is_cbu(value: str) -> bool:
    from stdnum.ar import cbu

    return bool(cbu.is_valid(value))


def _is_ccc(value: str) -> bool:
    from stdnum.es import ccc

    return len(set(value)) > 1 and bool(ccc.is_valid(value))


def _always(_value: str) -> bool:
    return True


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", re.I)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A pattern whose matches are personal when `valid` agrees; `valid` sees the match without spaces, dots and dashes.
    Those that are not `dense` match without what `_DENSE` looks for."""

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = _always
    dense: bool = True


_SEP = r"[\s.-]{0,2}"
_SHAPES: Final = (
    _Shape("national_id", _shape(rf"(?:[0-9]{{8}}|[0-9]{{2}}[. ][0-9]{{3}}[. ][0-9]{{3}}){_SEP}[A-Z]"), _is_es_nif),
    _Shape("national_id", _shape(rf"[XYZKLM]{_SEP}[0-9](?:\.?[0-9]{{3}}){{2}}{_SEP}[A-Z]"), _is_es_nif),
    _Shape("national_id", _shape(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")),  # US social security
    _Shape("national_id", _shape(r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]")),  # Mexican CURP
    _Shape("national_id", _shape(rf"[A-ZÑ&]{{4}}{_SEP}[0-9]{{6}}{_SEP}[A-Z0-9]{{3}}"), _is_rfc),
    _Shape("national_id", _shape(r"(?:20|23|24|25|26|27)[- ]?[0-9]{8}[- ]?[0-9]"), _is_cuit),
    _Shape("national_id", _shape(r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9K]"), _is_rut),
    _Shape("national_id", _shape(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}")),  # Brazilian CPF as it is printed
    _Shape("national_id", _shape(r"[0-9]{11}"), _is_cpf),
    _Shape(
        "national_id",
        _shape(r"[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]"),
        _is_codice_fiscale,
        dense=False,
    ),
    _Shape("national_id", _shape(r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"), _is_nir),
    _Shape("national_id", _shape(r"(?![DFIQUV])[A-Z](?![DFIOQUV])[A-Z] ?[0-9]{2} [0-9]{2} [0-9]{2} ?[A-D]")),  # UK NINO
    _Shape("account", _shape(r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{2}[ -]?[0-9]{10}"), _is_ccc),
    _Shape("account", _shape(r"[0-9]{4}[ -][0-9]{4}[ -][0-9]{2}(?:[ -]?[0-9]{2,4}){2,5}"), _is_ccc),
    _Shape("account", _shape(r"[0-9]{8} ?[0-9]{14}"), _is_cbu),
)

_FILLER = (
    r"(?:[\s:#=.º°\"'(-]{1,3}|\b(?:no|n[º°]?|nr|num|number|n[uú]mero|is|was|it's|es|era|de|del|mi|my|the|el|la|id|card|code|corriente"
    r"|bancaria|savings|checking|and|y|identidad|ciudadan[ií]a|extranjer[ií]a)\b){0,6}"
)


def _announced(cues: str, value: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![^\W_])(?:{cues})(?![^\W\d_]){_FILLER}(?<![A-Za-z0-9])(?P<value>{value})(?![A-Za-z0-9])", re.I
    )


_DIGITS_SPACED = r"[0-9](?:[\s.-]{0,2}[0-9]){%d,%d}"
# One of these is in every match of the next.
_SECURITY_CUES: Final = ("cvv", "cvc", "csc", "security code", "digo de seguridad")
_SECURITY_CODE = _announced(r"cvv2?|cvc2?|csc|security code|c[oó]digo de seguridad", r"[0-9]{3,4}")
_ANNOUNCED_IP = _announced(r"ip|ip address|direcci[oó]n ip", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_ANNOUNCED: Final = (
    (
        "national_id",
        _announced(
            r"d\.?n\.?i\.?|nie|nif|ssn|social security|seguro social|seguridad social|n\.?s\.?s\.?|curp|rfc|cui[tl]|rut|cpf"
            r"|c[ée]dula|c\.c\.|itin|tax id|nino|national insurance|nhs|steuer-?id|codice fiscale|national id|carn[ée]"
            r"|licencia|driver'?s? licen[cs]e|documento|id card",
            rf"[A-Z]{{0,2}}[\s-]?{_DIGITS_SPACED % (5, 13)}(?:[\s-]?[A-Z])?",
        ),
    ),
    ("national_id", _announced(r"passport|pasaporte|passaporte|passeport", r"[A-Z]{0,3}[\s-]?[0-9]{5,9}[A-Z]?")),
    (
        "account",
        _announced(
            r"account|acct|a/c|cuenta|ccc|routing|aba|sort code|iban|clabe|cbu|conta|compte|kontonummer",
            rf"(?:[A-Z]{{2}}[0-9]{{2}}[\s-]?)?(?:[A-Z]{{4}}[\s-]?)?{_DIGITS_SPACED % (5, 27)}",
        ),
    ),
    (
        "card",
        _announced(
            r"card|tarjeta|visa|mastercard|amex|american express|maestro|carte|cart[ãa]o", _DIGITS_SPACED % (12, 18)
        ),
    ),
    ("card", _SECURITY_CODE),
    ("ip", _ANNOUNCED_IP),
)
# Most texts have no five digits so near each other, and all but a few kinds of ids have.
_DENSE = re.compile(r"[0-9](?:[\s.-]{0,2}[0-9]){4}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[\s.-]{0,2}[A-Za-z0-9]){11,30}")


def find_ids(text: str, digits: int) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of every id, account and announced number. `digits`: how many the text has; few hold no id."""
    dense = digits >= 5 and _DENSE.search(text) is not None
    if digits >= 5:
        yield from (("iban", *span) for span in _ibans(text))
    for kind, pattern in _ANNOUNCED if dense else _announced_sparsely(text, digits):
        yield from ((kind, *match.span("value")) for match in pattern.finditer(text))
    for shape in _SHAPES if digits >= 5 else ():
        for match in shape.pattern.finditer(text) if dense or not shape.dense else ():
            if shape.valid(re.sub(r"[\s.-]", "", match.group())):
                yield (shape.kind, *match.span())


def _announced_sparsely(text: str, digits: int) -> Iterator[tuple[str, re.Pattern[str]]]:
    """The patterns of announced numbers that may match where digits are few and far between."""
    small = small_letters(text) if digits >= 3 else ""
    if any(cue in small for cue in _SECURITY_CUES):
        yield "card", _SECURITY_CODE
    if digits >= 5 and text.count(".") >= 3:
        yield "ip", _ANNOUNCED_IP


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        from stdnum import iban

        ends = [i + 1 for i in range(match.start(), match.end()) if text[i].isalnum()]
        letters = [text[end - 1] for end in ends]
        for length in range(len(letters), 14, -1):
            if iban.is_valid("".join(letters[:length]), check_country=False):
                yield match.start(), ends[length - 1]
                break

"""Personal data goes out of a text before anything else sees it.

What goes: e-mail addresses (also spelled out), phone numbers, payment cards, IBANs and announced bank accounts, national
ids, IP addresses, handles and profile links of people. What stays: prices, dates, model numbers, order and tracking
references, hashtags, and the handles of the company the text is about. Names and postal addresses are not looked for.

Three rules decide the close calls:

- A run of 12 to 19 digits that passes the Luhn check is a card, whatever it is called; one that fails it stays unless it is
  a valid phone, id or account, or a word such as "card", "account" or "passport" announces it. Inside an URL only what
  begins like a card of the large networks counts, because long numbers there are post ids.
- Digits without a leading + are a phone when they are a valid number of one of the regions, written as people of that region
  write it, or when a word such as "tel", "call" or "móvil" announces them. After "order", "pedido", "tracking", "ref" or "#"
  they are a reference and stay.
- A handle is the company's when it is the product's name, or a run of whole words of it, with nothing around it but words
  from `_BRAND_AFFIXES` ("@AmericanAir" for "American", "@AmazonHelp" for "Amazon Echo"); anything else left over, as in
  "@unitedfan_john", makes it a person's.

The search runs over a folded copy of the text (invisible characters out, other scripts' digits and full-width forms to
ASCII, HTML entities resolved) that remembers where each character came from, so what is kept stays as it was written.
"""

import hashlib
import hmac
import html
import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

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
REGIONS: Final = ("ES", "US", "GB", "MX", "AR", "CO", "CL", "PE", "BR", "FR", "DE", "IT", "PT")

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


# --- the folded copy -------------------------------------------------------------------------------------------------

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff"
)
_IS_INVISIBLE = re.compile(f"[{_INVISIBLE}]")
_ENTITY = r"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});|%(?:40|2[bBeE])"
_FOLDABLE = re.compile(
    rf"{_ENTITY}|[{_INVISIBLE}]|[^\S\x00-\x7f]|(?![0-9])\d"
    "|[\u2010-\u2015\u2212\u2024\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u2795\u3002\ufe50-\ufe6b\uff01-\uff5e\U0001d400-\U0001d7ff]"
)


def _fold_piece(piece: str) -> str:
    """What one matched piece of the text means to the patterns: often one ASCII character, or nothing."""
    if len(piece) > 1:
        piece = chr(int(piece[1:], 16)) if piece[0] == "%" else html.unescape(html.unescape(piece.replace("amp;", "")))
    if _IS_INVISIBLE.match(piece) or not piece:
        return ""
    if piece.isspace():
        return " " if piece != "\n" else piece
    if len(piece) > 1:
        return piece
    if unicodedata.category(piece) == "Pd" or piece == "\u2212":
        return "-"
    digit = unicodedata.digit(piece, None)
    if digit is not None:
        return str(digit)
    return {"\u2795": "+", "\u3002": "."}.get(piece) or unicodedata.normalize("NFKC", piece)


def _fold(text: str) -> tuple[str, list[int] | None]:
    """The folded copy, and for each of its characters (and its end) the index in `text`; None when the two are the same."""
    if _FOLDABLE.search(text) is None:
        return text, None
    pieces: list[str] = []
    origins: list[int] = []
    done = 0
    for match in _FOLDABLE.finditer(text):
        pieces.append(text[done : match.start()])
        origins.extend(range(done, match.start()))
        folded = _fold_piece(match.group())
        pieces.append(folded)
        origins.extend([match.start()] * len(folded))
        done = match.end()
    pieces.append(text[done:])
    origins.extend(range(done, len(text) + 1))
    return "".join(pieces), origins


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


# --- e-mail ----------------------------------------------------------------------------------------------------------

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
_SPOKEN_GATE = re.compile(r"arroba|\bat\b|[\[({<]\s?(?:at|a|@)\s?[\])}>]|_at_", re.I)
_EMAIL_SPOKEN = (
    re.compile(
        rf"{_SPOKEN_LOCAL}\s{{0,3}}(?:[\[({{<]\s?(?:at|a|@|arroba)\s?[\])}}>]|\barroba\b|_at_)\s{{0,3}}{_SPOKEN_HOST}",
        re.I,
    ),
    re.compile(rf"{_SPOKEN_LOCAL}(?:\s{{1,3}}arroba\s{{1,3}}|\s?[\[({{<]\s?at\s?[\])}}>]\s?){_PROVIDER}(?!\w)", re.I),
    re.compile(
        r"(?<![\w.+-])(?!(?:look|it|me|us|them|him|her|shop|bought|is|was|are|be|available|ordered?|found|here|online|buy|sold)\s)"
        r"[\w.+-]+(?:\s{1,2}dot\s{1,2}[\w.+-]+){0,3}?\s{1,3}at\s{1,3}"
        r"(?:[a-z0-9-]+(?:\s{1,3}dot\s{1,3}[a-z0-9-]+){1,3}|(?:gmail|hotmail|outlook|yahoo|icloud|protonmail)\.[a-z.]{2,6})(?!\w)",
        re.I,
    ),
    re.compile(
        rf"(?<!\w)[\w.+-]+?(?:arroba|_at_)(?:gmail|hotmail|outlook|yahoo|icloud)(?:{_DOT}|punto)?(?:com|es|net)?(?!\w)",
        re.I,
    ),
)


def _trim_quotes(text: str, start: int, end: int) -> tuple[int, int]:
    """An address in quotes, asterisks or tildes does not begin with them."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip("'`*~|{!#$^.")), end


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        for pattern in (_EMAIL, _EMAIL_ODD, _EMAIL_LOOSE):
            for match in pattern.finditer(text):
                yield _trim_quotes(text, *match.span())
        for match in _EMAIL_CUE.finditer(text):
            yield match.span("address")
    if _SPOKEN_GATE.search(text):
        for pattern in _EMAIL_SPOKEN:
            for match in pattern.finditer(text):
                yield match.span()


# --- handles and profile links ---------------------------------------------------------------------------------------

_BRAND_AFFIXES = _words(
    """official oficial the get go team hello ask care cares help ayuda support soporte assist service servicio atencion
    clientes cliente customer news noticias info app apps hq tv store tienda shop online global world intl us usa uk gb es
    esp espana mx mexico ar argentina co colombia cl chile pe peru br brasil latam de fr it eu europe inc corp group grupo
    air airline airlines airways mobile bank banco hotel hotels food games labs tech audio sport sports motors energy"""
)
# After an @ these are prose: "see you @home".
_PROSE = frozenset(_words("home work school night noon the my all least last first casa las los same this that a an"))
_AMOUNT = re.compile(r"\d+(?:am|pm|a|p|h|hs|hrs|k|x|fps|g?hz|mhz|usd|eur|[gm]b|px|[cm]?m|th|st|nd|rd)?$", re.I)
_HANDLE = re.compile(r"(?<!@)@(?P<name>\w{2,}(?:[.-][a-z0-9_]\w*)*)")
_REDDIT = re.compile(r"(?<![\w/.])/?u/(?P<name>[A-Za-z0-9_-]{3,20})(?![\w/])")
_PROFILE = re.compile(
    r"""(?<![\w.-])(?:(?:www|m|mobile|[a-z]{2})\.)?
    (?:instagram\.com(?:/stories)?|twitter\.com|x\.com|facebook\.com(?:/people)?|fb\.com|fb\.me|tiktok\.com|threads\.(?:net|com)
    |github\.com|gitlab\.com|twitch\.tv|t\.me|telegram\.me|medium\.com|snapchat\.com/add|linkedin\.com/(?:in|pub)
    |youtube\.com(?:/(?:user|c)|(?=/@))|reddit\.com/(?:user|u)|bsky\.app/profile|pinterest\.[a-z]{2,3}|vk\.com|wattpad\.com/user)
    /(?P<name>@?[\w.%-]*\w)(?P<rest>[/?\#][^\s<>"')\]\ufdd0-\ufdef]*)?""",
    re.I | re.X,
)
_NOT_PEOPLE = frozenset(
    _words(
        """p reel reels tv explore hashtag search i intent home watch share sharer sharer.php groups pages events marketplace
        photo photos photo.php story.php permalink.php messages notifications settings about privacy tos legal help s r c
        joinchat jobs company school directory topics trending features pricing orgs apps business ads blog channel login
        signup tag tags video videos live music discover"""
    )
)
_CUED_HANDLE = re.compile(
    r"(?<!\w)(?:ig|insta(?:gram)?|twitter|snap(?:chat)?|telegram|tiktok|discord|skype)\s{0,2}[:=]\s{0,2}"
    r"(?P<name>(?=[A-Za-z.]*[0-9_.])[A-Za-z0-9_][\w.]{2,28}\w)",
    re.I,
)


def _key(name: str) -> str:
    """Letters and digits only, without accents or case: how names are compared."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in decomposed if char.isalnum())


@lru_cache(maxsize=4096)
def _brands(product: str) -> frozenset[str]:
    """The keys under which a product's company may appear: its whole name and each run of its words of 4 letters or more."""
    words = [key for key in map(_key, re.split(r"[^\w&'’]+|_", product)) if key][:24]
    runs = {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    return frozenset({run for run in runs if len(run) >= 4 and not run.isdigit()} | {"".join(words)} - {""})


def _is_company(name: str, brands: Collection[str]) -> bool:
    candidates = {_key(name)}
    for _ in range(3):
        if not candidates.isdisjoint(brands):
            return True
        shorter = {key[len(affix) :] for key in candidates for affix in _BRAND_AFFIXES if key.startswith(affix)}
        candidates = shorter | {
            key[: -len(affix)] for key in candidates for affix in _BRAND_AFFIXES if key.endswith(affix)
        }
    return False


def _is_person(text: str, match: re.Match[str], brands: Collection[str]) -> bool:
    name = match["name"]
    first = re.split(r"[.-]", name, maxsplit=1)[0]
    if first.lower() in _PROSE or _AMOUNT.match(name) or not (any(map(str.isalpha, name)) or name.isdigit()):
        return name.isdigit() and len(name) > 4
    glued = match.start() > 0 and (text[match.start() - 1].isalnum())
    if glued and (len(name) < 4 or not name[0].isalpha()):
        return False
    tail = name[len(first) :]
    if _is_company(first, brands) and not any(char.isdigit() or char == "_" for char in tail):
        return False
    return not _is_company(name, brands)


def _handles(text: str, brands: Collection[str]) -> Iterator[tuple[int, int]]:
    if "/" in text:
        for match in _PROFILE.finditer(text):
            name = match["name"].removeprefix("@")
            rest = (match["rest"] or "").rstrip(".,;:!?")
            listed = name.lower() in _NOT_PEOPLE or (name.lower() == "profile.php" and "id=" not in rest)
            if not listed and not _is_company(name, brands):
                yield match.start("name"), match.end("name") + len(rest)
        yield from (match.span() for match in _REDDIT.finditer(text) if not _is_company(match["name"], brands))
    if "@" in text:
        yield from (match.span() for match in _HANDLE.finditer(text) if _is_person(text, match, brands))
    yield from (match.span("name") for match in _CUED_HANDLE.finditer(text) if not _is_company(match["name"], brands))


# --- ids, accounts, addresses of machines ----------------------------------------------------------------------------


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


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _always(_value: str) -> bool:
    return True


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", re.I)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A pattern whose matches are personal when `valid` agrees; `valid` sees the match without spaces, dots and dashes."""

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = _always


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
    _Shape("national_id", _shape(r"[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]"), _is_codice_fiscale),
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
    ("card", _announced(r"cvv2?|cvc2?|csc|security code|c[oó]digo de seguridad", r"[0-9]{3,4}")),
    ("ip", _announced(r"ip|ip address|direcci[oó]n ip", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")),
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[\s.-]{0,2}[A-Za-z0-9]){11,30}")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*[0-9])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION_CUE = re.compile(
    r"\b(?:v|ver|versi[oó]n|firmware|software|build|release|update|android|ios|driver|rom)\W{0,3}$", re.I
)


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        from stdnum import iban

        ends = [i + 1 for i in range(match.start(), match.end()) if text[i].isalnum()]
        letters = [text[end - 1] for end in ends]
        for length in range(len(letters), 14, -1):
            if iban.is_valid("".join(letters[:length]), check_country=False):
                yield match.start(), ends[length - 1]
                break


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in _IPV4.finditer(text):
        if _is_ip(match.group()) and not _VERSION_CUE.search(text, max(0, match.start() - 24), match.start()):
            yield match.span()
    if text.count(":") > 1:
        yield from (match.span() for match in _IPV6.finditer(text) if len(match.group()) > 5 and _is_ip(match.group()))


# --- runs of digits: cards and phones --------------------------------------------------------------------------------

_BETWEEN = r"[\s().\-/·_*|~]{1,4}"
_RUN = re.compile(rf"[0-9]+(?:{_BETWEEN}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_OPEN_GAP = re.compile(r"[\s()*|~_/]")  # between two numbers; a dot or a dash alone is inside one
_URL = re.compile(r"(?:https?://|www\.(?=[a-z]))[^\s<>\"\ufdd0-\ufdef]+", re.I)
_NETWORK_CARD = re.compile(r"(?:4|5[1-5]|2[2-7]|3[4-7]|6)[0-9]{12,15}$")
_CARD_GROUPS = frozenset(_words("4-6-5 4-6-4 4-4-5 4-5-6 4-8-4 4-12 8-8 6-10 6-13 4-11 4-10"))
_YEAR = re.compile(r"(?:19|20)[0-9]{2}$")
_DATE = re.compile(
    r"(?<![0-9./-])(?:[12][0-9]{3}([-/.])[01]?[0-9]\1[0-3]?[0-9]|[0-3]?[0-9]([-/.])[0-3]?[0-9]\2(?:[12][0-9])?[0-9]{2})"
    r"(?![0-9]|[-/.][0-9])"
)
_MONEY_BEFORE = re.compile(r"(?:[$€£¥]|US\$|usd|eur|mxn|ars|cop)\s?$", re.I)
_UNIT_AFTER = re.compile(
    r"[,:][0-9]{1,2}(?![0-9])|\s?(?:[$€£%]|(?:euros?|eur|usd|mxn|ars|cop|d[oó]lar(?:es)?|dollars?|pesos?|mah|views?|visitas|followers"
    r"|seguidores|users?|usuarios|people|personas|km|kg|times|veces|points|puntos)(?![^\W_]))",
    re.I,
)
_WORDS_BETWEEN = (
    r"(?:[\s:#=.,º°*_\"'(-]{1,3}|\b(?:no|n[º°]?|nr|num|number|n[uú]mero|code|c[oó]digo|id|is|was|es|era|de|del|me|us|nos|at|on|al?|en|my|mi"
    r"|the|el|la|por|favor|please|cell|phone|fijo|personal|home|work|casa)\b){0,6}"
)
_PHONE_CUE = re.compile(
    r"(?<![^\W_])(?:tel(?:[ée]f(?:ono)?s?|efone|ephone)?|tlf|tlfn|tfno|tfn|m[oó]vil|celular|cel|cell|phone|ph|mobile|whats?app|wsp|wpp"
    r"|wasap|guasap|call|calling|text|ring|dial|ll[aá]m(?:a|e|en|ame|eme|enme|anos|adme|ar|arme)|contact(?:o|ar|arme|me)?|fax|sms"
    rf"|marcar|marca|telefon|handy|appelez|chiama(?:mi)?|ligue){_WORDS_BETWEEN}\+?\(?$",
    re.I,
)
_URL_PHONE_CUE = re.compile(r"(?:wa\.me/|phone=|tel[:=]|telefono=|mobile=)\+?$", re.I)
_REFERENCE_CUE = re.compile(
    r"(?:#|(?<![^\W_])(?:orders?|pedidos?|orden|tracking|track|seguimiento|localizador|reserva|booking|reservation|confirmation"
    r"|confirmaci[oó]n|ref|reference|referencia|ticket|billete|case|caso|incidencia|invoice|factura|serial|serie|sku|asin|isbn|ean"
    r"|upc|model|modelo|flight|vuelo|pnr|pack(?:age|et)|env[ií]o|gu[ií]a|albar[aá]n|expediente|imei|art[ií]culo|item|part|bestellung"
    rf"|commande|ordine|encomenda){_WORDS_BETWEEN})$",
    re.I,
)
_EXTENSION = re.compile(r"\s{0,2}(?:;?ext\.?=?|extensi[oó]n|x)\s{0,2}[0-9]{1,5}(?![0-9])", re.I)
_LOOK_BACK = 48


@dataclass(frozen=True, slots=True)
class _Run:
    """Groups of digits with only spaces, dots, dashes and the like between them."""

    text: str
    groups: tuple[tuple[int, int], ...]
    in_url: bool

    def digits(self, i: int, j: int) -> str:
        return "".join(self.text[start:end] for start, end in self.groups[i:j])

    def sizes(self, i: int, j: int) -> tuple[int, ...]:
        return tuple(end - start for start, end in self.groups[i:j])

    def gap(self, i: int) -> str:
        """What stands before group `i`, inside the run; a space at the run's own edges."""
        if i in (0, len(self.groups)):
            return " "
        return self.text[self.groups[i - 1][1] : self.groups[i][0]]

    def span(self, i: int, j: int) -> tuple[int, int]:
        return self.groups[i][0], self.groups[j - 1][1]


def _runs(text: str) -> list[_Run]:
    urls = [match.span() for match in _URL.finditer(text)] if "/" in text or "www." in text else []
    runs = []
    for match in _RUN.finditer(text):
        groups = tuple(group.span() for group in _GROUP.finditer(text, *match.span()))
        if sum(end - start for start, end in groups) >= 7:
            runs.append(_Run(text, groups, any(start <= match.start() < end for start, end in urls)))
    return runs


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B. Zeros alone would pass and are no card."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0 and len(set(digits)) > 1


def _looks_like_card(sizes: tuple[int, ...], whole: bool) -> bool:
    if len(sizes) == 1 or "-".join(map(str, sizes)) in _CARD_GROUPS:
        return True
    if len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0] and (sizes[0] == 4 or (whole and sizes[0] in (1, 2, 5, 6))):
        return True
    return whole and sizes[0] == 4


def _cards(run: _Run) -> list[tuple[int, int]]:
    """The spans of cards in a run; where several readings overlap, the one nearest to the usual 16 digits."""
    count = len(run.groups)
    found = []
    for i in range(count):
        for j in range(i + 1, min(count, i + 19) + 1):
            sizes = run.sizes(i, j)
            length = sum(sizes)
            if length > 19:
                break
            if length >= 12 and _looks_like_card(sizes, (i, j) == (0, count)) and _is_card(run, i, j):
                found.append((abs(length - 16), run.span(i, j)))
    return [span for _, span in sorted(found)]


def _is_card(run: _Run, i: int, j: int) -> bool:
    digits = run.digits(i, j)
    years = all(_YEAR.match(run.digits(k, k + 1)) for k in range(i, j))
    return _luhn(digits) and not years and (not run.in_url or _NETWORK_CARD.match(digits) is not None)


def _phones(run: _Run, regions: Sequence[str], blocked: bytearray) -> Iterator[tuple[int, int]]:
    first = run.groups[0][0]
    before = run.text[max(0, first - _LOOK_BACK) : first]
    plus = before.rstrip(" (").endswith("+")
    cued = bool((_URL_PHONE_CUE if run.in_url else _PHONE_CUE).search(before))
    i, count = 0, len(run.groups)
    while i < count:
        end = None
        if i == 0 and (plus or run.digits(0, 1).startswith("00")):
            end = _international(run, blocked)
        if end is None and (not run.in_url or cued) and (cued or not _REFERENCE_CUE.search(before)):
            end = _national(run, i, regions, blocked, cued and i == 0)
        if end is not None:
            yield _phone_span(run, i, end)
            i = end
        else:
            i += 1


def _phone_span(run: _Run, i: int, j: int) -> tuple[int, int]:
    """The span of groups i…j with its +, its opening bracket and its extension."""
    start, end = run.span(i, j)
    lead = re.search(r"[+(][+( ]{0,2}$", run.text[max(0, start - 3) : start])
    start -= len(lead.group()) if lead else 0
    extension = _EXTENSION.match(run.text, end)
    return start, extension.end() if extension else end


def _international(run: _Run, blocked: bytearray) -> int | None:
    """How many groups of a number with + or 00 belong to it: the longest valid, else the longest possible number."""
    import phonenumbers

    possible = None
    for j in range(min(len(run.groups), 10), 0, -1):
        digits = run.digits(0, j).removeprefix("00")
        if not 7 <= len(digits) <= 15 or any(blocked[slice(*run.span(0, j))]):
            continue
        try:
            number = phonenumbers.parse(f"+{digits}")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return j
        if possible is None and phonenumbers.is_possible_number(number) and not digits.endswith("00000"):
            possible = j
    return possible


def _national(run: _Run, i: int, regions: Sequence[str], blocked: bytearray, cued: bool) -> int | None:
    if not _OPEN_GAP.search(run.gap(i)):
        return None
    widest = None
    for j in range(min(len(run.groups), i + (10 if len(run.groups) <= 12 else 4)), i, -1):
        sizes = run.sizes(i, j)
        if not 7 <= sum(sizes) <= 13 or any(blocked[slice(*run.span(i, j))]):
            continue
        if cued and widest is None:
            widest = j
        if (
            sum(sizes) >= 9
            and _written_like_phone(run, i, j, sizes)
            and _is_national_number(run.digits(i, j), len(sizes), regions)
        ):
            return j
    return widest


def _written_like_phone(run: _Run, i: int, j: int, sizes: tuple[int, ...]) -> bool:
    start, end = run.span(i, j)
    text, digits = run.text, run.digits(i, j)
    glued = text[max(0, start - 1) : start].isalpha() or text[end : end + 1].isalpha()
    if glued or not _OPEN_GAP.search(run.gap(j)) or digits.endswith("00000") or len(set(digits)) == 1:
        return False
    amount = set(sizes[1:]) <= {3}
    if amount and (_MONEY_BEFORE.search(text, max(0, start - 5), start) or _UNIT_AFTER.match(text, end)):
        return False
    if any(size == 1 for size in sizes[1:]):
        steps = {int(b) - int(a) for a, b in pairwise(digits)}
        return set(sizes) == {1} and not steps <= {-1, 1, -9, 9}  # "9 8 7 6 5 4 3 2 1" is a countdown
    gaps = {run.gap(k) for k in range(i + 1, j)}
    if gaps == {"."} and sizes[0] < 3 and (len(sizes) == 2 or set(sizes[1:]) == {3}):
        return False  # 3.141592653 and 1.234.567.890
    if sum(run.gap(k).strip() == "/" for k in range(i + 1, j)) > 1:
        return False  # 30/60/90/120 days
    years = [k - i for k in range(i, j) if _YEAR.match(run.digits(k, k + 1))]
    return len(sizes) == 1 or not (len(years) > 1 or 0 in years or (2 in years and max(sizes[:2]) < 3))


def _is_national_number(digits: str, groups: int, regions: Sequence[str]) -> bool:
    """Valid in a region, and typed with the trunk prefix its people type, or else in groups and of ten digits or more."""
    import phonenumbers

    for region in regions:
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if not phonenumbers.is_valid_number_for_region(number, region):
            continue
        significant = phonenumbers.national_significant_number(number)
        home = re.sub(r"\D", "", phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))
        as_at_home = digits.lstrip("0") == home.lstrip("0") and (digits[0] == "0" or home[0] != "0")
        if as_at_home or digits == f"{number.country_code}{significant}" or (groups > 1 and len(digits) >= 10):
            return True
    return False


# --- the redactor ----------------------------------------------------------------------------------------------------

_DIGIT = re.compile(r"[0-9]")


class Redactor:
    """Replaces personal data by placeholders. Holds no state between calls; one instance serves every thread.

    `regions` are the ISO 3166 codes whose national phone formats are known; `public_handles` are handles to keep besides
    those of the product's own company (with or without @).
    """

    def __init__(self, *, regions: Sequence[str] = REGIONS, public_handles: Collection[str] = ()) -> None:
        self._regions = tuple(regions)
        self._public = frozenset(_key(handle) for handle in public_handles)

    def redact(self, text: str, *, product: str = "") -> Redacted:
        """`text` with its personal data replaced. Redacting the result again changes nothing.

        The noncharacters U+FDD0 to U+FDEF, which have no business in a text, come back as U+FFFD.
        """
        brands = self._public | _brands(product)
        return _until_nothing_left(text, lambda folded: self._find(folded, brands))

    def _find(self, text: str, brands: Collection[str]) -> Iterator[tuple[str, int, int]]:
        yield from (("email", *span) for span in _emails(text))
        digits = len(_DIGIT.findall(text))
        if digits >= 5:
            yield from (("iban", *span) for span in _ibans(text))
            for kind, pattern in _ANNOUNCED:
                yield from ((kind, *match.span("value")) for match in pattern.finditer(text))
            for shape in _SHAPES:
                for match in shape.pattern.finditer(text):
                    if shape.valid(re.sub(r"[\s.-]", "", match.group())):
                        yield (shape.kind, *match.span())
        elif digits >= 3:
            yield from (("card", *match.span("value")) for match in _ANNOUNCED[-2][1].finditer(text))
        if digits >= 3:
            yield from (("ip", *span) for span in _ips(text))
        yield from (("handle", *span) for span in _handles(text, brands))
        if digits >= 7:
            yield from self._find_in_runs(text)

    def _find_in_runs(self, text: str) -> Iterator[tuple[str, int, int]]:
        runs = _runs(text)
        if not runs:
            return
        blocked = bytearray(len(text))
        for match in (*_DATE.finditer(text), *_IPV4.finditer(text)):
            blocked[slice(*match.span())] = b"\x01" * len(match.group())
        for run in runs:
            yield from (("card", *span) for span in _cards(run))
            yield from (("phone", *span) for span in _phones(run, self._regions, blocked))


def _find_in_identifier(text: str, brands: Collection[str]) -> Iterator[tuple[str, int, int]]:
    yield from (("email", *span) for span in _emails(text))
    yield from (("handle", *span) for span in _handles(text, brands))
    nothing_blocked = bytearray(len(text))
    for run in _runs(text):
        before = text[: run.groups[0][0]].rstrip(" (")
        if before.endswith("+") or _URL_PHONE_CUE.search(before):
            end = _international(run, nothing_blocked)
            if end is not None:
                yield ("phone", *_phone_span(run, 0, end))


def _until_nothing_left(text: str, find: Callable[[str], Iterable[tuple[str, int, int]]]) -> Redacted:
    """Replaces what `find` finds in the folded text until it finds nothing: what one match hid, the next pass sees."""
    marked = _WRITTEN.sub(lambda match: _OLD_MARK[match.group()], _MARKED.sub("\ufffd", text))
    while True:
        folded, origins = _fold(marked)
        chosen = _without_overlaps(find(folded), len(folded))
        if not chosen:
            return _render(marked)
        pieces, done = [], 0
        for kind, start, end in chosen:
            if origins is not None:
                start, end = origins[start], origins[end]
            pieces += [marked[done:start], _MARK[kind]]
            done = end
        marked = "".join(pieces) + marked[done:]


def _without_overlaps(found: Iterable[tuple[str, int, int]], length: int) -> list[tuple[str, int, int]]:
    """In reading order, the earlier finder winning where two meet."""
    taken = bytearray(length)
    chosen = []
    for kind, start, end in found:
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


# --- identifiers -----------------------------------------------------------------------------------------------------


def redact_identifier(value: str) -> str:
    """An event id or source, as it is unless it holds an e-mail address, a profile link or a phone with its +.

    Such a value becomes "h:" and 32 hex digits of its SHA-256, so that distinct ids stay distinct and equal ones equal.
    """
    if not _until_nothing_left(value, lambda folded: _find_in_identifier(folded, ())).redactions:
        return value
    return "h:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def redact_url(url: str, *, product: str = "", public_handles: Collection[str] = ()) -> str:
    """`url` without e-mail addresses, + phones and profile handles; the handles of the product's company stay.

    Its other numbers stay as well: in an address they are ids of pages and posts.
    """
    brands = _brands(product) | {_key(handle) for handle in public_handles}
    return _until_nothing_left(url, lambda folded: _find_in_identifier(folded, brands)).text


def author_pseudonym(author: str, salt: bytes) -> str:
    """32 hex digits of HMAC-SHA256 of `author` under `salt`; "" for no author. Equal authors get equal pseudonyms."""
    if not author:
        return ""
    return hmac.new(salt, author.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]

"""Phone numbers in a run of digits: with their +, as people of a region write them, or announced by a word."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from workers.analyze.redact.digit_runs import YEAR, Run

_OPEN_GAP = re.compile(r"[\s()*|~_/]")  # between two numbers; a dot or a dash alone is inside one
DATE = re.compile(
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


def phones(run: Run, regions: Sequence[str], blocked: bytearray) -> Iterator[tuple[int, int]]:
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


def phone_with_plus(run: Run) -> tuple[int, int] | None:
    """The span of a phone at the head of a run that follows a + or, in an address, a word such as "phone="; else None."""
    before = run.text[: run.groups[0][0]].rstrip(" (")
    if not (before.endswith("+") or _URL_PHONE_CUE.search(before)):
        return None
    end = _international(run, bytearray(len(run.text)))
    return None if end is None else _phone_span(run, 0, end)


def _phone_span(run: Run, i: int, j: int) -> tuple[int, int]:
    """The span of groups i…j with its +, its opening bracket and its extension."""
    start, end = run.span(i, j)
    lead = re.search(r"[+(][+( ]{0,2}$", run.text[max(0, start - 3) : start])
    start -= len(lead.group()) if lead else 0
    extension = _EXTENSION.match(run.text, end)
    return start, extension.end() if extension else end


def _international(run: Run, blocked: bytearray) -> int | None:
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


def _national(run: Run, i: int, regions: Sequence[str], blocked: bytearray, cued: bool) -> int | None:
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


def _written_like_phone(run: Run, i: int, j: int, sizes: tuple[int, ...]) -> bool:
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
    years = [k - i for k in range(i, j) if YEAR.match(run.digits(k, k + 1))]
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

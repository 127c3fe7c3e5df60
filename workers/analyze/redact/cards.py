"""Payment cards in a run of digits."""

import re

from workers.analyze.redact.digit_runs import YEAR, Run

_NETWORK_CARD = re.compile(r"(?:4|5[1-5]|2[2-7]|3[4-7]|6)[0-9]{12,15}$")
_CARD_GROUPS = frozenset(("4-6-5", "4-6-4", "4-4-5", "4-5-6", "4-8-4", "4-12", "8-8", "6-10", "6-13", "4-11", "4-10"))


def cards(run: Run) -> list[tuple[int, int]]:
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


def _is_card(run: Run, i: int, j: int) -> bool:
    digits = run.digits(i, j)
    years = all(YEAR.match(run.digits(k, k + 1)) for k in range(i, j))
    return _luhn(digits) and not years and (not run.in_url or _NETWORK_CARD.match(digits) is not None)

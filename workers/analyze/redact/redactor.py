"""The redactor: every finder over one text, in the order in which they win."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Final

from workers.analyze.redact.cards import cards
from workers.analyze.redact.digit_runs import runs_of_digits
from workers.analyze.redact.emails import emails
from workers.analyze.redact.handles import brands_of, handles, name_key
from workers.analyze.redact.ids import find_ids
from workers.analyze.redact.ips import IPV4, ips
from workers.analyze.redact.phones import DATE, phones
from workers.analyze.redact.placeholders import Redacted, until_nothing_left

REGIONS: Final = ("ES", "US", "GB", "MX", "AR", "CO", "CL", "PE", "BR", "FR", "DE", "IT", "PT")
_DIGIT = re.compile(r"[0-9]")


class Redactor:
    """Replaces personal data by placeholders. Holds no state between calls; one instance serves every thread.

    `regions` are the ISO 3166 codes whose national phone formats are known; `public_handles` are handles to keep besides
    those of the product's own company (with or without @).
    """

    def __init__(self, *, regions: Sequence[str] = REGIONS, public_handles: Collection[str] = ()) -> None:
        self._regions = tuple(regions)
        public = frozenset(name_key(handle) for handle in public_handles)
        self._brands = lru_cache(maxsize=4096)(lambda product: public | brands_of(product))

    def redact(self, text: str, *, product: str = "") -> Redacted:
        """`text` with its personal data replaced. Redacting the result again changes nothing.

        The noncharacters U+FDD0 to U+FDEF, which have no business in a text, come back as U+FFFD.
        """
        brands = self._brands(product)
        return until_nothing_left(text, lambda folded: self._find(folded, brands))

    def _find(self, text: str, brands: frozenset[str]) -> Iterator[tuple[str, int, int]]:
        yield from (("email", *span) for span in emails(text))
        digits = len(_DIGIT.findall(text))
        yield from find_ids(text, digits)
        if digits >= 3:
            yield from (("ip", *span) for span in ips(text))
        yield from (("handle", *span) for span in handles(text, brands))
        if digits >= 7:
            yield from self._find_in_runs(text)

    def _find_in_runs(self, text: str) -> Iterator[tuple[str, int, int]]:
        runs = runs_of_digits(text)
        if not runs:
            return
        blocked = bytearray(len(text))
        for match in (*DATE.finditer(text), *IPV4.finditer(text)):
            blocked[slice(*match.span())] = b"\x01" * len(match.group())
        for run in runs:
            yield from (("card", *span) for span in cards(run))
            yield from (("phone", *span) for span in phones(run, self._regions, blocked))

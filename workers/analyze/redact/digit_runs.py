"""Runs of digits, in groups: what cards and phone numbers are read from."""

import re
from dataclasses import dataclass

_BETWEEN = r"[\s().\-/·_*|~]{1,4}"
_RUN = re.compile(rf"[0-9]+(?:{_BETWEEN}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_URL = re.compile(r"(?:https?://|www\.(?=[a-z]))[^\s<>\"\ufdd0-\ufdef]+", re.I)
YEAR = re.compile(r"(?:19|20)[0-9]{2}$")


@dataclass(frozen=True, slots=True)
class Run:
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


def runs_of_digits(text: str) -> list[Run]:
    urls = [match.span() for match in _URL.finditer(text)] if "/" in text or "www." in text else []
    runs = []
    for match in _RUN.finditer(text):
        groups = tuple(group.span() for group in _GROUP.finditer(text, *match.span()))
        if sum(end - start for start, end in groups) >= 7:
            runs.append(Run(text, groups, any(start <= match.start() < end for start, end in urls)))
    return runs

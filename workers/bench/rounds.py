"""Several ways of doing the same, measured in turn, so that whatever else the machine does meets all of them alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Contest:
    """`rates`: way -> its rate (of anything, a second) in each round. The order of the ways changes from round to round."""

    rates: Mapping[str, list[float]]

    def median(self, way: str) -> float:
        return median(self.rates[way])

    def ratio(self, way: str, to: str) -> float:
        """The median over the rounds of one way's rate to another's in the same round."""
        return median(self.ratios(way, to))

    def ratios(self, way: str, to: str) -> list[float]:
        return [a / b for a, b in zip(self.rates[way], self.rates[to], strict=True)]


@dataclass(frozen=True)
class Measured:
    """A part's result. `table`: Markdown. `figures` go into the JSON, flat; `details` beside them under the part's name."""

    part: str
    table: str
    figures: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def in_turn(ways: Mapping[str, Callable[[int], float]], rounds: int, said: Callable[[str], None]) -> Contest:
    """Calls every way with the round's number in every round; each gives back its rate."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    names = list(ways)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            rates[name].append(ways[name](number))
            said(f"round {number + 1} of {rounds}: {name} {rates[name][-1]:,.0f}/s")
    return Contest(rates)


def spread(values: list[float]) -> tuple[float, float]:
    """The lower and the upper quartile; twice the same when there is one value."""
    if len(values) < 2:
        return values[0], values[0]
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""Several ways of doing the same, measured in turn, so that whatever else the machine does meets all of them alike."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from workers.bench.stopwatch import Speed


@dataclass(frozen=True)
class Contest:
    """`speeds`: way -> its speed in each round. The order of the ways changes from round to round."""

    speeds: Mapping[str, list[Speed]]

    def median(self, way: str) -> float:
        """How many a second."""
        return median(speed.a_second for speed in self.speeds[way])

    def ratio(self, way: str, to: str) -> float:
        """The median over the rounds of one way's speed to another's in the same round."""
        return median(self.ratios(way, to))

    def ratios(self, way: str, to: str) -> list[float]:
        """By time passed, one a round."""
        return [a.a_second / b.a_second for a, b in self._pairs(way, to)]

    def core_ratios(self, way: str, to: str) -> list[float]:
        """By computing done, one a round."""
        return [a.a_core_second / b.a_core_second for a, b in self._pairs(way, to)]

    def core_ratio(self, way: str, to: str) -> float:
        """The median of `core_ratios`."""
        return median(self.core_ratios(way, to))

    def as_document(self) -> dict[str, list[Speed]]:
        """Way -> [a second, a core's second] of each round."""
        return dict(self.speeds)

    def _pairs(self, way: str, to: str) -> Iterator[tuple[Speed, Speed]]:
        return zip(self.speeds[way], self.speeds[to], strict=True)


@dataclass(frozen=True)
class Measured:
    """A part's result. `table`: Markdown. `figures` go into the JSON, flat; `details` beside them under the part's name."""

    part: str
    table: str
    figures: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def in_turn(ways: Mapping[str, Callable[[int], Speed]], rounds: int, said: Callable[[str], None]) -> Contest:
    """Calls every way with the round's number in every round; each gives back its speed."""
    speeds: dict[str, list[Speed]] = {way: [] for way in ways}
    names = list(ways)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            speeds[name].append(ways[name](number))
            said(f"round {number + 1} of {rounds}: {name} {speeds[name][-1].a_second:,.0f}/s")
    return Contest(speeds)


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

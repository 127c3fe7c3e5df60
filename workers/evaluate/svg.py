"""Small charts as inline SVG. Colours are the page's CSS variables, so a chart follows light and dark; texts are escaped."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.evaluate.bootstrap import Interval

WIDTH = 560
COLOURS = 5  # --c0 … --c4 of the page; a sixth contestant would share the first's


class Bars(NamedTuple):
    """One measure of all contestants: (name, share in [0, 1] with its interval)."""

    title: str
    bars: Sequence[tuple[str, Interval]]


class Line(NamedTuple):
    """Points (x, y) of shares, each with a word for who points at it. `colour` is an index, or None for the grey."""

    name: str
    points: Sequence[tuple[float, float, str]]
    colour: int | None
    dots: bool


class Mark(NamedTuple):
    """A limit that bars are read by."""

    at: float
    name: str


def limits_chart(bars: Sequence[tuple[str, float | None, str, int | None]], marks: Sequence[Mark], title: str) -> str:
    """Bars from 0 up, with lines at the limits, at most two.

    A bar is (name, figure or None where there is none, what it says, its colour's index or None for the grey).
    """
    left, row, top = 210, 26, 30
    room = WIDTH - left - 110
    most = max([mark.at * 1.2 for mark in marks] + [figure for _, figure, _, _ in bars if figure is not None])
    end = top + row * len(bars)
    parts = []
    for at, mark in enumerate(marks):
        x = left + room * mark.at / most
        parts += [
            f'<path d="M{x:.1f} {top - 6}V{end}" class="ideal"/>',
            _text(x, top - 12, f"{mark.name} {mark.at:g}", "quiet" if at else "end quiet"),
        ]
    for at, (name, figure, told, colour) in enumerate(bars):
        middle = top + row * at + row / 2
        length = 0.0 if figure is None else room * figure / most
        parts += [
            f"<g><title>{escape(f'{name}: {told}')}</title>",
            _text(left - 8, middle + 4, name, "end"),
            f'<rect x="{left}" y="{middle - 8:.1f}" width="{max(length, 1):.1f}" height="16" rx="2"'
            f' fill="{_colour(colour)}"/>',
            _text(left + length + 6, middle + 4, told, "number"),
            "</g>",
        ]
    return _svg(WIDTH, end + 6, "".join(parts), title)


def bar_chart(groups: Sequence[Bars], title: str = "How the contestants compare") -> str:
    """Bars from 0 to 1, a group a measure, a whisker for each interval."""
    left, row, gap = 240, 22, 34
    room = WIDTH - left - 60
    parts, y = [], 0.0
    for group in groups:
        y += gap
        parts.append(_text(0, y - 10, group.title, "strong"))
        for at, (name, each) in enumerate(group.bars):
            low, value, high = (left + room * share for share in (each.low, each.value, each.high))
            middle = y + row / 2
            told = f"{name}: {percent(each.value)} ({percent(each.low)}–{percent(each.high)})"
            parts += [
                f"<g><title>{escape(told)}</title>",
                _text(left - 8, middle + 4, name, "end"),
                f'<rect x="{left}" y="{y + 3:.1f}" width="{value - left:.1f}" height="{row - 6}" rx="2"'
                f' fill="{_colour(at)}"/>',
                f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {middle - 4:.1f}v8M{high:.1f} {middle - 4:.1f}v8"'
                ' class="whisker"/>',
                _text(max(high, value) + 6, middle + 4, percent(each.value), "number"),
                "</g>",
            ]
            y += row
    return _svg(WIDTH, y + 6, "".join(parts), title)


def heat_map(labels: Sequence[str], matrix: NDArray[np.int64]) -> str:
    """The confusion matrix: a row a true label, shaded by the share of its texts, with the counts."""
    left, top, side, height = 110, 46, min(120, (WIDTH - 110) // len(labels)), 52
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    parts = [_text(left, 14, "given →   true ↓", "quiet")]
    for column, label in enumerate(labels):
        parts.append(_text(left + side * column + side / 2, top - 10, label, "middle"))
    for row, label in enumerate(labels):
        y = top + row * height
        parts.append(_text(left - 10, y + height / 2 + 4, label, "end"))
        for column, given in enumerate(labels):
            x, share, count = left + column * side, float(shares[row, column]), int(matrix[row, column])
            told = f"{label}, called {given}: {count:,} ({percent(share)} of {label})"
            parts += [
                f"<g><title>{escape(told)}</title>",
                f'<rect x="{x + 1}" y="{y + 1}" width="{side - 2}" height="{height - 2}" rx="3" class="cell"/>',
                f'<rect x="{x + 1}" y="{y + 1}" width="{side - 2}" height="{height - 2}" rx="3" fill="var(--c0)"'
                f' fill-opacity="{0.8 * share:.3f}"/>',
                _text(x + side / 2, y + height / 2 - 2, f"{count:,}", "middle strong"),
                _text(x + side / 2, y + height / 2 + 15, percent(share), "middle"),
                "</g>",
            ]
    return _svg(left + side * len(labels) + 10, top + height * len(labels) + 6, "".join(parts), "Confusion matrix")


def line_chart(lines: Sequence[Line], across: str, up: str, *, floor: float = 0.0, diagonal: bool = False) -> str:
    """Shares against shares: x from 0 to 1, y from `floor` to 1; a dashed diagonal where both ought to be equal."""
    left, top, room, height = 72, 12, WIDTH - 92, 300

    def at(x: float, y: float) -> tuple[float, float]:
        return left + room * x, top + height * (1 - (max(y, floor) - floor) / (1 - floor))

    parts = []
    for tick in range(6):
        x, y = at(tick / 5, floor + (1 - floor) * tick / 5)
        parts += [
            f'<path d="M{left} {y:.1f}H{left + room}" class="grid"/>',
            _text(left - 8, y + 4, percent(floor + (1 - floor) * tick / 5, 0), "end quiet"),
            _text(x, top + height + 18, percent(tick / 5, 0), "middle quiet"),
        ]
    if diagonal:
        (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
        parts.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" class="ideal"/>')
    for line in lines:
        parts.append(_polyline(line, [(*at(x, y), told) for x, y, told in line.points]))
    parts.append(_text(left + room / 2, top + height + 38, across, "middle"))
    parts.append(f'<text transform="translate(12 {top + height / 2}) rotate(-90)" class="middle">{escape(up)}</text>')
    y = top + height + 60
    for line in lines:
        parts.append(f'<rect x="{left}" y="{y - 9}" width="14" height="10" rx="2" fill="{_colour(line.colour)}"/>')
        parts.append(_text(left + 20, y, line.name, ""))
        y += 18
    return _svg(WIDTH, y - 6, "".join(parts), f"{up} against {across}")


def percent(share: float, digits: int = 1) -> str:
    """0.734 -> 73.4 %, on one line."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _polyline(line: Line, points: Sequence[tuple[float, float, str]]) -> str:
    colour = _colour(line.colour)
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    drawn = f'<path d="{path}" class="line" stroke="{colour}"><title>{escape(line.name)}</title></path>'
    if not line.dots:
        return drawn
    return drawn + "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" class="dot"><title>{escape(told)}</title></circle>'
        for x, y, told in points
    )


def _colour(index: int | None) -> str:
    return "var(--grey)" if index is None else f"var(--c{index % COLOURS})"


def _text(x: float, y: float, words: str, classes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{escape(words)}</text>'


def _svg(width: float, height: float, inside: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(title)}">'
        f"{inside}</svg>"
    )

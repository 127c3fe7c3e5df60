"""Texts with the words that a judgement rests on marked. Every character of the text is escaped: it is a stranger's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open [start, end) in characters of the text, and what it says of what."""

    start: int
    end: int
    aspect: str
    sentiment: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the text and the spans that cover all of it; none for what nothing rests on."""

    text: str
    spans: tuple[Span, ...]


def segments(text: str, spans: Iterable[Span]) -> list[Segment]:
    """The text cut where a span begins or ends, nothing left out. Spans may overlap; what lies outside is cut off."""
    inside = [span for span in spans if 0 <= span.start < min(span.end, len(text))]
    cuts = sorted({0, len(text), *(s.start for s in inside), *(min(s.end, len(text)) for s in inside)})
    return [Segment(text[a:b], tuple(s for s in inside if s.start <= a and b <= s.end)) for a, b in pairwise(cuts)]


def highlighted(text: str, spans: Sequence[Span], titles: dict[str, str], chosen: str | None = None) -> str:
    """The text as HTML: evidence in `<mark>`, with a place for a sign; aspect and polarity in words too.

    `titles`: aspect or sentiment -> its name for people. With `chosen` only that aspect's evidence is marked.
    """
    shown = [span for span in spans if chosen in (None, span.aspect)]
    return "".join(_piece(segment, titles) for segment in segments(text, shown))


def _piece(segment: Segment, titles: dict[str, str]) -> str:
    if not segment.spans:
        return escape(segment.text)
    first = segment.spans[0]
    said = ", ".join(f"{titles.get(s.aspect, s.aspect)}: {titles.get(s.sentiment, s.sentiment)}" for s in segment.spans)
    return (
        f'<mark class="evidence is-{escape(first.sentiment)}" data-aspect="{escape(first.aspect)}" title="{escape(said)}">'
        f'{escape(segment.text)}<span class="sign" aria-hidden="true"></span>'
        f'<span class="sr-only"> ({escape(said)})</span></mark>'
    )

"""Evidence in texts: every character stays, every character is escaped, every mark lies where the span says."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from dashboards.evidence import Span, highlighted, segments

TITLES = {"battery": "Battery", "sound": "Sound", "negative": "negative", "positive": "positive"}
SPANS = st.lists(
    st.builds(
        Span,
        st.integers(-3, 40),
        st.integers(-3, 60),
        st.sampled_from(["battery", "sound"]),
        st.sampled_from(["negative", "positive"]),
    ),
    max_size=6,
)


def visible(marked: str) -> str:
    """The text of the HTML without what we add for signs and screen readers."""
    without = re.sub(r'<span class="(?:sign|sr-only)"[^>]*>[^<]*</span>', "", marked)
    return html.unescape(re.sub(r"<[^>]*>", "", without))


def test_the_words_that_a_judgement_rests_on_are_marked_with_sign_and_words() -> None:
    marked = highlighted("The battery dies fast", [Span(4, 16, "battery", "negative")], TITLES)
    assert marked.startswith("The <mark ")
    assert ">battery dies<" in marked
    assert 'class="evidence is-negative"' in marked
    assert "(Battery: negative)" in marked


def test_html_in_a_text_is_shown_and_never_obeyed() -> None:
    text = '<img src=x onerror="alert(1)"> & <script>x</script>'
    marked = highlighted(text, [Span(0, 12, "battery", "negative")], TITLES)
    assert "<img" not in marked
    assert "<script" not in marked
    assert visible(marked) == text


def test_names_cannot_break_out_of_their_attribute() -> None:
    hostile = '"><script>alert(1)</script>'
    marked = highlighted("abc", [Span(0, 2, hostile, hostile)], {hostile: hostile})
    assert "<script" not in marked


def test_with_an_aspect_chosen_only_its_evidence_is_marked() -> None:
    spans = [Span(0, 3, "sound", "positive"), Span(4, 7, "battery", "negative")]
    marked = highlighted("one two", spans, TITLES, chosen="battery")
    assert re.findall(r"<mark[^>]*>(\w+)", marked) == ["two"]


def test_overlapping_evidence_is_told_of_both_aspects() -> None:
    spans = [Span(0, 5, "sound", "positive"), Span(3, 8, "battery", "negative")]
    pieces = segments("abcdefghij", spans)
    assert [(p.text, {s.aspect for s in p.spans}) for p in pieces] == [
        ("abc", {"sound"}),
        ("de", {"sound", "battery"}),
        ("fgh", {"battery"}),
        ("ij", set()),
    ]


@given(st.text(max_size=50), SPANS)
def test_no_character_is_lost_or_added(text: str, spans: list[Span]) -> None:
    assert "".join(piece.text for piece in segments(text, spans)) == text
    assert html.unescape(visible(highlighted(html.escape(text), [], TITLES))) == html.unescape(html.escape(text))


@given(st.text(min_size=1, max_size=50), SPANS)
def test_a_character_is_marked_exactly_when_a_span_covers_it(text: str, spans: list[Span]) -> None:
    at = 0
    for piece in segments(text, spans):
        for index in range(at, at + len(piece.text)):
            covering = [s for s in spans if 0 <= s.start <= index < s.end]
            assert set(piece.spans) == set(covering)
        at += len(piece.text)

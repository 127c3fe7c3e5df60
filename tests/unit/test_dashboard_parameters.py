"""What a caller may ask of the dashboard: anything else is refused before it meets ClickHouse."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dashboards import statements
from dashboards.paging import BadCursor, Key, decode, encode
from dashboards.parameters import AskedTexts, AskedTrend, AskedWindow, TextFilter, Window

HOSTILE = "x' OR 1=1; DROP TABLE insights; -- {product:String} \\"


def test_a_window_ends_at_the_latest_day_with_texts() -> None:
    assert AskedWindow().until(date(2026, 11, 15)) == Window(date(2026, 11, 9), date(2026, 11, 15))
    assert AskedWindow(days=1).until(date(2026, 11, 15)) == Window(date(2026, 11, 15), date(2026, 11, 15))


def test_the_window_before_is_as_long_and_touches_it() -> None:
    window = Window(date(2026, 3, 1), date(2026, 3, 14))
    assert window.before == Window(date(2026, 2, 15), date(2026, 2, 28))
    assert window.before.days == window.days == len(window.all_days()) == 14


@pytest.mark.parametrize(
    "asked",
    [
        {"days": 0},
        {"days": 99_999},
        {"days": "7; DROP"},
        {"from": "2026-11-02"},
        {"from": "2026-11-03", "to": "2026-11-02"},
        {"from": "2026-11-02", "to": "2026-11-03", "days": 2},
        {"from": "1970-01-01", "to": "2026-11-03"},
        {"from": "2026-02-30", "to": "2026-03-03"},
        {"from": "1900-01-01", "to": "1900-01-02"},
        {"day": 3},
    ],
)
def test_a_window_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AskedWindow.model_validate(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"product": ""},
        {"product": "x" * 129},
        {"q": "x" * 201},
        {"q": "a\0b"},
        {"sentiment": "angry"},
        {"polarity": "negative"},
        {"min_confidence": "nan"},
        {"min_confidence": 1.01},
        {"limit": 0},
        {"limit": 201},
        {"cursor": "x" * 513},
        {"from": "2026-11-03", "to": "2026-11-02"},
        {"order": "text"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AskedTexts.model_validate(asked)


def test_trends_of_an_aspect_by_source_are_refused_for_there_are_none() -> None:
    with pytest.raises(ValidationError, match="ask /texts"):
        AskedTrend(aspect="battery", source="x")


def test_nothing_that_is_asked_becomes_sql() -> None:
    """The statement with hostile words in every place is, letter for letter, the one with harmless words."""

    def filled(word: str) -> TextFilter:
        return TextFilter(
            product=word, source=word, language=word, aspect=word, polarity="negative", intent=word, q=word,
            sentiment="negative", min_confidence=0.5, first=date(2026, 11, 2), last=date(2026, 11, 3),
        )  # fmt: skip

    hostile, harmless = statements.texts(filled(HOSTILE), 10), statements.texts(filled("x"), 10)
    assert hostile.sql == harmless.sql
    assert hostile.parameters["q"] == HOSTILE
    window = Window(date(2026, 11, 2), date(2026, 11, 3))
    for make in (statements.totals, statements.daily, statements.aspects):
        assert make(window, HOSTILE).sql == make(window, "x").sql


# --- keyset paging -------------------------------------------------------------------------------------------------------

KEYS = st.builds(
    Key,
    time_ms=st.integers(0, 4_000_000_000_000),
    topic=st.text(max_size=40),
    topic_id=st.text(max_size=36),
    partition=st.integers(0, 2**32 - 1),
    offset=st.integers(0, 2**63 - 1),
)


@given(KEYS)
def test_a_cursor_leads_back_to_its_row(key: Key) -> None:
    cursor = encode(key)
    assert decode(cursor) == key
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "AAAA", "%%%%", "é" * 8, "W10", "bnVsbA", "WzEsMiwzLDQsNV0", "../../etc/passwd", "e30"],
)
def test_what_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode(cursor)


@given(st.text(max_size=200))
def test_no_text_as_a_cursor_raises_anything_else(cursor: str) -> None:
    try:
        key = decode(cursor)
    except BadCursor:
        return
    assert isinstance(key, Key)

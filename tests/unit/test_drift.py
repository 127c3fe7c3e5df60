"""The population stability index: its textbook value, how it is read, and which days it sets beside which."""

import math
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.drift import REFERENCE_DAYS, WEEK_DAYS, Reading, drift, psi, reading

LAST = date(2026, 11, 15)
COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 50_000)).map(Counter)


def test_the_index_is_that_of_the_formula() -> None:
    """Shares of 0.5, 0.3, 0.2 that become 0.4, 0.3, 0.3: 0.1 ln(0.5/0.4) + 0 + 0.1 ln(0.3/0.2) = 0.06286."""
    before, now = Counter(a=50_000, b=30_000, c=20_000), Counter(a=40_000, b=30_000, c=30_000)
    assert psi(before, now) == pytest.approx(0.1 * math.log(1.25) + 0.1 * math.log(1.5), abs=1e-4)


@given(COUNTS, COUNTS)
def test_it_is_never_negative_the_same_both_ways_and_zero_for_the_same(before: Counter[str], now: Counter[str]) -> None:
    there, back = psi(before, now), psi(now, before)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert there >= -1e-12
        assert there == pytest.approx(back)
        same = psi(now, now)
        assert same is None or same == pytest.approx(0)


def test_with_so_few_texts_that_chance_alone_would_move_it_nothing_is_said() -> None:
    assert psi(Counter(a=20, b=20, c=20), Counter(a=20, b=20, c=20)) is None
    assert psi(Counter(a=200, b=200, c=200), Counter(a=200, b=200, c=200)) == pytest.approx(0)
    assert psi(Counter(), Counter(a=1_000)) is None


@pytest.mark.parametrize(
    ("index", "read"),
    [(None, "too_few"), (0.0, "steady"), (0.0999, "steady"), (0.1, "moving"), (0.25, "moving"), (0.2501, "shifted")],
)
def test_it_is_read_as_usual(index: float | None, read: str) -> None:
    assert reading(index) is Reading(read)


def rows(first_ago: int, last_ago: int, language: str, band: int, *mix: int) -> list[tuple[Any, ...]]:
    """The same texts on each of these days before LAST."""
    return [(LAST - timedelta(days=ago), language, band, *mix) for ago in range(last_ago, first_ago + 1)]


def test_a_week_is_set_beside_the_four_weeks_before_it_and_nothing_else() -> None:
    told = rows(6, 0, "en", 9, 80, 10, 10)  # the week: negative
    told += rows(34, 7, "en", 9, 10, 10, 80)  # the reference: positive
    told += rows(60, 35, "es", 2, 100, 0, 0)  # older: another language, and unsure
    found = drift(told, LAST, 30)
    sentiment, language, confidence = found.latest
    assert (sentiment.texts, sentiment.reference_texts) == (100 * WEEK_DAYS, 100 * REFERENCE_DAYS)
    assert (sentiment.reading, language.reading, confidence.reading) == (
        Reading.SHIFTED,
        Reading.STEADY,
        Reading.STEADY,
    )
    assert {part.name: (part.share, part.reference) for part in sentiment.parts} == {
        "negative": (0.8, 0.1), "neutral": (0.1, 0.1), "positive": (0.1, 0.8)
    }  # fmt: skip
    assert len(found.days) == 30
    assert (found.days[-1].day, found.days[-1].sentiment) == (LAST, sentiment.index)
    week_before = found.days[-8]  # beside three weeks as its own, and one of the older
    assert week_before.day == LAST - timedelta(days=7)
    assert all(reading(index) is Reading.SHIFTED for index in (week_before.sentiment, week_before.language))


def test_rare_languages_count_as_one_and_so_do_low_confidences() -> None:
    told = rows(34, 7, "en", 9, 0, 0, 500) + rows(34, 7, "fi", 1, 0, 0, 1)
    told += rows(6, 0, "en", 9, 0, 0, 500) + rows(6, 0, "xx", 3, 0, 0, 1) + rows(6, 0, "yy", 4, 0, 0, 1)
    _, language, confidence = drift(told, LAST, 1).latest
    assert [part.name for part in language.parts] == ["en", "other"]
    assert [part.name for part in confidence.parts] == ["0.0", "0.9"]


def test_without_texts_there_is_no_index() -> None:
    found = drift([], LAST, 2)
    assert [shift.reading for shift in found.latest] == [Reading.TOO_FEW] * 3
    assert [(day.sentiment, day.language, day.confidence) for day in found.days] == [(None, None, None)] * 2

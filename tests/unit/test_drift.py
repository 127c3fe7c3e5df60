"""The stability indices: their textbook values, how they are read, and which days they set beside which."""

import math
from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dashboards.drift import drift
from workers.drift.stability import Reading, psi, reading
from workers.drift.topic_moves import REFERENCE_DAYS, WEEK_DAYS, moved

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
    found = drift(told, [], LAST, 30)
    sentiment, language, confidence, _ = found.latest
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
    _, language, confidence, _ = drift(told, [], LAST, 1).latest
    assert [part.name for part in language.parts] == ["en", "other"]
    assert [part.name for part in confidence.parts] == ["0.0", "0.9"]


def test_without_texts_there_is_no_index() -> None:
    found = drift([], [], LAST, 2)
    assert [shift.reading for shift in found.latest] == [Reading.TOO_FEW] * 4
    indices = [(day.sentiment, day.language, day.confidence, day.topics) for day in found.days]
    assert indices == [(None, None, None, None)] * 2


# --- what texts are about ----------------------------------------------------------------------------------------------

WIDTH = 64
Vectors = NDArray[np.float64]


def about(subject: int, count: int, seed: int) -> Vectors:
    """Unit vectors (count, WIDTH) of texts on one subject: some tenths of each text are its own."""
    random = np.random.default_rng(seed)
    vectors = np.eye(WIDTH)[subject] + random.normal(size=(count, WIDTH)) / np.sqrt(WIDTH)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def index_of(now: Vectors, reference: Vectors) -> float | None:
    return moved(now.sum(axis=0), len(now), reference.sum(axis=0), len(reference))


def test_the_index_of_topics_is_that_of_the_formula() -> None:
    """Means (0.6, 0.2) and (0.8, 0) of 100 and 400: 0.08 / 0.36 - (1/100 + 1/400) = 0.2097, its root 0.4580."""
    index = moved(np.array([60.0, 20.0]), 100, np.array([320.0, 0.0]), 400)
    assert index == pytest.approx(math.sqrt(0.08 / 0.36 - 0.0125))


@pytest.mark.parametrize("seed", range(20))
def test_texts_on_the_same_subject_are_steady_however_few_are_read(seed: int) -> None:
    index = index_of(about(0, 70, seed), about(0, 280, seed + 100))
    assert reading(index) is Reading.STEADY


@pytest.mark.parametrize("share", [0.2, 0.4, 0.8])
def test_the_index_is_about_the_share_of_texts_on_another_subject(share: float) -> None:
    other = round(1_000 * share)
    index = index_of(np.concatenate([about(1, other, 1), about(0, 1_000 - other, 2)]), about(0, 4_000, 3))
    assert index is not None
    assert 0.7 < index / share < 2.2


def test_too_few_texts_say_nothing_of_topics_nor_do_those_of_two_widths() -> None:
    assert index_of(about(0, 60, 1), about(0, 240, 2)) is None
    assert index_of(about(0, 61, 1), about(0, 400, 2)) is not None
    assert moved(np.zeros(3), 1_000, np.zeros(4), 1_000) is None
    assert moved(np.zeros(0), 0, np.zeros(4), 1_000) is None
    assert moved(np.array([500.0]), 500, np.array([500.0]), 500) is None, "the same text over and over has no spread"


def test_a_week_s_topics_are_set_beside_the_four_weeks_before_it_of_the_same_pack() -> None:
    def day(ago: int, pack: str, subject: int) -> tuple[Any, ...]:
        return LAST - timedelta(days=ago), pack, 100, (about(subject, 100, ago).sum(axis=0) * 127).tolist()

    told = [day(ago, "ours", 1) for ago in range(WEEK_DAYS)]
    told += [day(ago, "ours", 0) for ago in range(WEEK_DAYS, WEEK_DAYS + REFERENCE_DAYS)]
    told += [day(ago, "ours", 1) for ago in range(WEEK_DAYS + REFERENCE_DAYS, 60)]
    told += [(LAST, "another", 5, np.ones(8).tolist())]
    *_, topics = drift([], told, LAST, 1).latest
    assert (topics.what, topics.texts, topics.reference_texts) == ("topics", 100 * WEEK_DAYS, 100 * REFERENCE_DAYS)
    assert topics.reading is Reading.SHIFTED
    assert topics.parts == []
    *_, back = drift([], told, LAST - timedelta(days=WEEK_DAYS), 1).latest
    assert back.reading is Reading.SHIFTED, (
        "the week before: of the old subject, after three weeks of it and one of the new"
    )

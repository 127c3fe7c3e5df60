"""The drift report's verdicts: limits, chance, too few texts, a promoted version, people's labels; and the words."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from workers.drift.agreement import Looked, Trend, agreement, wilson
from workers.drift.compared import (
    NOBODY,
    Cause,
    Mix,
    PackVersion,
    TopicSum,
    Verdict,
    compare,
    compare_topics,
    overlap,
    verdict_of,
)
from workers.drift.report import Drift, Fit, Span, drift, worst
from workers.drift.stability import Reading, chance_limit, psi
from workers.drift.words import change_of, notes, verdict_sentence, what_to_do

LEVEL = 0.001
V1, V2 = PackVersion("words", "1"), PackVersion("words", "2")
WINDOW = Span(datetime(2026, 9, 24, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
REFERENCE = Span(datetime(2026, 8, 27, tzinfo=UTC), datetime(2026, 9, 24, tzinfo=UTC))


@pytest.mark.parametrize(
    ("index", "limit", "verdict"),
    [
        (None, 0.0, Verdict.TOO_FEW),
        (0.0999, 0.01, Verdict.STEADY),
        (0.1, 0.01, Verdict.WATCH),
        (0.25, 0.01, Verdict.WATCH),
        (0.2501, 0.01, Verdict.MOVED),
        (0.3, 0.31, Verdict.STEADY),  # chance alone would give it
        (0.32, 0.31, Verdict.MOVED),
    ],
)
def test_an_index_is_read_by_the_usual_limits_and_by_chance(
    index: float | None, limit: float, verdict: Verdict
) -> None:
    assert verdict_of(index, limit) is verdict


def test_the_limit_of_chance_is_that_of_the_formula() -> None:
    """Chi-square's 99th percentile with two degrees of freedom is 9.2103."""
    limit = chance_limit(Counter(a=200, b=100, c=100), Counter(a=50, b=25, c=25), 0.01)
    assert limit == pytest.approx(9.2103 * (1 / 400 + 1 / 100), rel=1e-4)
    assert chance_limit(Counter(a=5), Counter(a=7), 0.01) == 0
    assert chance_limit(Counter(), Counter(a=7), 0.01) == math.inf


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.6, 0.3, 0.1)])
def test_a_stream_that_stays_is_called_steady_as_often_as_promised(shares: tuple[float, ...]) -> None:
    random = np.random.default_rng(7)
    draws, level = 4_000, 0.01
    beyond = 0
    for now, before in zip(random.multinomial(60, shares, draws), random.multinomial(240, shares, draws), strict=True):
        a, b = (Counter(dict(zip("abc", map(int, side), strict=False))) for side in (now, before))
        index = psi(b, a)
        beyond += index is not None and index > chance_limit(b, a, level)
    assert beyond <= 2 * level * draws


def mixes(**texts: tuple[PackVersion, int, int]) -> dict[PackVersion, Mix]:
    """Of each: who judged, how many texts, how many of them negative."""
    return {by: Mix(n, Counter(negative=negative, other=n - negative)) for by, n, negative in texts.values()}


def test_too_few_texts_are_no_verdict_not_even_of_a_single_kind() -> None:
    few = {V1: Mix(10, Counter(a=10))}
    many = {V1: Mix(10_000, Counter(a=10_000))}
    for now, before in ((few, many), (many, few), (few, {}), ({}, few)):
        found = compare("sentiment", now, before, LEVEL)
        assert (found.index, found.verdict, found.cause) == (None, Verdict.TOO_FEW, Cause.NOBODY)
    assert compare("sentiment", many, many, LEVEL).verdict is Verdict.STEADY


def test_a_shift_under_one_version_is_the_stream_s() -> None:
    found = compare("sentiment", mixes(a=(V1, 1_000, 600)), mixes(a=(V1, 4_000, 800)), LEVEL)
    assert (found.verdict, found.cause, found.under_one_version) == (Verdict.MOVED, Cause.STREAM, None)
    assert found.moved_most is not None
    assert (found.moved_most.share, found.moved_most.reference) in ((0.6, 0.2), (0.4, 0.8))


def test_a_shift_that_the_new_version_alone_shows_is_not_the_stream_s() -> None:
    before = mixes(a=(V1, 4_000, 800), b=(V2, 1_000, 600))
    found = compare("sentiment", mixes(a=(V2, 2_000, 1_200)), before, LEVEL)
    assert found.reading is Reading.SHIFTED
    assert (found.verdict, found.cause) == (Verdict.STEADY, Cause.VERSION)
    assert found.under_one_version is not None
    assert (found.under_one_version.pack, found.under_one_version.reference_texts) == (V2, 1_000)


def test_a_shift_that_versions_hide_from_each_other_is_seen() -> None:
    """The stream went up under version 2, which calls fewer texts negative: together nothing moves."""
    now, before = mixes(a=(V2, 1_000, 400)), mixes(a=(V1, 4_000, 1_700), b=(V2, 1_000, 50))
    found = compare("sentiment", now, before, LEVEL)
    assert found.reading is Reading.STEADY
    assert (found.verdict, found.cause) == (Verdict.MOVED, Cause.STREAM)


@pytest.mark.parametrize("common", [0, 12])
def test_without_enough_texts_under_one_version_it_is_watched_and_not_laid_to_the_stream(common: int) -> None:
    before = mixes(a=(V1, 4_000, 800), **({"b": (V2, common, common)} if common else {}))
    found = compare("sentiment", mixes(a=(V2, 1_000, 600)), before, LEVEL)
    assert (found.verdict, found.cause) == (Verdict.WATCH, Cause.UNTOLD)
    assert found.under_one_version is not None
    assert found.under_one_version.pack == (V2 if common else NOBODY)


def test_a_language_is_not_the_pack_s_to_move() -> None:
    now, before = {V2: Mix(1_000, Counter(es=1_000))}, {V1: Mix(4_000, Counter(en=4_000))}
    assert compare("language", now, before, LEVEL).cause is Cause.STREAM
    assert compare("not_served", now, before, LEVEL).cause is Cause.UNTOLD


def test_a_handful_of_texts_by_another_version_changes_nothing() -> None:
    assert overlap({V1: 96, V2: 4}, {V1: 100}) == pytest.approx(0.96)
    assert overlap({V2: 100}, {V1: 100}) == 0
    found = compare("sentiment", mixes(a=(V1, 970, 582), b=(V2, 30, 0)), mixes(a=(V1, 4_000, 800)), LEVEL)
    assert (found.verdict, found.under_one_version) == (Verdict.MOVED, None)


def test_kinds_that_are_rare_in_both_windows_count_as_one_and_a_new_one_is_named() -> None:
    before = {V1: Mix(10_000, Counter(battery=6_000, a=10, b=10, c=10, none=3_970))}
    now = {V1: Mix(10_000, Counter(battery=4_000, heat=3_000, a=12, d=5, none=2_983))}
    parts = {part.name: part for part in compare("aspects", now, before, LEVEL).parts}
    assert set(parts) == {"battery", "heat", "none", "rarer"}
    assert parts["rarer"].reference == pytest.approx(0.003)


def vectors(subject: int, count: int, seed: int) -> TopicSum:
    random = np.random.default_rng(seed)
    each = np.eye(32)[subject] + random.normal(size=(count, 32)) / np.sqrt(32)
    return TopicSum(count, 127 * (each / np.linalg.norm(each, axis=1, keepdims=True)).sum(axis=0))


def test_topics_are_compared_by_the_pack_that_judged_most_and_by_version() -> None:
    other = PackVersion("another", "1")
    before = {V1: vectors(0, 4_000, 1), other: vectors(5, 9_000, 2)}
    assert compare_topics({V1: vectors(0, 1_000, 3), other: vectors(9, 10, 4)}, before, LEVEL).verdict is Verdict.STEADY
    moved = compare_topics({V1: vectors(1, 1_000, 3)}, before, LEVEL)
    assert (moved.verdict, moved.cause, moved.texts, moved.reference_texts) == (
        Verdict.MOVED, Cause.STREAM, 1_000, 4_000
    )  # fmt: skip
    assert compare_topics({V2: vectors(1, 1_000, 3)}, before, LEVEL).cause is Cause.UNTOLD
    both = before | {V2: vectors(1, 1_000, 7)}
    assert compare_topics({V2: vectors(1, 1_000, 3)}, both, LEVEL).cause is Cause.VERSION
    assert compare_topics({}, before, LEVEL).verdict is Verdict.TOO_FEW


@pytest.mark.parametrize("seed", range(30))
def test_few_texts_on_the_same_subject_are_steady(seed: int) -> None:
    found = compare_topics({V1: vectors(0, 70, seed)}, {V1: vectors(0, 280, 100 + seed)}, LEVEL)
    assert found.verdict is Verdict.STEADY


def test_intervals_are_those_of_the_papers() -> None:
    """Newcombe 1998: 81 of 263 by Wilson's score; 56 of 70 less 48 of 80 by method 10."""
    assert wilson(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    change = agreement(Looked(70, 56), Looked(80, 48)).change
    assert change == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("now", "before", "trend"),
    [
        ((200, 80), (200, 20), Trend.WORSE),
        ((200, 20), (200, 80), Trend.BETTER),
        ((200, 24), (200, 20), Trend.NO_DIFFERENCE),
        ((19, 19), (200, 0), Trend.TOO_FEW),
        ((20, 20), (20, 0), Trend.WORSE),
        ((0, 0), (200, 20), Trend.TOO_FEW),
    ],
)
def test_disagreement_is_read_off_the_interval_of_the_difference(
    now: tuple[int, int], before: tuple[int, int], trend: Trend
) -> None:
    assert agreement(Looked(*now), Looked(*before)).trend is trend


def judged(
    name: str,
    now: bool,
    texts: int,
    by: PackVersion = V1,
    *,
    negative: float = 0.2,
    unsure: float = 0.1,
    es: float = 0.1,
) -> tuple[Any, ...]:
    """A row as ClickHouse counts it."""
    count, doubt, spanish = (round(texts * share) for share in (negative, unsure, es))
    sentiment = {"negative": count, "neutral": 0, "positive": texts - count}
    intents = {"complaint": count, "praise": texts - count}
    return (
        name, now, *by, texts, texts * (0.9 - unsure), doubt, 0, 0, sentiment, intents, {"none": texts},
        {"es": spanish, "en": texts - spanish}, {4: doubt, 9: texts - doubt},
    )  # fmt: skip


def report(*rows: tuple[Any, ...], by: str = "", looked: tuple[tuple[Any, ...], ...] = ()) -> Drift:
    return drift(WINDOW, REFERENCE, {}, by, rows, (), looked, 20)


def test_the_whole_is_the_sum_of_its_groups() -> None:
    found = report(judged("a", True, 300), judged("b", True, 700), judged("a", False, 4_000), by="product")
    assert (found.overall.texts, found.overall.reference_texts) == (1_000, 4_000)
    assert [group.name for group in found.groups] == ["a", "b"]
    assert found.groups[1].verdict is Verdict.TOO_FEW
    assert found.verdict is Verdict.STEADY


def test_more_comparisons_ask_for_more_than_chance_gives_in_one() -> None:
    one = report(judged("a", True, 1_000), judged("a", False, 4_000))
    rows = [judged(name, now, 1_000) for name in "abcdefghij" for now in (True, False)]
    many = report(*rows, by="product")
    assert many.level == pytest.approx(one.level * 9 / (9 + 10 * 9))


def test_the_worst_counts_and_too_few_only_when_nothing_else_is_said() -> None:
    assert worst([Verdict.TOO_FEW, Verdict.STEADY]) is Verdict.STEADY
    assert worst([Verdict.STEADY, Verdict.MOVED, Verdict.WATCH]) is Verdict.MOVED
    assert worst([]) is Verdict.TOO_FEW
    found = report(judged("a", True, 10), judged("a", False, 10))
    assert (found.verdict, found.fit) == (Verdict.TOO_FEW, Fit.CANNOT_TELL)
    assert "too few texts" in verdict_sentence(found)
    assert "longer windows" in next(what_to_do(found))


def test_that_customers_complain_is_no_sign_against_the_model_that_says_so() -> None:
    found = report(judged("", True, 1_000, negative=0.6), judged("", False, 4_000))
    assert (found.verdict, found.fit) == (Verdict.MOVED, Fit.YES)
    sentiment = found.overall.measure("sentiment")
    assert sentiment is not None
    assert change_of(found.overall, sentiment) in ("negative 20 % → 60 %", "positive 80 % → 40 %")
    assert "what texts say moved: sentiment" in verdict_sentence(found)


@pytest.mark.parametrize(("unsure", "es"), [(0.5, 0.1), (0.1, 0.6)])
def test_a_model_that_is_less_sure_or_reads_other_texts_is_in_doubt(unsure: float, es: float) -> None:
    found = report(judged("", True, 1_000, unsure=unsure, es=es), judged("", False, 4_000))
    assert found.fit is Fit.IN_DOUBT
    assert "in doubt" in verdict_sentence(found)
    assert [line.split()[0] for line in what_to_do(found)] == ["Label", "Learn", "Once"]


def test_a_model_that_is_surer_is_not() -> None:
    found = report(judged("", True, 1_000, unsure=0.1), judged("", False, 4_000, unsure=0.5))
    assert (found.verdict, found.fit) == (Verdict.MOVED, Fit.YES)


def test_people_count_most_in_both_ways() -> None:
    rows = judged("", True, 1_000, unsure=0.5), judged("", False, 4_000)
    agreed = report(*rows, looked=(("", 1, 500, 50), ("", 0, 500, 50)))
    assert (agreed.fit, agreed.verdict) == (Fit.YES, Verdict.MOVED)
    assert "about as often as before" in verdict_sentence(agreed)
    few = report(*rows, looked=(("", 1, 30, 3), ("", 0, 30, 3)))
    assert few.fit is Fit.IN_DOUBT, "thirty texts would not have shown it"
    disagreed = report(judged("", True, 1_000), judged("", False, 4_000), looked=(("", 1, 90, 45), ("", 0, 90, 9)))
    assert (disagreed.fit, disagreed.verdict) == (Fit.NO, Verdict.MOVED)
    assert "50 % (40…60)" in verdict_sentence(disagreed)


def test_a_promotion_is_named_and_not_the_stream() -> None:
    same = judged("", False, 2_000, V2, negative=0.6)
    found = report(judged("", True, 1_000, V2, negative=0.6), judged("", False, 4_000), same)
    told = " ".join([verdict_sentence(found), *notes(found)])
    assert "words 2: 1,000 of the window, 2,000 of the reference" in told
    assert "That alone moved sentiment, intents" in told
    assert (found.verdict, found.fit) == (Verdict.STEADY, Fit.YES)
    untold = report(judged("", True, 1_000, V2, negative=0.6), judged("", False, 4_000))
    assert untold.fit is Fit.CANNOT_TELL
    assert next(what_to_do(untold)).startswith("voxpop reprocess --since 2026-08-27")
    worse = replace(untold, overall=replace(untold.overall, agreement=agreement(Looked(90, 45), Looked(90, 9))))
    assert any("voxpop packs rollback words" in line for line in what_to_do(worse))

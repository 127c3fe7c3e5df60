"""The z-test behind "movers": against published figures, against simulation-free facts, and what it says in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.movers import Counts, Evidence, compare, movers

COUNTS = st.integers(1, 2_000).flatmap(lambda texts: st.builds(Counts, st.just(texts), st.integers(0, texts)))


def test_z_and_p_are_those_of_the_textbook() -> None:
    # Two samples of 500, 200 and 250 successes: pooled 0.45, z = 0.1 / sqrt(0.45 * 0.55 * 2 / 500) = 3.178, p = 0.00148.
    change = compare(Counts(500, 200), Counts(500, 250))
    assert change.z == pytest.approx(3.1782, abs=1e-4)
    assert change.p == pytest.approx(0.00148, abs=1e-5)
    assert change.evidence is Evidence.STRONG


@pytest.mark.parametrize(
    ("before", "after", "evidence"),
    [
        (Counts(100, 40), Counts(100, 60), Evidence.STRONG),
        (Counts(100, 40), Counts(100, 55), Evidence.LIKELY),
        (Counts(100, 40), Counts(100, 45), Evidence.CHANCE),
        (Counts(4, 1), Counts(6, 5), Evidence.TOO_FEW),
        (Counts(1_000, 1), Counts(1_000, 3), Evidence.TOO_FEW),
        (Counts(0, 0), Counts(50, 20), Evidence.TOO_FEW),
    ],
)
def test_the_words_follow_the_test(before: Counts, after: Counts, evidence: Evidence) -> None:
    assert compare(before, after).evidence is evidence


@given(COUNTS, COUNTS)
def test_the_other_way_round_the_change_is_the_opposite_and_as_sure(before: Counts, after: Counts) -> None:
    there, back = compare(before, after), compare(after, before)
    assert there.difference == pytest.approx(-(back.difference or 0))
    assert there.evidence == back.evidence
    assert (there.p is None) == (there.evidence is Evidence.TOO_FEW)
    if there.p is not None and back.p is not None:
        assert 0 <= there.p <= 1
        assert there.p == pytest.approx(back.p)


def test_sure_changes_come_before_large_ones_and_products_without_a_past_are_left_out() -> None:
    found = movers(
        [
            ("chance", Counts(20, 5), Counts(20, 10)),
            ("few", Counts(2, 0), Counts(2, 2)),
            ("better", Counts(100, 80), Counts(100, 30)),
            ("worse", Counts(100, 20), Counts(100, 60)),
            ("new", Counts(0, 0), Counts(40, 20)),
        ]
    )
    assert [mover.product for mover in found] == ["better", "worse", "chance", "few"]

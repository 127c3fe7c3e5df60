"""The z-test behind "movers": against published figures, against simulation-free facts, and what it says in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.emerging import emerging
from dashboards.movers import Change, Counts, Evidence, compare, movers, together

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


# --- many at once --------------------------------------------------------------------------------------------------------


def with_p(p: float | None) -> Change:
    return Change(0.1, 1.0, p, p, Evidence.CHANCE) if p is not None else compare(Counts(2, 0), Counts(2, 2))


def test_q_is_that_of_benjamini_and_hochberg_s_own_example() -> None:
    """Their table of 15 p-values (1995, section 3.2): at 0.05 the procedure rejects the four smallest and no other."""
    published = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    published += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]
    found = together([with_p(p) for p in published])
    assert [change.q is not None and change.q < 0.05 for change in found] == [True] * 4 + [False] * 11
    assert found[0].q == pytest.approx(0.0015)
    assert found[3].q == pytest.approx(0.035625)
    assert [change.evidence for change in found[:5]] == [
        Evidence.STRONG, Evidence.STRONG, Evidence.STRONG, Evidence.LIKELY, Evidence.CHANCE
    ]  # fmt: skip


@given(st.lists(st.one_of(st.none(), st.floats(0, 1))))
def test_q_is_never_below_p_keeps_its_order_and_leaves_out_what_was_not_tested(given_p: list[float | None]) -> None:
    changes = [with_p(p) for p in given_p]
    found = together(changes)
    assert [replace(change, q=None, evidence=Evidence.CHANCE) for change in found] == [
        replace(change, q=None, evidence=Evidence.CHANCE) for change in changes
    ]
    pairs = sorted((change.p, change.q) for change in found if change.p is not None and change.q is not None)
    assert len(pairs) == sum(p is not None for p in given_p)
    assert all(p <= q <= 1 for p, q in pairs)
    assert [q for _, q in pairs] == sorted(q for _, q in pairs)


def test_what_is_unlikely_alone_may_be_chance_among_many() -> None:
    likely = (Counts(100, 40), Counts(100, 55))
    assert compare(*likely).evidence is Evidence.LIKELY
    still = [(f"still {n}", Counts(100, 40), Counts(100, 41)) for n in range(20)]
    found = {mover.product: mover.change for mover in movers([("likely", *likely), *still])}
    assert found["likely"].p == compare(*likely).p
    assert found["likely"].evidence is Evidence.CHANCE


def test_an_aspect_emerges_when_its_share_of_the_mentions_grows_beyond_chance() -> None:
    found = emerging(
        [
            ("A", "battery", 80, 60, 20),
            ("A", "sound", 60, 5, 80),
            ("A", "price", 60, 5, 70),
            ("B", "battery", 2, 2, 0),
            ("B", "sound", 100, 10, 100),
        ]
    )
    assert [(row.product, row.aspect, row.evidence) for row in found] == [("A", "battery", Evidence.STRONG)]
    assert (found[0].of, found[0].of_before, found[0].difference) == (
        200,
        170,
        pytest.approx(80 / 200 - 20 / 170, abs=1e-4),
    )

"""The tests' p values: those of SciPy's distributions where they are exact, and never more often small than they say."""

import numpy as np
import pytest
from scipy import stats

from workers.alerting.significance import count_is_high, nothing_is_low, share_is_high


@pytest.mark.parametrize(("observed", "texts"), [(0, 0), (0, 9), (1, 1), (6, 9), (10, 12), (400, 1000)])
@pytest.mark.parametrize(("counted", "of"), [(0, 1), (2, 23), (500, 1000)])
def test_a_share_s_p_value_is_the_beta_binomial_s_of_jeffreys_prior(
    observed: int, texts: int, counted: int, of: int
) -> None:
    """One window of the past: nothing tells that windows differ more than by chance."""
    found = share_is_high(observed, texts, [(counted, of)])
    expected = stats.betabinom.sf(observed - 1, texts, counted + 0.5, of - counted + 0.5)
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert found.expected == pytest.approx(texts * (counted + 0.5) / (of + 1))


@pytest.mark.parametrize("observed", [0, 1, 5, 12, 300])
@pytest.mark.parametrize("past", [[3], [3, 3, 3, 3, 4, 4, 3], [0] * 7, [200] * 28])
def test_a_count_s_p_value_is_the_negative_binomial_s_of_the_gamma_poisson_predictive(
    observed: int, past: list[int]
) -> None:
    """A past that varies less than Poisson counts would is taken as one that varies as they do."""
    windows, total = len(past), sum(past) + 0.5
    found = count_is_high(observed, past)
    assert found.p_value == pytest.approx(stats.nbinom.sf(observed - 1, total, windows / (windows + 1)), rel=1e-9)
    assert found.expected == pytest.approx(total / windows)


@pytest.mark.parametrize("windows", [0.25, 1, 4.5])
def test_the_p_value_of_nothing_is_the_negative_binomial_s_at_zero(windows: float) -> None:
    past = [3, 4, 2, 3, 4, 3, 2]
    found = nothing_is_low(windows, past)
    days = len(past) / windows
    assert found.p_value == pytest.approx(stats.nbinom.pmf(0, sum(past) + 0.5, days / (days + 1)), rel=1e-9)


def test_a_past_that_varies_much_makes_the_same_count_and_share_less_unusual() -> None:
    assert count_is_high(12, [0, 10, 0, 9, 0, 2, 0]).p_value > 5 * count_is_high(12, [3] * 7).p_value
    steady, wild = [(3, 10)] * 8, [(0, 10), (6, 10)] * 4
    assert share_is_high(9, 10, wild).p_value > 3 * share_is_high(9, 10, steady).p_value


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_chance_alone_gives_p_values_below_a_level_at_most_as_often_as_it_says(level: float) -> None:
    lots = np.random.default_rng(7)
    rounds = 4_000
    counts = lots.poisson(6, (rounds, 11))
    high = sum(count_is_high(int(row[-1]), row[:-1].tolist()).p_value < level for row in counts)
    texts = lots.poisson(12, (rounds, 11))
    negative = lots.binomial(texts, 0.3)
    shares = sum(
        share_is_high(int(n[-1]), int(t[-1]), list(zip(n[:-1].tolist(), t[:-1].tolist(), strict=True))).p_value < level
        for n, t in zip(negative, texts, strict=True)
    )
    most = stats.binom.ppf(0.9999, rounds, level)
    assert high <= most
    assert shares <= most
    assert min(high, shares) > 0

"""Confidence intervals, by how often they hold the truth."""

import numpy as np
import pytest

from clipgen.judge.intervals import mean_interval, share_interval


def test_nineteen_of_twenty_intervals_of_a_mean_hold_it() -> None:
    rng = np.random.default_rng(7)
    found = [mean_interval(rng.normal(0.3, 1.0, size=32).tolist()) for _ in range(200)]
    assert 0.88 <= sum(each.low <= 0.3 <= each.high for each in found) / 200 <= 0.99


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_nineteen_of_twenty_intervals_of_a_share_hold_it(share: float) -> None:
    hits = np.random.default_rng(7).binomial(40, share, size=2000)
    found = [share_interval(int(each), 40) for each in hits]
    assert 0.92 <= sum(each.low <= share <= each.high for each in found) / 2000 <= 0.98


def test_wilson_by_the_published_example() -> None:
    """Newcombe (1998, table I): 81 of 263."""
    found = share_interval(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (1, 1)])
def test_shares_stay_shares(hits: int, count: int) -> None:
    found = share_interval(hits, count)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.2


def test_the_same_values_have_the_same_interval() -> None:
    assert mean_interval([0.1, 0.5, -0.2]) == mean_interval([0.1, 0.5, -0.2])
    assert str(mean_interval([0.25])) == "0.250 [0.250, 0.250]"

"""Paired differences, and what votes say: by hand, by another package, and by the likelihood itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipgen.judge import preference
from clipgen.judge.intervals import RESAMPLES
from clipgen.judge.paired import FEWEST, paired_difference
from clipgen.judge.preference import Numbers, bradley_terry, strengths

scores = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=40)
WINS = np.array([[0, 7, 2, 5], [3, 0, 4, 6], [8, 5, 0, 1], [1, 2, 9, 0]], dtype=float)


def test_a_paired_difference_is_that_of_numpy() -> None:
    rng = np.random.default_rng(5)
    first = rng.normal(0.2, 0.1, 32)
    second = first + rng.normal(0.03, 0.02, 32)
    found = paired_difference(first.tolist(), second.tolist())
    gains = second - first
    assert found.gain.value == pytest.approx(gains.mean())
    draws = rng.choice(gains, (RESAMPLES, 32))
    low, high = np.percentile(draws.mean(1), [2.5, 97.5])
    assert (found.gain.low, found.gain.high) == pytest.approx((low, high), abs=4e-4)
    assert found.wins.value == (gains > 0).mean()
    assert (
        found.in_words("A", "B") == f"B is better by {gains.mean():.4f} [{found.gain.low:.4f}, {found.gain.high:.4f}]"
    )
    unpaired = np.hypot(*(1.96 * side.std() / 32**0.5 for side in (first, second)))
    assert found.gain.high - found.gain.low < unpaired  # which is why it is paired


@given(scores)
def test_sides_change_places(pairs: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.gain.value == pytest.approx(-other.gain.value)
    assert one.wins.value == pytest.approx(1 - other.wins.value)
    assert one.gain.low <= one.gain.value + 1e-9
    assert one.gain.value <= one.gain.high + 1e-9
    if one.is_told:
        better = "B" if np.mean(np.subtract(second, first)) > 0 else "A"
        assert one.in_words("A", "B").startswith(f"{better} is better by ")
    else:
        assert one.in_words("A", "B").startswith(f"no difference can be told at n = {len(pairs)}")


def test_equal_and_few_pairs_tell_nothing() -> None:
    same = paired_difference([0.3] * 20, [0.3] * 20)
    assert (same.wins.value, same.in_words("A", "B")) == (0.5, "no difference can be told at n = 20")
    few = paired_difference([0.1] * (FEWEST - 1), [0.9] * (FEWEST - 1))
    assert few.gain.low > 0
    assert few.in_words("A", "B") == "no difference can be told at n = 5: that takes 6 pairs at least"
    assert paired_difference([0.9] * FEWEST, [0.1] * FEWEST).in_words("A", "B").startswith("A is better by 0.8000 [")
    assert 2 * 0.5**FEWEST < 0.05 < 2 * 0.5 ** (FEWEST - 1)  # the chance that one of two equal sides wins all


def log_likelihood(logs: Numbers, wins: Numbers) -> float:
    chances = 1 / (1 + np.exp(logs[None, :] - logs[:, None]))
    return float((wins * np.log(chances)).sum())


def test_strengths_are_the_most_likely() -> None:
    found = bradley_terry(WINS)
    best = log_likelihood(found, WINS)
    rng = np.random.default_rng(0)
    for size in (1.0, 0.1, 0.001):
        assert all(log_likelihood(found + size * rng.normal(size=4), WINS) < best for _ in range(200))
    assert found.mean() == pytest.approx(0)


def test_strengths_are_those_of_choix() -> None:
    choix = pytest.importorskip("choix", reason="pip install choix")
    data = [(i, j) for i in range(4) for j in range(4) for _ in range(int(WINS[i, j]))]
    assert bradley_terry(WINS) == pytest.approx(choix.mm_pairwise(4, data), abs=1e-5)


def test_strengths_of_two_sides_are_the_odds() -> None:
    assert np.diff(bradley_terry(np.array([[0.0, 3.0], [9.0, 0.0]]))) == pytest.approx(np.log(3))
    assert bradley_terry(np.stack([WINS, WINS.T]))[1] == pytest.approx(bradley_terry(WINS.T))


def won_by(*rows: tuple[int, int, float]) -> Numbers:
    """One prompt a row: the sides, and the share of the first."""
    won = np.zeros((len(rows), 3, 3))
    for number, (first, second, share) in enumerate(rows):
        won[number, first, second], won[number, second, first] = share, 1 - share
    return won


def test_a_side_that_always_wins_is_the_strongest_and_its_strength_is_finite() -> None:
    low, middle, high = strengths(won_by(*[(2, 1, 1.0), (1, 0, 1.0), (2, 0, 1.0)] * 10))
    assert low.value < middle.value < high.value < 10
    assert low.low <= low.value <= low.high < high.low <= high.value <= high.high
    equal = strengths(won_by(*[(2, 1, 0.5), (1, 0, 0.5), (2, 0, 0.5)] * 4))
    assert [one.value for one in equal] == pytest.approx([0, 0, 0])


def test_the_interval_of_a_strength_covers_the_truth_about_as_often_as_it_says() -> None:
    truth, hits = np.array([0.5, 0.0, -0.5]), 0
    rng = np.random.default_rng(3)
    for seed in range(24):
        rows = []
        for _ in range(30):
            for first, second in ((0, 1), (0, 2), (1, 2)):
                chance = 1 / (1 + np.exp(truth[second] - truth[first]))
                rows.append((first, second, float(rng.random() < chance)))
        [one, _, _] = strengths(won_by(*rows), seed)
        hits += one.low <= 0.5 <= one.high
    assert 20 <= hits <= 24


def test_a_preference_counts_prompts() -> None:
    won = won_by((0, 1, 1.0), (0, 1, 0.5), (0, 1, 0.0), (1, 2, 1.0))
    found = preference.preference(won, 0, 1)
    assert found is not None
    assert (found.count, found.share.value) == (3, 0.5)
    assert found.in_words("A", "B") == "no preference can be told at n = 3"
    assert preference.preference(won, 0, 2) is None
    sure = preference.preference(won_by(*[(0, 1, 0.0)] * 10), 0, 1)
    assert sure is not None
    assert sure.in_words("A", "B") == "B is preferred"
    unsure = preference.preference(won_by(*[(0, 1, 1.0)] * 10), 0, 1)
    assert unsure is not None
    assert unsure.in_words("A", "B") == "A is preferred"

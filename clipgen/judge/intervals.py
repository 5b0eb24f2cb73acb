"""Confidence intervals, so that a difference is not taken for more than it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
"""Of the intervals."""
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate, and the interval around it that holds the true value at the confidence LEVEL."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of independent values, by the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13).

    For a paired comparison the values are the differences of the pairs. One value has an interval of no width.
    """
    given = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(len(given), size=(RESAMPLES, len(given)))
    low, high = np.quantile(given[draws].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(given.mean()), float(low), float(high))


def share_interval(hits: float, count: int) -> Interval:
    """Return the share of hits among `count` tries, by Wilson's score interval (1927), which holds for few, too.

    A tie may count as half a hit, which makes the interval a little wider than it needs to be.
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / count + spread / count / 4) ** 0.5
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))

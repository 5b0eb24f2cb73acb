"""What votes on pairs say of the things that are compared.

Votes on one prompt are not independent of each other, and neither are the pairs of one prompt. So each prompt counts
once for a pair of sides, by the mean of its votes, and the bootstrap draws prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipgen.judge.intervals import LEVEL, Interval, share_interval

Numbers = NDArray[np.float64]

PRIOR = 0.5
"""Wins that every side is given against every other, so that one that lost everything has a strength, too."""
RESAMPLES = 1000
MAX_ROUNDS = 10_000
TOLERANCE = 1e-8
"""Of the logarithms of strengths, at which the iteration ends."""


@dataclass(frozen=True)
class Preference:
    """How often the second of two sides is preferred to the first."""

    count: int
    """Of prompts that were voted on."""
    share: Interval
    """Of these; "about equal" counts as half for each."""

    def in_words(self, first: str, second: str) -> str:
        """Return what follows from it; the arguments name the sides."""
        if self.share.low <= 0.5 <= self.share.high:
            return f"no preference can be told at n = {self.count}"
        return f"{second} is preferred" if self.share.value > 0.5 else f"{first} is preferred"


def preference(won: Numbers, first: int, second: int) -> Preference | None:
    """Return the preference between two sides; None if no prompt was voted on.

    won: (P, S, S), for each of P prompts the share of votes in which side i was preferred to j, at [i, j], ties counted
    as half; both [i, j] and [j, i] are 0 where none was cast.
    """
    lost, gained = won[:, first, second], won[:, second, first]
    count = int(((lost + gained) > 0).sum())
    return Preference(count, share_interval(float(gained.sum()), count)) if count else None


def bradley_terry(wins: Numbers) -> Numbers:
    """Return the logarithms of the strengths (..., S), with mean 0, that make wins (..., S, S) the most likely.

    wins: at [i, j], how often i won against j. The chance that it does is p_i / (p_i + p_j). By the MM algorithm
    (Hunter, 2004, Annals of Statistics 32(1), equation 3). Every side must have won, and lost, against the others.
    """
    games, total = wins + wins.swapaxes(-1, -2), wins.sum(-1)
    logs = np.zeros(total.shape)
    for _ in range(MAX_ROUNDS):
        strengths = np.exp(logs)
        expected = games / (strengths[..., :, None] + strengths[..., None, :])
        found = np.log(total / expected.sum(-1))
        found -= found.mean(-1, keepdims=True)
        moved, logs = np.abs(found - logs).max(), found
        if moved < TOLERANCE:
            break
    return logs


def strengths(won: Numbers, seed: int = 0) -> list[Interval]:
    """Return the logarithm of the strength of each side, 0 for the average, with its bootstrap interval over prompts.

    won: (P, S, S) as for `preference`; at least one vote. PRIOR is added, which draws the strengths a little together.
    """
    won = won[won.any((1, 2))]
    prior = PRIOR * (1 - np.eye(won.shape[-1]))
    draws = np.random.default_rng(seed).multinomial(len(won), np.full(len(won), 1 / len(won)), RESAMPLES)
    resampled = np.tensordot(draws.astype(np.float64), won, 1)
    low, high = np.quantile(bradley_terry(resampled + prior), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = bradley_terry(won.sum(0) + prior)
    return [Interval(*map(float, row)) for row in zip(values, low, high, strict=True)]

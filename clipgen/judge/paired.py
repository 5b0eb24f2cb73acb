"""Whether one set of pictures is better than another, by the scores of both for the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipgen.judge.intervals import Interval, mean_interval, share_interval

FEWEST = 6
"""Pairs that it takes at least: if two sides are equal, one wins all of five by chance more often than once in 20."""


@dataclass(frozen=True)
class Difference:
    """How much better the second side is than the first, over the same prompts."""

    count: int
    gain: Interval
    """The mean of the second's scores less the first's, with its bootstrap interval over prompts."""
    wins: Interval
    """The share of prompts that the second wins, equal ones counted as half, with Wilson's interval."""

    @property
    def is_told(self) -> bool:
        """Whether the interval of the gain leaves out 0, and there are enough pairs to trust it."""
        return self.count >= FEWEST and not self.gain.low <= 0 <= self.gain.high

    def in_words(self, first: str, second: str) -> str:
        """Return what follows from it; the arguments name the sides."""
        if not self.is_told:
            few = f": that takes {FEWEST} pairs at least" if self.count < FEWEST else ""
            return f"no difference can be told at n = {self.count}{few}"
        better, sign = (second, 1) if self.gain.value > 0 else (first, -1)
        low, high = sorted((sign * self.gain.low, sign * self.gain.high))
        return f"{better} is better by {sign * self.gain.value:.4f} [{low:.4f}, {high:.4f}]"


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return the difference of scores of two sides, those of one prompt at the same place; at least one."""
    gains = [b - a for a, b in zip(first, second, strict=True)]
    won = sum(1.0 if gain > 0 else 0.5 if gain == 0 else 0.0 for gain in gains)
    return Difference(len(gains), mean_interval(gains), share_interval(won, len(gains)))

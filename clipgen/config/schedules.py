"""Numbers that change over a run: each row of SCHEDULES interpolates from start to end. Torch-free."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from clipgen.config.checks import check_choice, checked_number

MAX_VALUE = 1e6

SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": lambda start, _end, _progress: start,
    "cosine": lambda start, end, progress: end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress)),
}
"""By name: maps the start value, the end value and a progress in [0, 1] to the value there."""


@dataclass(frozen=True)
class Schedule:
    """A number as a function of progress, the fraction of the steps done."""

    kind: str
    """One of SCHEDULES."""
    start: float
    end: float

    def __post_init__(self) -> None:
        check_choice("the kind of a schedule", self.kind, tuple(SCHEDULES))
        for name in ("start", "end"):
            value = checked_number(f"the {name} of a schedule", getattr(self, name), -MAX_VALUE, MAX_VALUE)
            object.__setattr__(self, name, value)

    @classmethod
    def constant(cls, value: float) -> Self:
        """Return the schedule that never changes."""
        return cls("constant", value, value)

    def at(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        return SCHEDULES[self.kind](self.start, self.end, progress)

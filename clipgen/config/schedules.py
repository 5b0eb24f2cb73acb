"""Numbers that change over a run: each row of SCHEDULES interpolates from start to end. Torch-free."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from clipgen.config.checks import check_choice, checked_number

MAX_VALUE = 1e6
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_SPELLED = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?", re.IGNORECASE)

SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": lambda start, _end, _progress: start,
    "linear": lambda start, end, progress: start + (end - start) * progress,
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

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the schedule of "8", or of "8..1", which falls from 8 to 1; None if the text is neither.

        Raises UsageError for numbers that no schedule can have.
        """
        match = _SPELLED.fullmatch(text.strip())
        if match is None:
            return None
        start = float(match[1])
        return cls.constant(start) if match[2] is None else cls("cosine", start, float(match[2]))

    def __str__(self) -> str:
        """Return the shortest spelling that `parse` reads back as this schedule."""
        start, end = (repr(value).removesuffix(".0") for value in (self.start, self.end))
        return start if self.kind == "constant" else f"{start}..{end}"

    def at(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        return SCHEDULES[self.kind](self.start, self.end, progress)


ALWAYS = Schedule.constant(1.0)
"""The factor that changes nothing."""

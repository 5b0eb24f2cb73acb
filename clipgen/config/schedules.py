"""Numbers that change over a run: each row of SCHEDULES is a way to go from value to value. Torch-free."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Self

from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.config.records import MAX_ITEMS, added_later
from clipgen.errors import UsageError

MAX_VALUE = 1e6
KEYFRAMES = "keyframes"
Points = tuple[tuple[float, float], ...]

SCHEDULES: dict[str, Callable[[Schedule, float], float]] = {
    "constant": lambda one, _progress: one.start,
    "linear": lambda one, progress: one.start + (one.end - one.start) * progress,
    "cosine": lambda one, progress: one.end + (one.start - one.end) * 0.5 * (1 + math.cos(math.pi * progress)),
    KEYFRAMES: lambda one, progress: _between(one.points, progress),
}
"""By name: the value of a schedule at a progress in [0, 1]."""


@dataclass(frozen=True)
class Schedule:
    """A number as a function of progress, the fraction of the steps done."""

    kind: str
    """One of SCHEDULES."""
    start: float
    end: float
    points: Points = added_later(())  # noqa: RUF009 - it returns a field
    """Of keyframes: progress and value of each in order, with straight lines between; empty for other kinds."""

    def __post_init__(self) -> None:
        check_choice("the kind of a schedule", self.kind, tuple(SCHEDULES))
        for name in ("start", "end"):
            value = checked_number(f"the {name} of a schedule", getattr(self, name), -MAX_VALUE, MAX_VALUE)
            object.__setattr__(self, name, value)
        if self.kind == KEYFRAMES:
            self._check_points()
        elif self.points:
            raise UsageError(f"a schedule has points if its kind is {KEYFRAMES}, and only then")

    def _check_points(self) -> None:
        check_whole("the number of points of a schedule", len(self.points), 1, MAX_ITEMS)
        for progress, value in self.points:
            checked_number("the progress of a point", progress, 0.0, 1.0)
            checked_number("the value of a point", value, -MAX_VALUE, MAX_VALUE)
        if any(later[0] <= earlier[0] for earlier, later in zip(self.points, self.points[1:], strict=False)):
            raise UsageError("the points of a schedule must follow each other")
        if (self.start, self.end) != (self.points[0][1], self.points[-1][1]):
            raise UsageError("a schedule of keyframes starts and ends with the values of its points")

    @classmethod
    def constant(cls, value: float) -> Self:
        """Return the schedule that never changes."""
        return cls("constant", value, value)

    @classmethod
    def keyframes(cls, points: Points) -> Self:
        """Return the schedule that goes through these points, (progress, value) each."""
        return cls(KEYFRAMES, points[0][1], points[-1][1], points)

    def __str__(self) -> str:
        """Return the shortest spelling that `read_schedule` reads back as a schedule with the same values."""
        if self.kind == "constant":
            return spell(self.start)
        if self.kind == "cosine":
            return f"{spell(self.start)}..{spell(self.end)}"
        points = self.points or ((0.0, self.start), (1.0, self.end))
        return ",".join(f"{spell(value)}@{spell_percent(progress)}" for progress, value in points)

    @property
    def values(self) -> tuple[float, ...]:
        """The values that it goes through, of which it never leaves the range."""
        return tuple(value for _, value in self.points) or (self.start, self.end)

    def at(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        return SCHEDULES[self.kind](self, progress)

    def over(self, _steps: int | None, _flag: str) -> Self:
        """Return itself, as it counts in progress; see `clipgen.config.keyframes.Keyframes.over`."""
        return self

    def scaled(self, change: Callable[[float], float]) -> Self:
        """Return the schedule through changed values."""
        points = tuple((progress, change(value)) for progress, value in self.points)
        return type(self)(self.kind, change(self.start), change(self.end), points)


def spell(number: float) -> str:
    """Return the shortest text that reads as exactly this number."""
    return repr(number).removesuffix(".0")


def spell_percent(progress: float) -> str:
    """Return the shortest percentage that `read_percent` reads as exactly this progress, such as "50%"."""
    exact = Fraction(progress) * 100
    for digits in range(1, 20):
        text = f"{Context(digits).divide(Decimal(exact.numerator), Decimal(exact.denominator)):f}"
        if read_percent(text) == progress:
            break
    return f"{text}%"


def read_percent(number: str) -> float:
    """Return the progress of a percentage without its sign, correctly rounded."""
    return float(Fraction(number) / 100)


def _between(points: Points, progress: float) -> float:
    """Return the value on the straight line between the points around a progress; constant outside of them."""
    after = bisect_right(points, progress, key=lambda point: point[0])
    if after in (0, len(points)):
        return points[max(after - 1, 0)][1]
    (begin, first), (end, last) = points[after - 1 : after + 1]
    return first + (last - first) * (progress - begin) / (end - begin)


ALWAYS = Schedule.constant(1.0)
"""The factor that changes nothing."""

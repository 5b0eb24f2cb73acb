"""Schedules as they are typed: "8", "8..1", or keyframes "8@0,1@200,4@100%", whose steps mean progress in one run.

Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Self

from clipgen.config.checks import checked_number
from clipgen.config.records import MAX_ITEMS
from clipgen.config.schedules import MAX_VALUE, Schedule, read_percent, spell
from clipgen.errors import UsageError
from clipgen.util.text import quoted

# Each pattern matches digits in one way only, so that no hostile text takes long.
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_PLACE = r"[0-9]{0,9}\.[0-9]{1,400}%?|[0-9]{1,9}%?"
_RANGE = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?", re.IGNORECASE)
_FRAME = re.compile(rf"\s*({_NUMBER})@({_PLACE})\s*", re.IGNORECASE)
_LIKE_FRAMES = re.compile(rf"\s*(?:{_NUMBER})?@", re.IGNORECASE)
_IS_PLACE = re.compile(_PLACE)


@dataclass(frozen=True)
class Place:
    """A moment of a run as it is typed: a step such as 200, a percentage such as 50%, or a share such as 0.5."""

    text: str

    @classmethod
    def parse(cls, text: str, flag: str) -> Self:
        """Return the place that a text names; raises UsageError, which names the flag."""
        place = cls(text.strip())
        if not _IS_PLACE.fullmatch(place.text):
            raise UsageError(
                f"{flag} must name a step such as 200, or a part of the run such as 50%, got {quoted(text)}"
            )
        if not place.is_step and place.progress(None, flag) > 1.0:
            raise UsageError(f"{flag}: {place} is beyond the end of the run, which is 100%")
        return place

    def __str__(self) -> str:
        return self.text

    @property
    def is_step(self) -> bool:
        """Whether it depends on the number of steps."""
        return self.text.isdigit() and int(self.text) > 0

    @property
    def is_start(self) -> bool:
        """Whether it is the beginning of every run."""
        return not self.is_step and self.progress(None, "") == 0.0

    def progress(self, steps: int | None, flag: str) -> float:
        """Return the place as a progress in [0, 1] of a run of so many steps. Raises UsageError, which names the flag.

        steps: may be None for a place that is no step.
        """
        if not self.is_step:
            return read_percent(self.text[:-1]) if self.text.endswith("%") else float(Fraction(self.text))
        if steps is None:
            raise UsageError(f"{flag}: step {self} means nothing without a number of steps; give a percentage")
        if int(self.text) > steps:
            raise UsageError(
                f"{flag}: step {self} is beyond the end of the run of {steps} steps; give more --steps, or a "
                "percentage, such as 50%"
            )
        return int(self.text) / steps


@dataclass(frozen=True)
class Keyframes:
    """Values at places of a run, some of which are steps."""

    values: tuple[float, ...]
    places: tuple[Place, ...]

    def __str__(self) -> str:
        return ",".join(f"{spell(value)}@{place}" for value, place in zip(self.values, self.places, strict=True))

    @property
    def start(self) -> float:
        """The first value."""
        return self.values[0]

    def over(self, steps: int | None, flag: str) -> Schedule:
        """Return the schedule that this is in a run of so many steps.

        Raises UsageError, which names the flag, for places out of order and for steps beyond the end.
        """
        reached = progress_of(self.places, steps, flag)
        return Schedule.keyframes(tuple(zip(reached, self.values, strict=True)))


Changing = Schedule | Keyframes
"""What can be typed for a number that changes over a run."""


def progress_of(places: Sequence[Place], steps: int | None, flag: str) -> tuple[float, ...]:
    """Return places as progress in a run of so many steps; raises UsageError unless each is later than the last."""
    reached = tuple(place.progress(steps, flag) for place in places)
    for (earlier, before), (later, after) in pairwise(zip(places, reached, strict=True)):
        if before == after:
            raise UsageError(f"{flag}: {earlier} and {later} are the same moment; leave one out")
        if before > after:
            raise UsageError(f"{flag}: {later} is before {earlier}; put them in order")
    return reached


def frames_in(text: str) -> tuple[tuple[float, str], ...] | None:
    """Return the values and places of keyframes, or None if the text is none or wrong."""
    found = [_FRAME.fullmatch(part) for part in text.split(",", MAX_ITEMS - 1)]
    return None if None in found else tuple((float(match[1]), match[2]) for match in found if match)


def range_in(text: str) -> tuple[float, ...] | None:
    """Return the one value of "8" or the two of "8..1"; None if the text is neither."""
    match = _RANGE.fullmatch(text.strip())
    return tuple(float(number) for number in match.groups() if number) if match else None


def read_schedule(text: str, flag: str) -> Changing | None:
    """Return the schedule of "8", of "8..1", which goes from 8 to 1, or of keyframes; None if the text is neither.

    Raises UsageError, which names the flag, for keyframes that are wrong.
    """
    if values := range_in(text):
        first, last = values[0], values[-1]
        return Schedule.constant(first) if len(values) == 1 else Schedule("cosine", first, last)
    if not _LIKE_FRAMES.match(text):
        return None
    frames = frames_in(text)
    if frames is None:
        raise UsageError(
            f"{flag}: keyframes are VALUE@STEP or VALUE@PERCENT, at most {MAX_ITEMS}, with commas between, as in "
            f"8@0,1@50%, got {quoted(text)}"
        )
    numbers = tuple(checked_number(f"{flag}: a value", value, -MAX_VALUE, MAX_VALUE) for value, _ in frames)
    frames_typed = Keyframes(numbers, tuple(Place.parse(place, flag) for _, place in frames))
    return frames_typed if any(place.is_step for place in frames_typed.places) else frames_typed.over(None, flag)

"""The camera of a moving run: how the picture is enlarged, moved and turned between steps. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from clipgen.config.checks import check_choice, check_whole, checked_number, checked_record
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MIRROR, WRAP, SMEAR = BORDERS = ("mirror", "wrap", "smear")
"""What is seen beyond the edges: the picture mirrored, the opposite side, or the pixels of the edge."""
MIN_ZOOM, MAX_ZOOM = 0.5, 2.0
MAX_PAN = 4096.0
MAX_EVERY = 100_000
MOVES = 60
"""How often a run moves by default: enough for a film."""
USUAL_ZOOM = 1.02
"""The zoom of a camera of which nothing else is asked."""


@dataclass(frozen=True)
class MotionSettings:
    """A move of the picture, which is repeated over the run."""

    zoom: float = 1.0
    """Factor by which the picture is enlarged about its centre."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Pixels by which the picture moves to the right and down."""
    rotate: float = 0.0
    """Degrees by which the picture turns about its centre, clockwise."""
    border: str = MIRROR
    """One of BORDERS."""
    every: int = 5
    """Number of steps from one move to the next."""

    def __post_init__(self) -> None:
        for name, low, high in (("zoom", MIN_ZOOM, MAX_ZOOM), ("rotate", -180.0, 180.0)):
            object.__setattr__(self, name, checked_number(f"--{name}", getattr(self, name), low, high))
        if not isinstance(self.pan, tuple | list) or len(self.pan) != 2:
            raise _bad_pan(self.pan)
        pan = tuple(checked_number("--pan", pixels, -MAX_PAN, MAX_PAN) for pixels in self.pan)
        object.__setattr__(self, "pan", pan)
        check_choice("--border", self.border, BORDERS)
        check_whole("--move-every", self.every, 1, MAX_EVERY)

    @classmethod
    def of(cls, value: object) -> Self | None:
        """Return the settings that an object or a JSON object means; None for None. Raises UsageError."""
        if value is None or isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise UsageError(f"the motion must name zoom, pan, rotate, border or every, got {quoted(value)}")
        return cls(**checked_record("motion", value, {field.name for field in fields(cls)}))

    def __str__(self) -> str:
        """Return the settings in words."""
        x, y = self.pan
        parts = [f"zoom {self.zoom:g}"] if self.zoom != 1 else []
        parts += [f"pan {x:g},{y:g}"] if (x, y) != (0, 0) else []
        parts += [f"rotate {self.rotate:g}"] if self.rotate else []
        return ", ".join([*parts, f"border {self.border}", f"every {self.every} steps"])


def parse_pan(text: str) -> tuple[float, float]:
    """Return the pixels to the right and down of "2,0"; raises UsageError."""
    number = r"\s*([-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))\s*"
    match = re.fullmatch(f"{number},{number}", text, re.ASCII)
    if match is None:
        raise _bad_pan(text)
    return float(match[1]), float(match[2])


def steps_with(motion: MotionSettings | None, usual: int) -> int:
    """Return the number of steps of a run that takes `usual` ones if it stands still."""
    return usual if motion is None else max(usual, motion.every * MOVES)


def _bad_pan(value: object) -> UsageError:
    return UsageError(f"--pan must be pixels to the right and down, such as 2,0 or -1,0.5, got {quoted(value)}")

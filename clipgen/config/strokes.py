"""How a picture is drawn in strokes: how many there are, and how wide. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from clipgen.config.checks import check_whole, checked_number
from clipgen.errors import UsageError
from clipgen.util.text import quoted

STROKES = "strokes"
"""The backend that draws in strokes."""
FIELDS = ("strokes", "stroke_width")
"""Those of a job that are about strokes."""
COUNT, MAX_COUNT = 256, 4096
GRID = 224
"""CLIPDraw's canvas has so many pixels a side; its numbers are in these, and scale with the shorter side."""
WIDEST = 50 / GRID
FILLED = 0.09
"""The usual width at the start, as a fraction of the distance of strokes that are spread evenly."""
_NUMBER = r"\s*([0-9]{1,5}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\s*"
_WIDTHS = re.compile(f"{_NUMBER}(?:,{_NUMBER})?", re.ASCII)


@dataclass(frozen=True)
class StrokeSettings:
    """The strokes of a picture; widths are fractions of its shorter side."""

    count: int
    width: float
    """Where each begins."""
    widest: float
    """What none gets beyond."""

    def __post_init__(self) -> None:
        check_whole("--strokes", self.count, 1, MAX_COUNT)
        for name in ("width", "widest"):
            object.__setattr__(self, name, checked_number("--stroke-width", getattr(self, name), 0.0, 1.0))
        if not 0 < self.width <= self.widest:
            raise UsageError("--stroke-width must be above 0, and at most as much as strokes may get")

    @classmethod
    def of(cls, count: int | None = None, widths: str | None = None, side: int = GRID) -> Self:
        """Return the settings for what was asked; side: the shorter one of the picture, in pixels.

        widths: "START" or "START,WIDEST" in pixels. Raises UsageError.
        """
        count = COUNT if count is None else count
        check_whole("--strokes", count, 1, MAX_COUNT)
        if widths is None:
            return cls(count, max(FILLED / math.sqrt(count), thinnest(side)), WIDEST)
        start, widest = read_widths(widths)
        if max(start, widest or 0.0) > side:
            raise UsageError(f"--stroke-width {widths} is wider than the picture; its shorter side has {side} pixels")
        return cls(count, start / side, max(WIDEST, start / side) if widest is None else widest / side)


def fields_of(rows: Sequence[StrokeSettings], size: tuple[int, int]) -> dict[str, Any]:
    """Return the fields of a job that ask for strokes, at most one row, in a picture of this size."""
    for row in rows:
        count, side = None if row.count == COUNT else row.count, min(size)
        widths = (
            None
            if row == StrokeSettings.of(row.count, None, side)
            else f"{row.width * side:.6g},{row.widest * side:.6g}"
        )
        return dict(zip(FIELDS, (count, widths), strict=True))
    return {}


def thinnest(side: int) -> float:
    """Return the least width of strokes that do not begin thinner, as a fraction of a side in pixels."""
    return 1 / min(GRID, side)


def read_widths(text: str) -> tuple[float, float | None]:
    """Return the pixels of "3" or "3,20", None for what is left out; raises UsageError."""
    found = _WIDTHS.fullmatch(text) if isinstance(text, str) else None
    if found is None or not float(found[1]):
        raise UsageError(
            f"--stroke-width must be pixels above 0, such as 3, or 3,20 for strokes that grow to at most 20, got "
            f"{quoted(text)}"
        )
    start, widest = float(found[1]), None if found[2] is None else float(found[2])
    if widest is not None and widest < start:
        raise UsageError(f"--stroke-width {text} starts wider than strokes may get; give the smaller number first")
    return start, widest


def check_asked(backend: str | None, strokes: object, widths: object) -> None:
    """Raise a UsageError if strokes are asked of another backend; None for one that is yet to be chosen."""
    for flag, value in (("--strokes", strokes), ("--stroke-width", widths)):
        if value is not None and backend not in (STROKES, None):
            raise UsageError(f"{flag} {value} goes with --backend {STROKES}, not with {backend}")


def check_drawn(backend: str, count: int, changed: Sequence[str]) -> None:
    """Raise a UsageError unless a plan of this backend, with so many settings of strokes, can be drawn.

    changed: what the plan has that changes pixels, which are not there to be changed.
    """
    if count != (backend == STROKES):
        raise UsageError(
            f"plan: backend {backend} has {'settings' if backend == STROKES else 'no settings'} of strokes"
        )
    if count and changed:
        raise UsageError(
            f"{changed[0]} changes pixels, and --backend {STROKES} draws in strokes; leave it out, or use --backend "
            "vqgan"
        )

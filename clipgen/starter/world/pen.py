"""A pen that draws shapes in an object's own coordinates onto an anti-aliased layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Points = Sequence[Point]
Colour = tuple[int, int, int]

SUPERSAMPLING = 2


class Pen:
    """Draws on an RGBA layer of `size` pixels a side; every coordinate passes through one affine map.

    The object's own frame has its centre at (0, 0), x to the right, y down, and fits in [-1, 1].
    `centre` (unit square) and `scale` (half the object's side, as a share of the picture) place it.
    """

    def __init__(
        self, size: int, centre: Point = (0.5, 0.5), scale: float = 0.5, turn: float = 0.0, mirror: bool = False
    ):
        self.size = size
        self.pixels = size * SUPERSAMPLING
        self.image = Image.new("RGBA", (self.pixels, self.pixels), (0, 0, 0, 0))
        self._ink = ImageDraw.Draw(self.image)
        self._unit = scale * self.pixels
        flip = -1.0 if mirror else 1.0
        cos, sin = math.cos(turn), math.sin(turn)
        self._matrix = np.array([[cos * flip, -sin], [sin * flip, cos]]) * self._unit
        self._offset = np.array(centre) * self.pixels
        self.marks: dict[str, tuple[float, float, float]] = {}

    def inner(self, x: float, y: float, scale: float) -> Pen:
        """A pen on the same layer whose frame is centred at (x, y) of this one and scaled by `scale`."""
        pen = copy.copy(self)
        pen._offset = self._offset + self._matrix @ np.array((x, y))
        pen._matrix = self._matrix * scale
        pen._unit = self._unit * scale
        pen.marks = {}
        return pen

    def mark(self, name: str, x: float, y: float, r: float) -> None:
        """Remember where something can be put on, such as a hat on a head: a point and half the width there."""
        self.marks[name] = (x, y, r)

    def _place(self, points: Points) -> list[Point]:
        placed = np.asarray(points, dtype=float) @ self._matrix.T + self._offset
        return [(float(x), float(y)) for x, y in placed]

    def poly(self, points: Points, fill: Colour) -> None:
        """Fill a polygon."""
        self._ink.polygon(self._place(points), fill=fill)

    def blob(self, points: Points, fill: Colour) -> None:
        """Fill the smooth closed curve through the points."""
        self.poly(smooth(points, closed=True), fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour, turn: float = 0.0) -> None:
        """Fill an ellipse centred at (x, y), turned by `turn` radians."""
        self.poly(ellipse(x, y, rx, ry, turn), fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fill an axis-parallel rectangle."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)

    def line(self, points: Points, width: float, fill: Colour, curved: bool = False) -> None:
        """Stroke a line with round joints and ends; `width` is in the object's units."""
        placed = self._place(smooth(points, closed=False) if curved else points)
        thick = max(1, round(width * self._unit))
        self._ink.line(placed, fill=fill, width=thick, joint="curve")
        for x, y in (placed[0], placed[-1]):
            self._ink.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)

    def layer(self) -> tuple[np.ndarray, np.ndarray]:
        """The anti-aliased result: colour (H, W, 3) in [0, 1] and coverage (H, W) in [0, 1]."""
        drawn = np.asarray(self.image.convert("RGBa").reduce(SUPERSAMPLING), dtype=np.float32) / 255.0
        alpha = drawn[..., 3]
        colour = drawn[..., :3] / np.maximum(alpha, 1e-3)[..., None]
        return np.clip(colour, 0.0, 1.0), alpha


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, corners: int = 32) -> list[Point]:
    """Corners of a polygon that stands for an ellipse."""
    angles = np.linspace(0.0, 2.0 * math.pi, corners, endpoint=False)
    across, down = rx * np.cos(angles), ry * np.sin(angles)
    cos, sin = math.cos(turn), math.sin(turn)
    return list(zip(x + across * cos - down * sin, y + across * sin + down * cos, strict=True))


def smooth(points: Points, closed: bool, pieces: int = 7) -> list[Point]:
    """Catmull-Rom curve through the points, as a polyline."""
    knots = np.asarray(points, dtype=float)
    before = np.roll(knots, 1, axis=0)
    after = np.roll(knots, -1, axis=0)
    beyond = np.roll(knots, -2, axis=0)
    if not closed:
        before[0], after[-1] = knots[0], knots[-1]
        beyond[-2], beyond[-1] = knots[-1], knots[-1]
    t = np.linspace(0.0, 1.0, pieces, endpoint=False)[None, :, None]
    a, b, c, d = (k[:, None, :] for k in (before, knots, after, beyond))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.reshape(-1, 2) if closed else curve[:-1].reshape(-1, 2)
    if not closed:
        flat = np.concatenate([flat, knots[-1:]])
    return [(float(x), float(y)) for x, y in flat]

"""Parts that several subjects share."""

from __future__ import annotations

from clipgen.starter.world.pen import Colour, Pen

BLACK: Colour = (25, 22, 24)
WHITE: Colour = (250, 248, 244)
CREAM: Colour = (248, 226, 188)
PINK: Colour = (236, 140, 150)


def eye(pen: Pen, x: float, y: float, r: float, iris: Colour, slit: bool = False) -> None:
    """Draw a round eye, or one with a slit for a pupil."""
    pen.oval(x, y, r * 1.15, r, WHITE)
    pen.oval(x, y, r * 0.85, r * 0.9, iris)
    pen.oval(x, y, r * (0.28 if slit else 0.5), r * 0.75 if slit else r * 0.5, BLACK)
    pen.oval(x - r * 0.3, y - r * 0.35, r * 0.2, r * 0.2, WHITE)


def bead(pen: Pen, x: float, y: float, r: float) -> None:
    """Draw a small eye that is all pupil."""
    pen.oval(x, y, r * 1.25, r * 1.3, WHITE)
    pen.oval(x, y, r, r * 1.1, BLACK)
    pen.oval(x - 0.3 * r, y - 0.4 * r, 0.35 * r, 0.35 * r, WHITE)

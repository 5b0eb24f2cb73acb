"""Giraffes and elephants, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import CREAM, PINK, bead
from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Colour, Pen, Points, smooth

IVORY: Colour = (255, 250, 232)


def _patch(pen: Pen, x: float, y: float, r: float, fill: Colour, turn: float) -> None:
    corners = [(turn + math.tau * k / 5, r * (1.0 if k % 2 else 0.85)) for k in range(5)]
    pen.poly([(x + d * math.cos(a), y + d * math.sin(a)) for a, d in corners], fill)


def _giraffe_body(pen: Pen, tone: Tone, spot: Colour, rng: np.random.Generator) -> None:
    step = float(rng.uniform(-0.06, 0.06))
    pen.line([(0.74, 0.14), (0.88, 0.3), (0.86, 0.5)], 0.05, tone.dark, curved=True)
    pen.oval(0.86, 0.56, 0.06, 0.1, tone.line)
    for x, shade, k in ((0.1, tone.dark, 1), (0.55, tone.dark, -1), (-0.04, tone.base, -1), (0.69, tone.base, 1)):
        pen.line([(x, 0.3), (x + k * step * 0.4, 0.6), (x + k * step, 0.88)], 0.13, shade)
        pen.box(x + k * step - 0.075, 0.87, x + k * step + 0.075, 0.97, tone.line)
    pen.blob(
        [(-0.13, 0.2), (0.0, 0.0), (0.3, 0.0), (0.68, 0.08), (0.8, 0.24), (0.74, 0.44), (0.3, 0.48), (-0.05, 0.46)],
        tone.base,
    )
    for x, y, r in (
        (0.06, 0.3, 0.1),
        (0.28, 0.15, 0.1),
        (0.33, 0.36, 0.085),
        (0.5, 0.22, 0.095),
        (0.56, 0.4, 0.06),
        (0.68, 0.28, 0.08),
    ):
        _patch(pen, x, y, r, spot, float(rng.uniform(0.0, 6.0)))


def _giraffe_profile(pen: Pen, x: float, y: float, tone: Tone) -> None:
    pen.oval(x + 0.24, y - 0.08, 0.13, 0.055, tone.dark, turn=-0.35)
    for k in (0.03, 0.14):
        pen.line([(x + k, y - 0.05), (x + k + 0.02, y - 0.2)], 0.05, tone.line)
        pen.oval(x + k + 0.02, y - 0.21, 0.045, 0.045, tone.line)
    pen.blob(
        [
            (x - 0.02, y - 0.12),
            (x + 0.18, y - 0.11),
            (x + 0.24, y + 0.06),
            (x + 0.08, y + 0.16),
            (x - 0.2, y + 0.2),
            (x - 0.32, y + 0.1),
            (x - 0.22, y + 0.0),
        ],
        tone.base,
    )
    pen.oval(x - 0.22, y + 0.11, 0.12, 0.095, mix(tone.light, CREAM, 0.5), turn=-0.25)
    pen.oval(x - 0.28, y + 0.07, 0.022, 0.02, tone.line)
    bead(pen, x + 0.02, y - 0.01, 0.05)


def _giraffe_front(pen: Pen, tone: Tone, spot: Colour, rng: np.random.Generator) -> None:
    pen.poly([(-0.2, -0.4), (0.2, -0.4), (0.3, 1.0), (-0.3, 1.0)], tone.base)
    for x, y, r in ((-0.13, 0.48, 0.1), (0.1, 0.36, 0.09), (0.13, 0.66, 0.12), (-0.14, 0.78, 0.11), (0.1, 0.92, 0.08)):
        _patch(pen, x, y, r, spot, float(rng.uniform(0.0, 6.0)))
    for side in (-1, 1):
        pen.oval(side * 0.5, -0.46, 0.24, 0.1, tone.base, turn=-side * 0.3)
        pen.oval(side * 0.5, -0.46, 0.16, 0.055, PINK, turn=-side * 0.3)
        pen.line([(side * 0.14, -0.6), (side * 0.18, -0.88)], 0.09, tone.dark)
        pen.oval(side * 0.18, -0.9, 0.085, 0.08, tone.line)
    pen.blob(
        [(-0.32, -0.55), (0.0, -0.68), (0.32, -0.55), (0.28, -0.1), (0.2, 0.1), (-0.2, 0.1), (-0.28, -0.1)], tone.base
    )
    _patch(pen, 0.0, -0.5, 0.1, spot, 0.95)
    pen.oval(0.0, 0.06, 0.29, 0.21, mix(tone.light, CREAM, 0.5))
    for side in (-1, 1):
        pen.oval(side * 0.11, -0.02, 0.035, 0.03, tone.line)
        bead(pen, side * 0.22, -0.34, 0.085)
    pen.line([(-0.12, 0.12), (0.0, 0.16), (0.12, 0.12)], 0.03, tone.line, curved=True)
    pen.mark("neck", 0.0, 0.5, 0.25)
    pen.mark("head", 0.0, -0.6, 0.3)


def giraffe(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A spotted giraffe with its long neck: standing sideways, or its head and neck from the front."""
    spot = mix(tone.dark, tone.line, 0.5)
    if rng.random() < 0.3:
        _giraffe_front(pen, tone, spot, rng)
        return
    x, y = float(rng.uniform(-0.62, -0.4)), float(rng.uniform(-0.78, -0.68))
    pen.line([(x + 0.24, y), (0.24, 0.08)], 0.1, tone.line)
    _giraffe_body(pen, tone, spot, rng)
    pen.poly([(x + 0.03, y), (x + 0.25, y), (0.3, 0.1), (0.1, 0.3), (-0.12, 0.24)], tone.base)
    for k, (share, across) in enumerate(((0.2, 0.03), (0.36, -0.03), (0.52, 0.03), (0.67, -0.04), (0.84, 0.04))):
        centre = (x + 0.14) * (1 - share) + 0.08 * share
        _patch(pen, centre + across, y + (0.18 - y) * share, 0.055 + 0.04 * share, spot, 1.3 * k)
    _giraffe_profile(pen, x, y, tone)
    pen.mark("neck", 0.56 * (x + 0.14) + 0.44 * 0.08, 0.56 * y + 0.44 * 0.18, 0.16)
    pen.mark("head", x + 0.09, y - 0.1, 0.16)


def _trunk(pen: Pen, path: Points, wide: float, thin: float, fill: Colour) -> None:
    """A tube along the path that grows thinner from one end to the other."""
    curve = smooth(path, closed=False, pieces=12)
    for k, (x, y) in enumerate(curve):
        r = wide + (thin - wide) * k / (len(curve) - 1)
        pen.oval(x, y, r, r, fill)


def _elephant_side(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    pen.line([(0.82, 0.05), (0.94, 0.25), (0.92, 0.45)], 0.05, tone.dark, curved=True)
    pen.oval(0.92, 0.49, 0.05, 0.08, tone.line)
    for x, shade in ((0.02, tone.dark), (0.5, tone.dark), (-0.2, tone.base), (0.7, tone.base)):
        pen.line([(x, 0.4), (x, 0.8)], 0.25, shade)
        pen.box(x - 0.125, 0.75, x + 0.125, 0.95, shade)
        for k in (-0.08, 0.0, 0.08) if shade == tone.base else ():
            pen.oval(x + k, 0.92, 0.036, 0.035, IVORY)
    pen.blob(
        [
            (-0.35, 0.1),
            (-0.2, -0.35),
            (0.25, -0.45),
            (0.7, -0.3),
            (0.86, 0.1),
            (0.82, 0.55),
            (0.25, 0.62),
            (-0.3, 0.55),
        ],
        tone.base,
    )
    if rng.random() < 0.5:
        trunk = [(-0.62, 0.0), (-0.84, 0.2), (-0.98, 0.0), (-0.96, -0.35), (-0.86, -0.6), (-0.7, -0.7)]
    else:
        trunk = [(-0.66, 0.0), (-0.8, 0.3), (-0.82, 0.6), (-0.74, 0.82), (-0.58, 0.82), (-0.54, 0.7)]
    _trunk(pen, trunk, 0.145, 0.075, tone.base)
    for x, y in trunk[2:4]:
        pen.line([(x - 0.08, y), (x + 0.03, y + 0.02)], 0.03, tone.dark)
    pen.oval(-0.48, -0.15, 0.38, 0.37, tone.base)
    pen.blob([(-0.66, 0.12), (-0.54, 0.1), (-0.58, 0.3), (-0.78, 0.44), (-0.7, 0.3)], IVORY)
    pen.blob(
        [(-0.35, -0.42), (-0.05, -0.62), (0.24, -0.35), (0.2, 0.1), (0.0, 0.32), (-0.2, 0.12), (-0.32, -0.1)], tone.dark
    )
    pen.blob(
        [(-0.24, -0.36), (-0.04, -0.48), (0.13, -0.3), (0.1, 0.05), (-0.02, 0.18), (-0.16, 0.02)],
        mix(tone.light, PINK, 0.45),
    )
    bead(pen, -0.56, -0.2, 0.065)
    pen.mark("neck", -0.22, 0.14, 0.28)
    pen.mark("head", -0.48, -0.48, 0.28)


def _elephant_front(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    wide = float(rng.uniform(0.9, 1.0))
    pen.oval(0.0, 0.62, 0.46, 0.36, tone.base)
    for side in (-1, 1):
        pen.oval(side * 0.34, 0.84, 0.23, 0.13, tone.dark)
        for k in (-0.1, 0.0, 0.1):
            pen.oval(side * 0.36 + k, 0.91, 0.045, 0.045, IVORY)
        for grow, fill in ((1.0, tone.dark), (0.76, mix(tone.light, PINK, 0.45))):
            shape = [(-0.3, -0.4), (0.05, -0.5), (0.34, -0.3), (0.34, 0.1), (0.12, 0.42), (-0.14, 0.36), (-0.3, 0.1)]
            pen.blob([(side * (0.62 + x * grow) * wide, -0.25 + y * grow) for x, y in shape], fill)
    pen.blob(
        [(-0.46, -0.4), (-0.25, -0.8), (0.25, -0.8), (0.46, -0.4), (0.36, 0.1), (0.0, 0.25), (-0.36, 0.1)], tone.base
    )
    for side in (-1, 1):
        pen.blob(
            [(side * 0.15, 0.1), (side * 0.32, 0.08), (side * 0.36, 0.3), (side * 0.28, 0.46), (side * 0.22, 0.28)],
            IVORY,
        )
        bead(pen, side * 0.26, -0.28, 0.085)
    end = float(rng.choice((-1.0, 1.0)))
    trunk = [(0.0, -0.2), (0.0, 0.2), (0.0, 0.5), (end * 0.08, 0.7), (end * 0.26, 0.72), (end * 0.32, 0.56)]
    _trunk(pen, trunk, 0.16, 0.11, tone.dark)
    _trunk(pen, trunk, 0.13, 0.08, mix(tone.base, tone.light, 0.45))
    for y in (-0.08, 0.08, 0.24, 0.4):
        pen.line([(-0.08, y), (0.08, y)], 0.03, tone.dark)
    pen.mark("neck", 0.0, 0.3, 0.4)
    pen.mark("head", 0.0, -0.72, 0.36)


def elephant(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An elephant with a trunk, tusks and big ears: sideways with its trunk up or down, or sitting."""
    if rng.random() < 0.6:
        _elephant_side(pen, tone, rng)
    else:
        _elephant_front(pen, tone, rng)

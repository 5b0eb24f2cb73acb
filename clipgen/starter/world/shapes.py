"""Furniture and vessels in the shape of something else, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clipgen.starter.world.features import WHITE
from clipgen.starter.world.home import GLOW, bells, dial, padded, rays, ringed, seat, stand
from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Pen

Subject = Callable[[Pen, Tone, np.random.Generator], None]


def armchair_of(pen: Pen, tone: Tone, rng: np.random.Generator, shape: Subject) -> None:
    """An armchair whose high back is the shape."""
    padded(pen, -0.64, 0.08, 0.64, 0.7, 0.1, tone.dark, tone.line)
    shape(pen.inner(0.0, -0.2, 0.8), tone, rng)
    seat(pen, tone, rng)


def teapot_of(pen: Pen, tone: Tone, rng: np.random.Generator, shape: Subject) -> None:
    """A teapot whose belly is the shape."""
    reach = float(rng.uniform(0.86, 0.96))
    for width, colour in ((0.2, tone.line), (0.13, tone.base)):
        pen.line([(0.0, -0.1), (0.6, -0.32), (reach, -0.05), (0.78, 0.4), (0.1, 0.46)], width, colour, curved=True)
    pen.poly([(0.0, 0.1), (-0.62, -0.02), (-0.8, -0.46), (-1.0, -0.4), (-0.9, 0.2), (0.0, 0.5)], tone.line)
    pen.poly([(0.0, 0.14), (-0.65, 0.02), (-0.82, -0.41), (-0.95, -0.37), (-0.86, 0.17), (0.0, 0.45)], tone.base)
    pen.oval(-0.9, -0.42, 0.12, 0.05, tone.line, turn=-0.3)
    padded(pen, -0.36, 0.84, 0.36, 0.98, 0.06, tone.dark, tone.line)
    padded(pen, -0.27, -0.5, 0.27, -0.1, 0.04, tone.dark, tone.line)
    shape(pen.inner(0.0, 0.18, 0.76), tone, rng)
    pen.oval(0.0, -0.48, 0.36, 0.15, tone.line)
    pen.oval(0.0, -0.5, 0.33, 0.13, tone.base)
    pen.oval(0.0, -0.54, 0.25, 0.08, tone.light)
    ringed(pen, 0.0, -0.7, 0.13, tone.base, tone.line, 0.035)


def clock_of(pen: Pen, tone: Tone, rng: np.random.Generator, shape: Subject) -> None:
    """An alarm clock whose case is the shape."""
    for side in (-1, 1):
        pen.line([(side * 0.28, 0.45), (side * 0.52, 0.9)], 0.14, tone.line)
    bells(pen, tone, 0.56, -0.62, float(rng.uniform(0.28, 0.32)))
    shape(pen.inner(0.0, 0.1, 0.84), tone, rng)
    dial(pen, 0.0, 0.28, float(rng.uniform(0.35, 0.39)), tone.line, rng)


def lamp_of(pen: Pen, tone: Tone, rng: np.random.Generator, shape: Subject) -> None:
    """A table lamp that is switched on, whose shade is the shape."""
    rays(pen, -0.26, 0.76, 0.94)
    pen.poly([(-0.36, 0.1), (0.36, 0.1), (0.9, 0.92), (-0.9, 0.92)], mix(GLOW, WHITE, 0.45))
    stand(pen, tone, rng, 0.4)
    ringed(pen, 0.0, 0.33, 0.17, WHITE, (255, 205, 60), 0.05)
    shape(pen.inner(0.0, -0.31, 0.68), tone, rng)

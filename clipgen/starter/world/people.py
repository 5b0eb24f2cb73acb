"""Faces, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import numpy as np

from clipgen.starter.world.features import BLACK, PINK, eye
from clipgen.starter.world.palette import Tone, mix, pick, rgb
from clipgen.starter.world.pen import Colour, Pen


def _eyes(pen: Pen, tone: Tone, hair: Colour, iris: Colour) -> None:
    for side in (-1, 1):
        eye(pen, side * 0.27, -0.05, 0.12, iris)
        pen.line(
            [(side * 0.13, -0.25), (side * 0.28, -0.31), (side * 0.42, -0.25)],
            0.055,
            mix(hair, BLACK, 0.4),
            curved=True,
        )
        pen.oval(side * 0.38, 0.28, 0.12, 0.09, mix(tone.base, PINK, 0.45))


def face(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A human face with hair, seen from the front."""
    hair = pick(((0.02, 0.12), (0.3, 0.9), (0.08, 0.75)), rng)
    iris = rgb(float(rng.uniform(0.05, 0.62)), 0.6, 0.5)
    wide = float(rng.uniform(0.56, 0.68))
    long_hair = rng.random() < 0.5
    if long_hair:
        pen.blob(
            [
                (-wide - 0.2, 0.75),
                (-wide - 0.22, -0.2),
                (-0.45, -0.95),
                (0.45, -0.95),
                (wide + 0.22, -0.2),
                (wide + 0.2, 0.75),
                (0.0, 0.6),
            ],
            hair,
        )
    pen.box(-0.22, 0.5, 0.22, 1.0, tone.dark)
    for side in (-1, 1):
        pen.oval(side * wide, 0.05, 0.12, 0.18, tone.dark)
    pen.blob(
        [
            (-wide, -0.25),
            (-0.4, -0.75),
            (0.4, -0.75),
            (wide, -0.25),
            (wide * 0.92, 0.3),
            (0.25, 0.82),
            (-0.25, 0.82),
            (-wide * 0.92, 0.3),
        ],
        tone.base,
    )
    part = float(rng.uniform(-0.3, 0.3))
    pen.blob(
        [
            (-wide - 0.05, -0.1),
            (-wide - 0.02, -0.65),
            (-0.3, -0.98),
            (0.3, -0.98),
            (wide + 0.02, -0.65),
            (wide + 0.05, -0.1),
            (wide - 0.1, -0.4),
            (part, -0.58),
            (-wide + 0.1, -0.4),
        ],
        hair,
    )
    _eyes(pen, tone, hair, iris)
    pen.line([(0.02, -0.02), (-0.07, 0.24), (0.06, 0.27)], 0.045, tone.dark, curved=True)
    smile = float(rng.uniform(-0.02, 0.12))
    pen.blob([(-0.23, 0.45), (0.0, 0.45 + smile * 0.5), (0.23, 0.45), (0.0, 0.52 + smile)], (190, 62, 68))
    if not long_hair and rng.random() < 0.3:
        pen.blob([(-wide * 0.85, 0.3), (-0.25, 0.62), (0.25, 0.62), (wide * 0.85, 0.3), (0.3, 0.9), (-0.3, 0.9)], hair)
    pen.mark("neck", 0.0, 0.84, 0.26)
    pen.mark("head", 0.0, -0.72, wide)

"""Trees and flowers, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import WHITE
from clipgen.starter.world.palette import Tone, mix, pick
from clipgen.starter.world.pen import Pen


def tree(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A tree: a round crown of clumps, or a fir."""
    bark = pick(((0.05, 0.09), (0.4, 0.65), (0.28, 0.45)), rng)
    if rng.random() < 0.35:
        pen.box(-0.1, 0.6, 0.1, 0.98, bark)
        for k, (top, half) in enumerate(((0.0, 0.75), (-0.45, 0.58), (-0.95, 0.4))):
            low = top + 0.72
            pen.poly([(0.0, top), (half, low), (-half, low)], tone.dark if k % 2 else tone.base)
            pen.poly([(0.0, top), (-half, low), (-half * 0.2, low)], tone.light)
        return
    bend = float(rng.uniform(-0.12, 0.12))
    pen.poly([(-0.18, 1.0), (-0.09 + bend, 0.1), (0.09 + bend, 0.1), (0.18, 1.0)], bark)
    pen.line([(bend, 0.4), (0.4, 0.0)], 0.09, bark)
    pen.line([(bend, 0.45), (-0.4, 0.05)], 0.09, bark)
    clumps = [
        (0.45 * math.cos(a) + bend, -0.35 + 0.36 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 7) + rng.random()
    ]
    for x, y in clumps:
        pen.oval(x, y, 0.36, 0.34, tone.dark)
    for x, y in [*clumps[1::2], (bend, -0.35)]:
        pen.oval(x - 0.05, y - 0.07, 0.32, 0.29, tone.base)
    for _ in range(12):
        a, d = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.6)
        pen.oval(bend + d * math.cos(a) - 0.05, -0.4 + 0.8 * d * math.sin(a), 0.09, 0.07, tone.light)


def flower(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A flower on a stem with leaves: a daisy, or a tulip."""
    green = pick(((0.28, 0.36), (0.6, 0.85), (0.4, 0.65)), rng)
    pen.line([(0.0, -0.2), (0.07, 0.4), (0.0, 1.0)], 0.09, green, curved=True)
    for side in (-1, 1):
        pen.blob([(0.0, 0.85), (side * 0.28, 0.38), (side * 0.62, 0.28), (side * 0.4, 0.72)], green)
    if rng.random() < 0.3:
        pen.blob(
            [
                (-0.45, -0.85),
                (-0.2, -0.5),
                (0.0, -0.95),
                (0.2, -0.5),
                (0.45, -0.85),
                (0.45, -0.15),
                (0.0, 0.15),
                (-0.45, -0.15),
            ],
            tone.dark,
        )
        pen.blob([(-0.22, -0.3), (0.0, -0.9), (0.22, -0.3), (0.0, 0.12)], tone.base)
        return
    petals = int(rng.integers(6, 10))
    for k in range(petals):
        angle = 2 * math.pi * k / petals
        pen.oval(
            0.38 * math.cos(angle),
            -0.4 + 0.38 * math.sin(angle),
            0.27,
            0.15,
            tone.base if k % 2 else tone.light,
            turn=angle,
        )
    heart = (242, 196, 40) if tone.base[0] < 200 or tone.base[2] > 120 else (122, 72, 32)
    pen.oval(0.0, -0.4, 0.2, 0.2, heart)
    pen.oval(-0.04, -0.44, 0.1, 0.1, mix(heart, WHITE, 0.3))

"""Birds, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import numpy as np

from clipgen.starter.world.features import BLACK, CREAM, PINK, WHITE, bead, eye
from clipgen.starter.world.palette import Tone, mix, pick
from clipgen.starter.world.pen import Colour, Pen

BEAK: Colour = (250, 152, 36)
BARK: Colour = (122, 84, 52)


def bird(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A bird: perched, or in flight with its wings up."""
    beak = pick(((0.08, 0.12), (0.85, 1.0), (0.9, 1.0)), rng)
    if rng.random() < 0.6:
        tail = float(rng.uniform(-0.15, 0.15))
        for x in (-0.08, 0.12):
            pen.line([(x, 0.5), (x - 0.02, 0.9), (x - 0.16, 0.94)], 0.05, beak)
        pen.poly([(0.35, 0.1), (0.98, 0.3 + tail), (0.92, 0.52 + tail), (0.3, 0.45)], tone.dark)
        pen.blob(
            [(-0.55, -0.2), (-0.1, -0.2), (0.35, -0.02), (0.5, 0.3), (0.15, 0.6), (-0.3, 0.55), (-0.55, 0.2)], tone.base
        )
        pen.oval(-0.25, 0.32, 0.24, 0.22, tone.light)
        pen.oval(-0.45, -0.38, 0.34, 0.32, tone.base)
        pen.poly([(-0.72, -0.5), (-1.08, -0.36), (-0.74, -0.24)], beak)
        pen.blob([(-0.1, -0.05), (0.3, 0.02), (0.62, 0.32), (0.2, 0.38), (-0.08, 0.22)], tone.dark)
        pen.line([(0.08, 0.14), (0.45, 0.27)], 0.03, tone.line)
        eye(pen, -0.52, -0.43, 0.085, BLACK)
        pen.mark("neck", -0.36, -0.1, 0.3)
        pen.mark("head", -0.45, -0.62, 0.27)
    else:
        lift = float(rng.uniform(0.55, 0.95))
        pen.poly([(0.45, 0.1), (1.0, 0.02), (0.98, 0.3), (0.45, 0.28)], tone.dark)
        pen.blob([(0.02, 0.1), (-0.15, -0.4), (0.1, -lift), (0.35, -lift), (0.42, -0.3), (0.35, 0.1)], tone.dark)
        pen.blob([(-0.6, 0.05), (-0.2, 0.0), (0.5, 0.1), (0.5, 0.28), (0.0, 0.45), (-0.45, 0.4)], tone.base)
        pen.blob(
            [(-0.2, 0.18), (-0.5, -0.3), (-0.45, -lift - 0.05), (-0.12, -lift + 0.05), (0.1, -0.25), (0.25, 0.2)],
            tone.light,
        )
        for k in (0.0, 0.12, 0.24):
            pen.line([(-0.38 + k, -lift * 0.75), (-0.15 + k, 0.0)], 0.03, tone.dark)
        pen.oval(-0.6, 0.12, 0.25, 0.23, tone.base)
        pen.poly([(-0.8, 0.03), (-1.08, 0.14), (-0.8, 0.23)], beak)
        eye(pen, -0.66, 0.07, 0.07, BLACK)
        pen.mark("neck", -0.42, 0.2, 0.2)
        pen.mark("head", -0.6, -0.06, 0.19)


def _owl_wings(pen: Pen, tone: Tone, spread: bool) -> None:
    for side in (-1, 1):
        if spread:
            for row, (x, y) in enumerate(((0.98, -0.45), (1.0, -0.12), (0.92, 0.2), (0.76, 0.44))):
                shade = tone.dark if row % 2 else mix(tone.dark, tone.line, 0.35)
                pen.line([(side * 0.4, 0.1), (side * (x - 0.1), y)], 0.24, shade)
            pen.blob([(side * 0.3, -0.1), (side * 0.75, -0.32), (side * 0.7, 0.1), (side * 0.4, 0.4)], tone.dark)
        else:
            pen.blob(
                [
                    (side * 0.42, -0.1),
                    (side * 0.7, 0.1),
                    (side * 0.72, 0.45),
                    (side * 0.45, 0.82),
                    (side * 0.4, 0.4),
                ],
                tone.dark,
            )
            for k in (0.0, 0.14, 0.28):
                pen.line([(side * (0.62 - 0.2 * k), 0.25 + k), (side * (0.5 - 0.2 * k), 0.36 + k)], 0.035, tone.line)


def _owl_face(pen: Pen, tone: Tone, iris: Colour, tuft: float) -> None:
    for side in (-1, 1):
        pen.poly([(side * 0.58, -0.35), (side * (0.58 + tuft), -0.98), (side * 0.1, -0.7)], tone.dark)
    pen.blob(
        [(-0.62, -0.4), (-0.4, -0.72), (0.0, -0.74), (0.4, -0.72), (0.62, -0.4), (0.5, 0.0), (-0.5, 0.0)], tone.base
    )
    disc = mix(tone.light, CREAM, 0.65)
    for side in (-1, 1):
        pen.oval(side * 0.28, -0.35, 0.33, 0.34, tone.dark)
        pen.oval(side * 0.28, -0.35, 0.29, 0.3, disc)
        pen.oval(side * 0.27, -0.35, 0.215, 0.215, tone.line)
        eye(pen, side * 0.27, -0.35, 0.19, iris)
        pen.oval(side * 0.27, -0.35, 0.115, 0.115, BLACK)
        pen.oval(side * 0.27 - 0.05, -0.41, 0.045, 0.045, WHITE)
    pen.poly([(-0.12, -0.24), (0.0, -0.32), (0.12, -0.24), (0.0, 0.04)], BEAK)


def owl(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An owl on a branch with two huge round eyes and ear tufts, its wings folded or spread."""
    iris = pick(((0.1, 0.15), (0.8, 1.0), (0.95, 1.0)), rng)
    pen.line([(-0.92, 0.9), (-0.2, 0.86), (0.92, 0.91)], 0.13, BARK)
    spread = rng.random() < 0.35
    if spread:
        _owl_wings(pen, tone, spread)
    pen.poly([(-0.2, 0.7), (0.2, 0.7), (0.16, 1.0), (-0.16, 1.0)], tone.dark)
    pen.blob([(-0.5, -0.3), (0.5, -0.3), (0.62, 0.2), (0.46, 0.7), (0.0, 0.86), (-0.46, 0.7), (-0.62, 0.2)], tone.base)
    pen.oval(0.0, 0.38, 0.38, 0.42, mix(tone.light, CREAM, 0.5))
    for row, y in enumerate((0.2, 0.37, 0.54, 0.69)):
        for x in (-0.2, 0.0, 0.2) if row % 2 == 0 else (-0.1, 0.1):
            pen.line([(x - 0.06, y), (x, y + 0.06), (x + 0.06, y)], 0.04, mix(tone.base, tone.dark, 0.6))
    if not spread:
        _owl_wings(pen, tone, spread)
    for side in (-1, 1):
        for k in (0.1, 0.19, 0.28):
            pen.oval(side * k, 0.86, 0.05, 0.09, BEAK)
    _owl_face(pen, tone, iris, float(rng.uniform(-0.06, 0.1)))
    pen.mark("neck", 0.0, 0.03, 0.5)
    pen.mark("head", 0.0, -0.66, 0.46)


def _penguin_front(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    lift = float(rng.uniform(0.0, 0.5))
    wing = mix(tone.dark, tone.line, 0.3)
    for side in (-1, 1):
        pen.oval(side * 0.23, 0.9, 0.22, 0.085, BEAK)
        hand = (side * (0.62 + 0.5 * lift), 0.42 - 0.5 * lift)
        pen.blob(
            [
                (side * 0.36, -0.2),
                (side * (0.6 + 0.2 * lift), 0.05 - 0.2 * lift),
                (hand[0] + side * 0.08, hand[1]),
                hand,
                (side * 0.5, 0.25),
            ],
            wing,
        )
    pen.blob(
        [
            (0.0, -0.95),
            (0.36, -0.78),
            (0.44, -0.4),
            (0.56, 0.1),
            (0.58, 0.6),
            (0.3, 0.9),
            (-0.3, 0.9),
            (-0.58, 0.6),
            (-0.56, 0.1),
            (-0.44, -0.4),
            (-0.36, -0.78),
        ],
        tone.base,
    )
    edge = mix(WHITE, tone.line, 0.3)
    for grow, fill in ((0.03, edge), (0.0, WHITE)):
        pen.oval(0.0, 0.36, 0.4 + grow, 0.47 + grow, fill)
        for side in (-1, 1):
            pen.oval(side * 0.16, -0.46, 0.2 + grow, 0.24 + grow, fill)
    for side in (-1, 1):
        pen.oval(side * 0.16, -0.46, 0.2, 0.24, WHITE)
        pen.oval(side * 0.26, -0.32, 0.08, 0.055, mix(WHITE, PINK, 0.6))
        bead(pen, side * 0.16, -0.52, 0.075)
    pen.poly([(-0.14, -0.42), (0.0, -0.47), (0.14, -0.42), (0.0, -0.22)], BEAK)
    pen.mark("neck", 0.0, -0.16, 0.45)
    pen.mark("head", 0.0, -0.8, 0.35)


def _penguin_side(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    swing = float(rng.uniform(0.1, 0.5))
    for x in (-0.32, 0.14):
        pen.blob([(x + 0.16, 0.84), (x - 0.08, 0.84), (x - 0.26, 0.95), (x + 0.16, 0.96)], BEAK)
    pen.poly([(0.2, 0.6), (0.6, 0.9), (0.1, 0.9)], tone.dark)
    pen.poly([(-0.4, -0.74), (-0.86, -0.55), (-0.4, -0.46)], BEAK)
    pen.blob(
        [
            (-0.14, -0.95),
            (0.2, -0.78),
            (0.24, -0.4),
            (0.44, 0.1),
            (0.44, 0.65),
            (0.16, 0.9),
            (-0.26, 0.9),
            (-0.52, 0.6),
            (-0.52, 0.1),
            (-0.4, -0.3),
            (-0.48, -0.7),
        ],
        tone.base,
    )
    belly = [(-0.36, -0.3), (-0.12, -0.12), (0.02, 0.3), (-0.06, 0.75), (-0.26, 0.87), (-0.48, 0.6), (-0.48, 0.1)]
    edge = mix(WHITE, tone.line, 0.3)
    pen.blob([(x + 0.035, y) for x, y in belly], edge)
    pen.blob(belly, WHITE)
    pen.blob([(-0.44, -0.56), (-0.22, -0.72), (0.0, -0.6), (0.02, -0.44), (-0.12, -0.32), (-0.36, -0.38)], edge)
    pen.blob([(-0.42, -0.55), (-0.22, -0.69), (-0.03, -0.59), (-0.02, -0.45), (-0.14, -0.35), (-0.35, -0.4)], WHITE)
    bead(pen, -0.24, -0.64, 0.07)
    pen.oval(-0.16, -0.46, 0.075, 0.05, mix(WHITE, PINK, 0.6))
    pen.blob(
        [(0.06, -0.2), (0.26, -0.1), (0.3 + swing, 0.3), (0.34 + swing, 0.5), (0.1 + 0.6 * swing, 0.36)], tone.dark
    )
    pen.mark("neck", -0.08, -0.28, 0.34)
    pen.mark("head", -0.14, -0.8, 0.33)


def penguin(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An upright penguin with a white belly and an orange beak, from the front or from the side."""
    if rng.random() < 0.6:
        _penguin_front(pen, tone, rng)
    else:
        _penguin_side(pen, tone, rng)

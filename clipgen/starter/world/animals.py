"""Animals, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import numpy as np

from clipgen.starter.world.features import BLACK, PINK, WHITE, eye
from clipgen.starter.world.palette import Tone, mix, rgb
from clipgen.starter.world.pen import Colour, Pen


def _cat_head(pen: Pen, x: float, y: float, r: float, tone: Tone, iris: Colour) -> None:
    for side in (-1, 1):
        pen.poly(
            [
                (x + side * 0.95 * r, y - 0.25 * r),
                (x + side * 0.85 * r, y - 1.35 * r),
                (x + side * 0.2 * r, y - 0.8 * r),
            ],
            tone.base,
        )
        pen.poly(
            [
                (x + side * 0.8 * r, y - 0.55 * r),
                (x + side * 0.76 * r, y - 1.08 * r),
                (x + side * 0.42 * r, y - 0.78 * r),
            ],
            PINK,
        )
    pen.oval(x, y, r * 1.05, r * 0.88, tone.base)
    for k in (-0.22, 0.0, 0.22):
        pen.line([(x + k * r, y - 0.82 * r), (x + k * 0.8 * r, y - 0.52 * r)], 0.09 * r, tone.dark)
    for side in (-1, 1):
        eye(pen, x + side * 0.42 * r, y - 0.1 * r, 0.22 * r, iris, slit=True)
        pen.oval(x + side * 0.17 * r, y + 0.4 * r, 0.22 * r, 0.17 * r, tone.light)
        for k in (-0.1, 0.06, 0.22):
            pen.line(
                [(x + side * 0.35 * r, y + 0.38 * r + k * 0.3 * r), (x + side * 1.3 * r, y + 0.25 * r + k * 1.2 * r)],
                0.035 * r,
                tone.line,
            )
    pen.poly([(x - 0.12 * r, y + 0.2 * r), (x + 0.12 * r, y + 0.2 * r), (x, y + 0.35 * r)], PINK)


def cat(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A cat: its head alone, sitting, or walking."""
    iris = rgb(float(rng.uniform(0.15, 0.4)), 0.8, 0.8)
    pose = rng.integers(3)
    if pose == 0:
        _cat_head(pen, 0.0, 0.2, 0.74, tone, iris)
        pen.mark("neck", 0.0, 0.86, 0.4)
        pen.mark("head", 0.0, -0.4, 0.44)
    elif pose == 1:
        curl = float(rng.uniform(0.4, 0.8))
        pen.line([(0.3, 0.8), (0.75, 0.75), (0.88, 0.35), (0.7, 0.35 - curl * 0.6)], 0.15, tone.dark, curved=True)
        pen.blob([(-0.42, 0.95), (-0.45, 0.4), (-0.25, -0.05), (0.2, -0.05), (0.48, 0.45), (0.48, 0.95)], tone.base)
        pen.oval(-0.02, 0.5, 0.2, 0.36, tone.light)
        for side in (-1, 1):
            pen.oval(side * 0.2, 0.9, 0.17, 0.1, tone.light)
            pen.line([(side * 0.06, 0.55), (side * 0.06, 0.85)], 0.03, tone.dark)
        _cat_head(pen, 0.0, -0.3, 0.48, tone, iris)
        pen.mark("neck", 0.0, 0.12, 0.34)
        pen.mark("head", 0.0, -0.68, 0.29)
    else:
        step = float(rng.uniform(-0.1, 0.1))
        pen.line([(0.6, 0.1), (0.85, -0.15), (0.85, -0.55), (0.7, -0.8)], 0.13, tone.dark, curved=True)
        for x, shade in ((-0.3, tone.dark), (0.45, tone.dark), (-0.12, tone.base), (0.6, tone.base)):
            pen.line([(x, 0.3), (x + step, 0.85)], 0.16, shade)
            step = -step
        pen.blob(
            [(-0.45, 0.15), (-0.3, -0.1), (0.3, -0.08), (0.7, 0.05), (0.72, 0.4), (0.3, 0.45), (-0.3, 0.48)], tone.base
        )
        for x in (0.0, 0.18, 0.36):
            pen.line([(x, -0.08), (x + 0.05, 0.14)], 0.06, tone.dark)
        _cat_head(pen, -0.5, -0.12, 0.38, tone, iris)
        pen.mark("neck", -0.38, 0.2, 0.25)
        pen.mark("head", -0.5, -0.42, 0.23)


def _dog_head(pen: Pen, x: float, y: float, r: float, tone: Tone, floppy: float) -> None:
    pen.blob(
        [
            (x - 0.6 * r, y - 0.75 * r),
            (x, y - 0.92 * r),
            (x + 0.6 * r, y - 0.75 * r),
            (x + 0.75 * r, y),
            (x + 0.5 * r, y + 0.8 * r),
            (x - 0.5 * r, y + 0.8 * r),
            (x - 0.75 * r, y),
        ],
        tone.base,
    )
    for side in (-1, 1):
        pen.blob(
            [
                (x + side * 0.5 * r, y - 0.8 * r),
                (x + side * 0.95 * r, y - 0.65 * r),
                (x + side * (0.85 + 0.3 * floppy) * r, y + 0.35 * r),
                (x + side * 0.78 * r, y + 0.6 * r),
                (x + side * 0.62 * r, y + 0.1 * r),
            ],
            tone.dark,
        )
    pen.oval(x, y + 0.45 * r, 0.48 * r, 0.42 * r, tone.light)
    pen.oval(x, y + 0.22 * r, 0.2 * r, 0.15 * r, BLACK)
    for side in (-1, 1):
        pen.oval(x + side * 0.33 * r, y - 0.18 * r, 0.13 * r, 0.15 * r, BLACK)
        pen.oval(x + side * 0.33 * r - 0.04 * r, y - 0.24 * r, 0.04 * r, 0.04 * r, WHITE)
    pen.line([(x, y + 0.36 * r), (x, y + 0.55 * r)], 0.05 * r, BLACK)
    pen.oval(x, y + 0.72 * r, 0.15 * r, 0.2 * r, (222, 92, 104))


def dog(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A dog with hanging ears and its tongue out: its head alone, sitting, or standing sideways."""
    floppy = float(rng.uniform(0.0, 1.0))
    pose = rng.integers(3)
    if pose == 0:
        _dog_head(pen, 0.0, 0.0, 0.92, tone, floppy)
        pen.mark("neck", 0.0, 0.84, 0.46)
        pen.mark("head", 0.0, -0.72, 0.6)
    elif pose == 1:
        pen.line([(0.35, 0.75), (0.7, 0.6), (0.85, 0.3)], 0.13, tone.dark, curved=True)
        pen.blob([(-0.4, 0.95), (-0.42, 0.4), (-0.25, 0.0), (0.25, 0.0), (0.45, 0.45), (0.5, 0.95)], tone.base)
        pen.oval(0.0, 0.4, 0.2, 0.28, tone.light)
        for side in (-1, 1):
            pen.line([(side * 0.14, 0.45), (side * 0.16, 0.85)], 0.15, tone.base)
            pen.oval(side * 0.17, 0.9, 0.15, 0.09, tone.light)
        pen.line([(-0.26, 0.12), (0.0, 0.2), (0.26, 0.12)], 0.09, (196, 40, 40))
        _dog_head(pen, 0.0, -0.38, 0.55, tone, floppy)
        pen.mark("neck", 0.0, 0.13, 0.32)
        pen.mark("head", 0.0, -0.81, 0.36)
    else:
        pen.line([(0.65, 0.0), (0.85, -0.2), (0.95, -0.5)], 0.12, tone.dark, curved=True)
        for x, shade in ((-0.15, tone.dark), (0.42, tone.dark), (-0.32, tone.base), (0.6, tone.base)):
            pen.line([(x, 0.2), (x + float(rng.uniform(-0.08, 0.08)), 0.88)], 0.17, shade)
        pen.blob(
            [(-0.5, 0.0), (-0.2, -0.12), (0.4, -0.1), (0.72, 0.0), (0.72, 0.38), (0.2, 0.36), (-0.4, 0.46)], tone.base
        )
        pen.blob(
            [
                (-0.55, -0.75),
                (-0.25, -0.7),
                (-0.18, -0.3),
                (-0.3, 0.15),
                (-0.55, 0.1),
                (-0.62, -0.2),
                (-0.98, -0.22),
                (-1.0, -0.42),
                (-0.75, -0.52),
            ],
            tone.base,
        )
        pen.blob([(-0.4, -0.75), (-0.2, -0.68), (-0.1, -0.2), (-0.22, 0.0), (-0.34, -0.3)], tone.dark)
        pen.oval(-0.98, -0.4, 0.09, 0.08, BLACK)
        pen.oval(-0.6, -0.5, 0.06, 0.07, BLACK)
        pen.line([(-0.55, 0.06), (-0.24, 0.06)], 0.1, (196, 40, 40))
        pen.mark("neck", -0.4, 0.04, 0.2)
        pen.mark("head", -0.42, -0.71, 0.22)


def fish(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A fish in profile, with fins, stripes or scales."""
    deep = float(rng.uniform(0.36, 0.56))
    pen.blob([(0.45, 0.0), (0.75, -0.5), (1.0, -0.5), (0.88, 0.0), (1.0, 0.5), (0.75, 0.5)], tone.dark)
    pen.blob([(-0.2, -deep * 0.8), (0.1, -deep - 0.32), (0.4, -deep - 0.12), (0.35, -deep * 0.5)], tone.dark)
    pen.poly([(-0.05, deep * 0.8), (0.2, deep + 0.3), (0.3, deep * 0.6)], tone.dark)
    pen.blob(
        [
            (-0.95, 0.02),
            (-0.6, -deep * 0.85),
            (-0.05, -deep),
            (0.4, -deep * 0.5),
            (0.62, 0.0),
            (0.4, deep * 0.5),
            (-0.05, deep),
            (-0.6, deep * 0.85),
        ],
        tone.base,
    )
    if rng.random() < 0.5:
        for x in (-0.2, 0.08, 0.34):
            tall = deep * (0.86 - 0.75 * abs(x + 0.05))
            pen.line([(x, -tall), (x + 0.07, 0.0), (x, tall)], 0.1, tone.light, curved=True)
    else:
        for row in range(-1, 2):
            for k in range(4):
                pen.oval(-0.25 + 0.2 * k + 0.08 * (row % 2), row * deep * 0.45, 0.08, 0.08, tone.light)
    pen.line([(-0.45, -deep * 0.6), (-0.38, 0.0), (-0.45, deep * 0.6)], 0.045, tone.line, curved=True)
    pen.poly([(-0.3, 0.1), (-0.02, 0.3), (-0.28, 0.36)], tone.dark)
    eye(pen, -0.66, -0.12, 0.13, BLACK)
    pen.line([(-0.9, 0.16), (-0.74, 0.18)], 0.04, tone.line)


def butterfly(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A butterfly seen from above, its wings spread."""
    wide = float(rng.uniform(0.8, 1.0))
    spot = mix(tone.light, WHITE, 0.5)
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.05, 0.05),
                (side * 0.35 * wide, -0.75),
                (side * 0.85 * wide, -0.85),
                (side * 0.98 * wide, -0.4),
                (side * 0.55 * wide, 0.08),
            ],
            tone.line,
        )
        pen.blob(
            [
                (side * 0.1, 0.0),
                (side * 0.38 * wide, -0.65),
                (side * 0.8 * wide, -0.74),
                (side * 0.88 * wide, -0.4),
                (side * 0.5 * wide, 0.0),
            ],
            tone.base,
        )
        pen.blob(
            [
                (side * 0.05, 0.05),
                (side * 0.6 * wide, 0.1),
                (side * 0.8 * wide, 0.5),
                (side * 0.5 * wide, 0.88),
                (side * 0.15, 0.5),
            ],
            tone.line,
        )
        pen.blob(
            [
                (side * 0.1, 0.12),
                (side * 0.55 * wide, 0.18),
                (side * 0.7 * wide, 0.5),
                (side * 0.45 * wide, 0.76),
                (side * 0.18, 0.45),
            ],
            tone.dark,
        )
        pen.oval(side * 0.62 * wide, -0.5, 0.13, 0.13, spot)
        pen.oval(side * 0.42 * wide, 0.45, 0.11, 0.13, spot)
        pen.line([(side * 0.03, -0.5), (side * 0.12, -0.8), (side * 0.25, -0.95)], 0.035, BLACK, curved=True)
    pen.oval(0.0, 0.0, 0.09, 0.58, BLACK)
    pen.oval(0.0, -0.5, 0.11, 0.12, BLACK)


def rabbit(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A rabbit with long upright ears: its head alone, or sitting."""
    lean = float(rng.uniform(-0.12, 0.12))
    head = rng.random() < 0.4
    y, r = (0.42, 0.54) if head else (-0.15, 0.34)
    if not head:
        pen.oval(0.5, 0.66, 0.17, 0.17, tone.light)
        pen.blob([(-0.36, 0.95), (-0.4, 0.45), (-0.2, 0.1), (0.22, 0.1), (0.48, 0.5), (0.46, 0.95)], tone.base)
        pen.oval(0.0, 0.55, 0.19, 0.27, tone.light)
        for side in (-1, 1):
            pen.oval(side * 0.25, 0.9, 0.22, 0.1, tone.light)
    for side in (-1, 1):
        pen.oval(side * 0.4 * r + lean * side, y - 1.55 * r, 0.24 * r, 0.95 * r, tone.base, turn=side * 0.16 + lean)
        pen.oval(side * 0.4 * r + lean * side, y - 1.5 * r, 0.11 * r, 0.72 * r, PINK, turn=side * 0.16 + lean)
    pen.oval(0.0, y, r, 0.88 * r, tone.base)
    for side in (-1, 1):
        pen.oval(side * 0.42 * r, y - 0.12 * r, 0.12 * r, 0.17 * r, BLACK)
        pen.oval(side * 0.42 * r - 0.03 * r, y - 0.2 * r, 0.045 * r, 0.045 * r, WHITE)
        pen.oval(side * 0.2 * r, y + 0.42 * r, 0.26 * r, 0.22 * r, tone.light)
    pen.box(-0.1 * r, y + 0.5 * r, 0.1 * r, y + 0.75 * r, WHITE)
    pen.oval(0.0, y + 0.2 * r, 0.12 * r, 0.09 * r, PINK)
    pen.mark("neck", 0.0, y + (0.85 if head else 0.9) * r, 0.72 * r)
    pen.mark("head", 0.0, y - 0.66 * r, 0.68 * r)

"""Made things and fruit, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import itertools
import math

import numpy as np

from clipgen.starter.world.palette import Tone, mix, pick, rgb
from clipgen.starter.world.pen import Colour, Pen

DARK: Colour = (32, 30, 34)
GLASS: Colour = (178, 218, 238)
LEAF: Colour = (70, 150, 62)


def house(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A house with a pitched roof, a door, windows and a chimney."""
    roof = pick(((0.98, 1.06), (0.35, 0.7), (0.3, 0.6)), rng)
    wide, eaves = float(rng.uniform(0.62, 0.85)), float(rng.uniform(-0.2, 0.05))
    peak = eaves - float(rng.uniform(0.5, 0.75))
    pen.box(wide * 0.35, peak + 0.02, wide * 0.35 + 0.18, eaves, mix(roof, DARK, 0.3))
    pen.box(-wide, eaves, wide, 0.95, tone.base)
    pen.box(wide * 0.6, eaves, wide, 0.95, tone.dark)
    pen.poly([(-wide - 0.14, eaves + 0.04), (0.0, peak), (wide + 0.14, eaves + 0.04)], roof)
    pen.line([(-wide - 0.14, eaves + 0.04), (0.0, peak), (wide + 0.14, eaves + 0.04)], 0.06, mix(roof, DARK, 0.4))
    pen.box(-0.15, 0.4, 0.15, 0.95, mix(roof, DARK, 0.5))
    pen.oval(0.09, 0.68, 0.025, 0.025, (240, 210, 90))
    for x in (-wide * 0.6, wide * 0.6):
        pen.box(x - 0.18, eaves + 0.16, x + 0.18, eaves + 0.5, (248, 246, 238))
        pen.box(x - 0.14, eaves + 0.2, x + 0.14, eaves + 0.46, GLASS)
        pen.line([(x, eaves + 0.2), (x, eaves + 0.46)], 0.035, (248, 246, 238))


def car(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A car from the side."""
    roof = float(rng.uniform(-0.48, -0.36))
    rear = float(rng.uniform(0.45, 0.68))
    pen.poly([(-0.5, 0.02), (-0.28, roof), (rear - 0.15, roof), (rear + 0.08, 0.02)], tone.base)
    pen.poly([(-0.4, 0.0), (-0.23, roof + 0.09), (0.05, roof + 0.09), (0.05, 0.0)], GLASS)
    pen.poly([(0.12, 0.0), (0.12, roof + 0.09), (rear - 0.2, roof + 0.09), (rear - 0.04, 0.0)], GLASS)
    pen.poly([(-0.98, 0.1), (-0.85, 0.0), (0.9, 0.0), (0.99, 0.15), (0.99, 0.42), (-0.98, 0.42)], tone.base)
    pen.box(-0.97, 0.28, 0.98, 0.42, tone.dark)
    pen.line([(0.08, 0.04), (0.08, 0.36)], 0.025, tone.line)
    pen.oval(-0.9, 0.14, 0.07, 0.06, (255, 236, 150))
    pen.oval(0.92, 0.14, 0.05, 0.06, (216, 40, 40))
    for x in (-0.55, 0.57):
        pen.oval(x, 0.42, 0.24, 0.24, DARK)
        pen.oval(x, 0.42, 0.12, 0.12, (190, 192, 198))


def boat(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A sailing boat."""
    sail = pick(((0.08, 0.14), (0.0, 0.12), (0.93, 1.0)), rng)
    mast = float(rng.uniform(-0.1, 0.08))
    pen.line([(mast, 0.5), (mast, -0.98)], 0.055, (98, 66, 40))
    full = float(rng.uniform(0.05, 0.2))
    pen.blob(
        [(mast + 0.06, -0.9), (mast + 0.4 + full, -0.2), (mast + 0.72, 0.34), (mast + 0.3, 0.37), (mast + 0.06, 0.34)],
        sail,
    )
    pen.poly([(mast - 0.06, -0.75), (mast - 0.06, 0.34), (mast - 0.62, 0.34)], mix(sail, DARK, 0.1))
    pen.poly([(mast, -0.98), (mast + 0.25, -0.9), (mast, -0.82)], tone.light)
    pen.poly([(-0.95, 0.44), (0.98, 0.44), (0.68, 0.9), (-0.62, 0.9)], tone.base)
    pen.poly([(-0.95, 0.44), (0.98, 0.44), (0.9, 0.56), (-0.87, 0.56)], tone.light)
    pen.poly([(-0.7, 0.78), (0.76, 0.78), (0.68, 0.9), (-0.62, 0.9)], tone.dark)


def apple(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An apple with its stalk and a leaf."""
    wide = float(rng.uniform(0.78, 0.92))
    pen.blob(
        [
            (0.0, -0.45),
            (wide * 0.5, -0.62),
            (wide, -0.2),
            (wide * 0.85, 0.5),
            (wide * 0.35, 0.92),
            (0.0, 0.82),
            (-wide * 0.35, 0.92),
            (-wide * 0.85, 0.5),
            (-wide, -0.2),
            (-wide * 0.5, -0.62),
        ],
        tone.base,
    )
    pen.blob([(wide * 0.3, 0.9), (wide * 0.85, 0.5), (wide, -0.2), (wide * 0.72, 0.3)], tone.dark)
    pen.oval(-wide * 0.5, -0.15, 0.14, 0.26, tone.light, turn=0.35)
    pen.oval(0.0, -0.46, 0.2, 0.07, tone.dark)
    pen.line([(0.0, -0.42), (0.03, -0.7), (0.12, -0.95)], 0.075, (92, 60, 34), curved=True)
    pen.blob([(0.08, -0.72), (0.3, -1.0), (0.65, -0.95), (0.4, -0.7)], LEAF)


def teapot(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A teapot with its spout, handle and lid."""
    round_ = float(rng.uniform(0.48, 0.58))
    pen.line([(0.45, -0.12), (0.82, -0.28), (0.95, 0.08), (0.78, 0.4), (0.46, 0.48)], 0.11, tone.dark, curved=True)
    pen.poly([(-0.4, 0.15), (-0.72, -0.1), (-0.86, -0.42), (-1.0, -0.38), (-0.88, 0.12), (-0.42, 0.58)], tone.base)
    pen.oval(0.0, 0.22, 0.62, round_, tone.base)
    pen.blob([(0.2, 0.7), (0.55, 0.45), (0.6, 0.1), (0.42, 0.4)], tone.dark)
    pen.oval(-0.25, 0.05, 0.12, 0.2, tone.light, turn=0.4)
    pen.box(-0.3, 0.22 + round_ - 0.07, 0.3, 0.22 + round_ + 0.05, tone.dark)
    pen.oval(0.0, 0.22 - round_ * 0.82, 0.36, 0.13, tone.dark)
    pen.oval(0.0, 0.17 - round_ * 0.86, 0.34, 0.12, tone.light)
    pen.oval(0.0, 0.02 - round_ * 0.92, 0.09, 0.1, tone.dark)


def star(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A five-pointed star."""
    inner = float(rng.uniform(0.38, 0.48))

    def corner(k: int, shrink: float) -> tuple[float, float]:
        r = (0.98 if k % 2 == 0 else inner) * shrink
        return r * math.sin(math.pi * k / 5), -r * math.cos(math.pi * k / 5)

    pen.poly([corner(k, 1.0) for k in range(10)], tone.dark)
    pen.poly([corner(k, 0.86) for k in range(10)], tone.base)
    for k in range(0, 10, 2):
        pen.poly([(0.0, 0.0), corner(k, 0.86), corner(k + 1, 0.86)], tone.light)


def heart(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A heart."""
    t = np.linspace(0.0, 2.0 * math.pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3 / 17.0
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17.0
    tall = float(rng.uniform(0.9, 1.05))
    pen.poly(list(zip(x, y * tall, strict=True)), tone.dark)
    pen.poly(list(zip(x * 0.9, y * 0.9 * tall - 0.01, strict=True)), tone.base)
    pen.oval(-0.45, -0.35, 0.13, 0.2, tone.light, turn=0.6)


def mushroom(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A mushroom with a spotted cap."""
    stem = pick(((0.09, 0.13), (0.08, 0.2), (0.88, 0.98)), rng)
    slim = float(rng.uniform(0.18, 0.28))
    pen.blob(
        [(-slim, 0.0), (slim, 0.0), (slim * 1.1, 0.6), (slim * 1.5, 0.95), (-slim * 1.5, 0.95), (-slim * 1.1, 0.6)],
        stem,
    )
    pen.line([(slim * 0.7, 0.2), (slim * 0.9, 0.85)], 0.06, mix(stem, DARK, 0.15))
    pen.blob(
        [(-0.95, 0.1), (-0.8, -0.5), (-0.3, -0.9), (0.3, -0.9), (0.8, -0.5), (0.95, 0.1), (0.5, 0.2), (-0.5, 0.2)],
        tone.base,
    )
    pen.blob([(-0.8, 0.12), (0.0, 0.04), (0.8, 0.12), (0.4, 0.21), (-0.4, 0.21)], mix(stem, DARK, 0.2))
    spot = (252, 250, 246) if min(tone.base) < 200 else tone.dark
    for x, y, r in (
        (-0.45, -0.35, 0.14),
        (0.05, -0.6, 0.15),
        (0.5, -0.3, 0.16),
        (-0.02, -0.15, 0.12),
        (-0.7, -0.05, 0.08),
        (0.72, -0.02, 0.07),
    ):
        pen.oval(x + float(rng.uniform(-0.05, 0.05)), y, r, r * 0.85, spot)


def umbrella(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An open umbrella."""
    tall = float(rng.uniform(0.75, 0.95))
    pen.line([(0.0, -0.9), (0.0, 0.75), (0.08, 0.92), (0.25, 0.9), (0.3, 0.72)], 0.075, (96, 62, 38), curved=True)
    angles = np.linspace(math.pi, 2 * math.pi, 25)
    rim = [(0.95 * math.cos(a), tall * math.sin(a) + 0.1) for a in angles]
    pen.poly(rim, tone.base)
    ribs = np.linspace(-0.95, 0.95, 6)
    for k, (x0, x1) in enumerate(itertools.pairwise(ribs)):
        if k % 2:
            arc = [(0.0, 0.1 - tall), *[p for p in rim if x0 - 0.03 <= p[0] <= x1 + 0.03]]
            pen.poly(arc, tone.dark if max(tone.base) > 60 else tone.light)
        pen.oval((x0 + x1) / 2, 0.11, (x1 - x0) / 2, 0.07, tone.dark)


def balloon(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A hot-air balloon with its basket."""
    stripe = mix(tone.light, (255, 255, 255), 0.35) if max(tone.base) > 60 else tone.light
    pen.blob(
        [
            (-0.2, 0.42),
            (-0.68, -0.05),
            (-0.68, -0.6),
            (-0.3, -0.95),
            (0.3, -0.95),
            (0.68, -0.6),
            (0.68, -0.05),
            (0.2, 0.42),
        ],
        tone.base,
    )
    bulge = float(rng.uniform(0.16, 0.24))
    pen.blob([(-0.07, 0.42), (-bulge, -0.25), (-0.06, -0.96), (0.06, -0.96), (bulge, -0.25), (0.07, 0.42)], stripe)
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.16, 0.42),
                (side * 0.52, -0.2),
                (side * 0.36, -0.9),
                (side * 0.6, -0.68),
                (side * 0.7, -0.1),
                (side * 0.22, 0.42),
            ],
            tone.dark,
        )
        pen.line([(side * 0.18, 0.42), (side * 0.13, 0.72)], 0.03, DARK)
    pen.box(-0.17, 0.68, 0.17, 0.96, rgb(0.08, 0.6, 0.5))
    pen.box(-0.19, 0.66, 0.19, 0.73, rgb(0.08, 0.6, 0.36))

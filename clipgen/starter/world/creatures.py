"""Smaller animals of far places and of the garden, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import BLACK, CREAM, PINK, WHITE, bead, eye
from clipgen.starter.world.palette import Tone, mix, rgb
from clipgen.starter.world.pen import Colour, Pen, Point


def _spiral(x: float, y: float, r: float, turns: float, start: float) -> list[Point]:
    path: list[Point] = []
    for k in range(61):
        share = k / 60
        angle = start + math.tau * turns * share
        reach = r * (1.0 - 0.95 * share)
        path.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return path


def snail(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A snail with a spiral shell on its back and its eyes on stalks, its head held high or low."""
    skin = mix(tone.light, CREAM, 0.5)
    shade = mix(skin, tone.line, 0.25)
    rise = float(rng.uniform(0.0, 0.25))
    r = float(rng.uniform(0.58, 0.66))
    x, y = 0.22, 0.8 - r
    head = 0.34 - rise
    for k, lean in ((0.0, -0.14), (0.16, 0.06)):
        tip = (-0.72 + k + lean, head - 0.5)
        pen.line([(-0.76 + k, head + 0.05), (-0.74 + k + 0.4 * lean, head - 0.2), tip], 0.075, shade, curved=True)
        eye(pen, *tip, 0.1, BLACK)
    pen.blob(
        [
            (-0.95, head),
            (-0.8, head - 0.15),
            (-0.56, head - 0.06),
            (-0.42, 0.55),
            (0.2, 0.68),
            (0.75, 0.75),
            (1.0, 0.92),
            (0.3, 0.96),
            (-0.5, 0.96),
            (-0.78, 0.8),
            (-0.88, head + 0.25),
        ],
        skin,
    )
    pen.line([(-0.55, 0.93), (0.9, 0.93)], 0.05, shade)
    pen.line([(-0.9, head + 0.1), (-0.82, head + 0.15), (-0.72, head + 0.12)], 0.035, tone.line, curved=True)
    pen.oval(-0.66, head + 0.08, 0.06, 0.045, PINK)
    pen.oval(x, y, r, r, tone.dark)
    pen.oval(x, y - 0.02, r * 0.93, r * 0.93, tone.base)
    pen.oval(x - 0.22 * r, y - 0.34 * r, 0.5 * r, 0.4 * r, mix(tone.base, tone.light, 0.6), turn=-0.5)
    pen.line(_spiral(x, y, r * 0.95, float(rng.uniform(2.1, 2.6)), 2.2), 0.075, tone.line)


def _spikes(pen: Pen, x: float, y: float, r: float, arc: tuple[float, float], many: int, fill: Colour) -> None:
    """A ring of pointed spines, filled inside, between two angles."""
    angles = np.linspace(arc[0], arc[1], 2 * many + 1)
    reach = [r if k % 2 else 0.8 * r for k in range(2 * many + 1)]
    rim = [(x + d * math.cos(a), y + d * math.sin(a)) for a, d in zip(angles.tolist(), reach, strict=True)]
    pen.poly([(x, y + 0.3 * r), *rim], fill)


def _quills(pen: Pen, x: float, y: float, reach: tuple[float, ...], arc: tuple[float, float], tone: Tone) -> None:
    """Short strokes that point away from (x, y), in rows, dark and light by turns."""
    for row, r in enumerate(reach):
        many = round((arc[1] - arc[0]) * r / 0.17)
        for k, angle in enumerate(np.linspace(arc[0], arc[1], many).tolist()):
            cos, sin = math.cos(angle), math.sin(angle)
            fill = tone.light if (k + row) % 3 == 0 else tone.line
            pen.line([(x + r * cos, y + r * sin), (x + (r + 0.12) * cos, y + (r + 0.12) * sin)], 0.045, fill)


def _hedgehog_side(pen: Pen, tone: Tone, skin: Colour, rng: np.random.Generator) -> None:
    for x in (-0.35, -0.05, 0.35, 0.62):
        pen.oval(x, 0.88, 0.14, 0.09, mix(skin, tone.line, 0.35))
    pen.blob([(-0.5, 0.3), (0.0, 0.3), (0.7, 0.5), (0.72, 0.78), (0.1, 0.88), (-0.5, 0.82)], skin)
    arc = (-3.2, 0.45)
    many = int(rng.integers(13, 17))
    _spikes(pen, 0.15, 0.42, 0.85, arc, many, tone.line)
    _spikes(pen, 0.16, 0.45, 0.74, arc, many - 1, tone.base)
    _quills(pen, 0.17, 0.5, (0.5, 0.34, 0.19), (-2.75, 0.1), tone)
    snout = float(rng.uniform(0.38, 0.54))
    pen.blob(
        [
            (-0.3, 0.12),
            (-0.1, 0.4),
            (-0.15, 0.78),
            (-0.5, 0.8),
            (-0.75, snout + 0.22),
            (-0.98, snout + 0.08),
            (-0.92, snout - 0.04),
            (-0.62, 0.22),
        ],
        skin,
    )
    pen.oval(-0.2, 0.3, 0.13, 0.15, mix(skin, tone.line, 0.35))
    pen.oval(-0.2, 0.31, 0.075, 0.09, PINK)
    pen.oval(-0.95, snout, 0.085, 0.08, BLACK)
    bead(pen, -0.54, 0.38, 0.075)
    pen.oval(-0.42, 0.6, 0.1, 0.065, mix(skin, PINK, 0.6))
    pen.line([(-0.78, snout + 0.16), (-0.66, snout + 0.2), (-0.56, snout + 0.14)], 0.035, BLACK, curved=True)
    pen.mark("head", -0.38, 0.12, 0.26)


def _hedgehog_front(pen: Pen, tone: Tone, skin: Colour, rng: np.random.Generator) -> None:
    many = int(rng.integers(19, 24))
    shade = mix(skin, tone.line, 0.35)
    _spikes(pen, 0.0, 0.05, 0.97, (-4.3, 1.16), many, tone.line)
    _spikes(pen, 0.0, 0.1, 0.84, (-4.4, 1.26), many - 2, tone.base)
    _quills(pen, 0.0, 0.1, (0.58,), (-4.0, 0.86), tone)
    pen.oval(0.0, 0.56, 0.5, 0.4, skin)
    for side in (-1, 1):
        pen.oval(side * 0.25, 0.91, 0.2, 0.085, shade)
        pen.oval(side * 0.46, -0.3, 0.14, 0.14, shade)
        pen.oval(side * 0.46, -0.29, 0.085, 0.085, PINK)
    pen.blob(
        [(-0.5, -0.08), (-0.25, -0.3), (0.0, -0.2), (0.25, -0.3), (0.5, -0.08), (0.3, 0.34), (0.0, 0.5), (-0.3, 0.34)],
        skin,
    )
    for side in (-1, 1):
        bead(pen, side * 0.24, -0.02, 0.09)
        pen.oval(side * 0.33, 0.19, 0.1, 0.065, mix(skin, PINK, 0.6))
        pen.oval(side * 0.2, 0.62, 0.09, 0.14, shade, turn=side * 0.5)
    pen.oval(0.0, 0.24, 0.17, 0.14, mix(skin, WHITE, 0.4))
    pen.oval(0.0, 0.17, 0.1, 0.08, BLACK)
    pen.line([(-0.1, 0.33), (0.0, 0.37), (0.1, 0.33)], 0.03, BLACK, curved=True)
    pen.mark("head", 0.0, -0.4, 0.45)


def hedgehog(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A hedgehog under its spines, with a pointed snout: walking sideways, or sitting up."""
    skin = mix(tone.light, CREAM, 0.75)
    if rng.random() < 0.6:
        _hedgehog_side(pen, tone, skin, rng)
    else:
        _hedgehog_front(pen, tone, skin, rng)


def _turtle_shell(pen: Pen, tone: Tone, hexagons: bool) -> None:
    dome = [(0.12 + 0.74 * math.cos(a), 0.6 + 0.98 * math.sin(a)) for a in np.linspace(-math.pi, 0.0, 25).tolist()]
    pen.poly(dome, tone.dark)
    pen.poly([(0.12 + (x - 0.12) * 0.94, 0.6 + (y - 0.6) * 0.95) for x, y in dome], tone.base)
    line = mix(tone.dark, tone.line, 0.55)
    inner = mix(tone.base, tone.light, 0.75)
    if hexagons:
        for x, y, r in ((0.12, 0.02, 0.26), (-0.3, 0.3, 0.2), (0.54, 0.3, 0.2)):
            for grow, fill in ((1.0, line), (0.76, inner)):
                angles = [math.tau * k / 6 for k in range(6)]
                pen.poly([(x + r * grow * math.cos(a), y + r * grow * math.sin(a)) for a in angles], fill)
        for x, y in ((0.02, 0.25), (0.22, 0.25)):
            pen.line([(x, y), (0.12 + 2.0 * (x - 0.12), 0.55)], 0.05, line)
        pen.line([(0.12, -0.2), (0.12, -0.34)], 0.05, line)
    else:
        for x, y, r in ((0.12, -0.14, 0.15), (-0.2, 0.08, 0.13), (0.44, 0.08, 0.13), (0.12, 0.26, 0.15)):
            pen.oval(x, y, r, r, line)
            pen.oval(x, y, r * 0.68, r * 0.68, inner)
        for x in (-0.36, 0.6):
            pen.oval(x, 0.4, 0.12, 0.11, line)
            pen.oval(x, 0.4, 0.08, 0.07, inner)
    pen.line([(-0.62, 0.6), (0.86, 0.6)], 0.15, line)
    pen.line([(-0.62, 0.58), (0.86, 0.58)], 0.09, tone.base)


def turtle(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A turtle on its four legs under a domed, patterned shell, its head held high or low."""
    skin = mix(rgb(0.24, 0.5, 0.8), tone.light, 0.25)
    shade = mix(skin, BLACK, 0.2)
    y = float(rng.uniform(0.0, 0.36))
    step = float(rng.uniform(-0.06, 0.06))
    pen.poly([(0.75, 0.58), (1.0, 0.74), (0.7, 0.74)], shade)
    for x, fill, k in ((-0.18, shade, 1), (0.34, shade, -1), (-0.38, skin, -1), (0.58, skin, 1)):
        pen.line([(x, 0.6), (x + k * step, 0.84)], 0.24, fill)
        pen.oval(x + k * step - 0.03, 0.87, 0.16, 0.085, fill)
    pen.line([(-0.35, 0.5), (-0.6, 0.45), (-0.7, y + 0.1)], 0.23, skin, curved=True)
    pen.oval(-0.73, y, 0.28, 0.26, skin)
    pen.oval(-0.86, y + 0.08, 0.15, 0.14, skin)
    bead(pen, -0.77, y - 0.06, 0.085)
    pen.line([(-0.95, y + 0.1), (-0.84, y + 0.15), (-0.73, y + 0.11)], 0.035, BLACK, curved=True)
    pen.oval(-0.66, y + 0.09, 0.06, 0.045, mix(skin, PINK, 0.6))
    _turtle_shell(pen, tone, rng.random() < 0.5)

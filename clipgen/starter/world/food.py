"""Fruit, a cactus and a cake, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Colour, Pen, Point

LEAF: Colour = (70, 150, 62)
LEAF_DARK: Colour = (46, 112, 46)
STALK: Colour = (92, 60, 34)
FLESH: Colour = (226, 228, 142)
FLESH_LIGHT: Colour = (244, 242, 186)
STONE: Colour = (122, 72, 36)
POT: Colour = (198, 100, 60)
CREAM: Colour = (255, 248, 234)
FLAME: Colour = (255, 176, 40)


def _pear_shape(neck: float, belly: float, grow: float) -> list[Point]:
    """The outline of a pear with half widths `neck` and `belly`, shrunk by `grow` towards its middle."""
    right = [(neck * 0.55, -0.87), (neck, -0.55), (neck * 1.12, -0.2), (belly * 0.94, 0.15), (belly, 0.48)]
    right += [(belly * 0.78, 0.8), (belly * 0.36, 0.94)]
    left = [(-a, b) for a, b in reversed(right)]
    whole = [(0.0, -0.95), *right, (0.0, 0.96), *left]
    return [(a * grow, 0.14 + (b - 0.14) * grow) for a, b in whole]


def avocado(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A halved avocado with its stone, at times with the other half behind it."""
    if rng.random() < 0.5:
        half_avocado(pen, tone, rng)
        return
    behind = pen.inner(-0.34, 0.01, 0.92)
    behind.blob(_pear_shape(0.4, 0.7, 1.0), tone.dark)
    behind.blob(_pear_shape(0.4, 0.7, 0.91), tone.base)
    behind.oval(-0.5, 0.47, 0.08, 0.22, tone.light)
    half_avocado(pen.inner(0.2, 0.0, 1.0), tone, rng)


def half_avocado(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """Half of an avocado with its stone."""
    neck, belly = float(rng.uniform(0.36, 0.44)), float(rng.uniform(0.66, 0.74))
    pen.blob(_pear_shape(neck, belly, 1.0), tone.dark)
    pen.blob(_pear_shape(neck, belly, 0.94), tone.base)
    pen.blob(_pear_shape(neck, belly, 0.73), FLESH)
    pen.blob(_pear_shape(neck, belly, 0.62), FLESH_LIGHT)
    r = float(rng.uniform(0.29, 0.34))
    pen.oval(0.0, 0.38, r, r, mix(STONE, (0, 0, 0), 0.35))
    pen.oval(-0.02, 0.36, r * 0.88, r * 0.88, STONE)
    pen.oval(-r * 0.35, 0.38 - r * 0.42, r * 0.24, r * 0.17, mix(STONE, (255, 255, 255), 0.5), turn=-0.6)


def _berry(wide: float, grow: float) -> list[Point]:
    right = [(0.42, -0.55), (0.82, -0.48), (0.98, -0.14), (0.8, 0.32), (0.46, 0.74), (0.18, 0.95)]
    whole = [(0.0, -0.5), *right, (0.0, 0.98), *[(-a, b) for a, b in reversed(right)]]
    return [(a * wide * grow, 0.15 + (b - 0.15) * grow) for a, b in whole]


def strawberry(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A strawberry with seeds and a crown of leaves."""
    wide = float(rng.uniform(0.8, 0.95))
    pen.blob(_berry(wide, 1.0), tone.dark)
    pen.blob([(a - 0.03, b - 0.02) for a, b in _berry(wide, 0.93)], tone.base)
    pen.oval(-wide * 0.68, -0.1, 0.08, 0.2, tone.light, turn=0.15)
    seed: Colour = tone.line if tone.base[1] > 110 and tone.base[0] > 150 else (255, 232, 150)
    for y, across in ((-0.12, 3), (0.12, 4), (0.36, 3), (0.6, 2), (0.8, 1)):
        for k in range(across):
            x = (k - (across - 1) / 2) * 0.4 * wide + float(rng.uniform(-0.03, 0.03))
            pen.oval(x, y, 0.042, 0.07, seed, turn=-x * 0.4)
    spread = float(rng.uniform(0.9, 1.1))
    for angle in (-1.42, 1.42, -0.8, 0.8, 0.0):
        turn = angle * spread
        reach = 0.56 if abs(angle) > 1 else 0.44
        tip = (math.sin(turn) * reach * 1.3, -0.62 + math.cos(turn) * reach)
        side = (math.cos(turn) * 0.15, -math.sin(turn) * 0.15)
        middle = (tip[0] * 0.45, -0.62 + (tip[1] + 0.62) * 0.45)
        right, left = (middle[0] + side[0], middle[1] + side[1]), (middle[0] - side[0], middle[1] - side[1])
        pen.poly([(-side[0], -0.64 - side[1]), left, tip, right, (side[0], -0.64 + side[1])], LEAF)
        pen.line([(0.0, -0.62), (tip[0] * 0.75, -0.62 + (tip[1] + 0.62) * 0.75)], 0.035, LEAF_DARK)
    pen.line([(0.0, -0.6), (0.03, -0.8), (0.12, -0.95)], 0.1, LEAF_DARK, curved=True)


def _crescent(start: float, end: float, inner: float, outer: float) -> list[Point]:
    """A banana's strip between two shares of its breadth (-1 inside of the bend, 1 outside)."""
    steps = np.linspace(0.0, 1.0, 25)
    edges: list[list[Point]] = []
    for share in (inner, outer):
        edge = []
        for t in steps:
            angle = start + (end - start) * float(t)
            thick = 0.3 * (0.2 + 0.8 * math.sin(math.pi * float(t)) ** 0.7)
            r = 1.2 + thick * share
            edge.append((-0.56 + r * math.cos(angle), -0.52 + r * math.sin(angle)))
        edges.append(edge)
    return edges[0] + edges[1][::-1]


def banana(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A curved banana with a ridge along it and brown tips."""
    start, end = float(rng.uniform(-0.3, -0.2)), float(rng.uniform(1.85, 1.98))
    pen.poly(_crescent(start, end, -1.0, 1.0), tone.dark)
    pen.poly(_crescent(start, end, -0.9, 0.42), tone.base)
    pen.poly(_crescent(start + 0.3, end - 0.35, -0.66, -0.3), tone.light)
    ridge = _crescent(start, end, 0.42, 0.42)[:25]
    pen.line(ridge, 0.045, tone.line)
    brown = mix(STALK, (0, 0, 0), 0.2)
    top = (-0.56 + 1.2 * math.cos(start), -0.52 + 1.2 * math.sin(start))
    up = (top[0] - 0.1, max(top[1] - 0.24, -0.93))
    pen.line([top, up], 0.15, tone.dark)
    pen.line([(up[0] + 0.02, up[1] + 0.05), up], 0.16, brown)
    pen.oval(-0.56 + 1.2 * math.cos(end), -0.52 + 1.2 * math.sin(end), 0.09, 0.09, brown)


def pear(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A pear with its stalk and a leaf."""
    neck, belly = float(rng.uniform(0.36, 0.43)), float(rng.uniform(0.68, 0.78))

    def lower(points: list[Point]) -> list[Point]:
        return [(a, 0.95 - (0.95 - b) * 0.84) for a, b in points]

    pen.blob(lower(_pear_shape(neck, belly, 1.0)), tone.dark)
    pen.blob([(a - 0.04, b) for a, b in lower(_pear_shape(neck, belly, 0.92))], tone.base)
    pen.oval(-belly * 0.52, 0.36, 0.11, 0.24, tone.light, turn=0.3)
    pen.oval(-neck * 0.42, -0.26, 0.06, 0.13, tone.light, turn=0.1)
    bend = float(rng.uniform(0.04, 0.16))
    pen.line([(0.0, -0.6), (0.02, -0.78), (bend, -0.95)], 0.085, STALK, curved=True)
    pen.blob([(0.06, -0.72), (0.22, -0.94), (0.52, -0.97), (0.74, -0.82), (0.5, -0.68), (0.24, -0.64)], LEAF)
    pen.line([(0.1, -0.73), (0.36, -0.82), (0.62, -0.82)], 0.03, LEAF_DARK, curved=True)


def _stem(pen: Pen, tone: Tone, way: list[Point], width: float) -> None:
    """A rounded limb of a cactus along `way` with its shaded side and ribs."""
    pen.line(way, width, mix(tone.dark, tone.line, 0.3), curved=True)
    pen.line([(a - 0.03, b) for a, b in way], width * 0.8, tone.base, curved=True)
    pen.line([(a - 0.03 - width * 0.16, b) for a, b in way], width * 0.14, tone.light, curved=True)


def _spines(pen: Pen, colour: Colour, x: float, y: float) -> None:
    pen.line([(x - 0.05, y - 0.05), (x, y), (x + 0.05, y - 0.05)], 0.026, colour)


def cactus(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A cactus with two arms and spines in a terracotta pot, at times in flower."""
    left, right = float(rng.uniform(-0.05, 0.14)), float(rng.uniform(-0.14, 0.05))
    top = -0.64
    _stem(pen, tone, [(-0.08, left + 0.15), (-0.46, left + 0.13), (-0.64, left - 0.04), (-0.66, left - 0.4)], 0.28)
    _stem(pen, tone, [(0.08, right + 0.15), (0.46, right + 0.13), (0.64, right - 0.04), (0.66, right - 0.4)], 0.28)
    _stem(pen, tone, [(0.0, 0.6), (0.0, 0.1), (0.0, top)], 0.52)
    for k in range(5):
        for x in (-0.31, 0.24):
            side = math.copysign(0.085, x)
            y = top + 0.05 + k * 0.21
            pen.line([(x * 0.88, y), (x + side, y - 0.06)], 0.028, tone.line)
        _spines(pen, tone.line, 0.05, top + 0.05 + k * 0.21)
    for x, y in ((-0.66, left - 0.38), (-0.66, left - 0.12), (0.66, right - 0.38), (0.66, right - 0.12)):
        _spines(pen, tone.line, x, y)
        side = math.copysign(1.0, x)
        pen.line([(x + side * 0.12, y), (x + side * 0.22, y - 0.06)], 0.028, tone.line)
    if rng.random() < 0.5:
        for angle in (-1.1, 1.1, -0.55, 0.55, 0.0):
            pen.oval(math.sin(angle) * 0.15, -0.84 - math.cos(angle) * 0.08, 0.06, 0.11, (240, 110, 150), turn=angle)
        pen.oval(0.0, -0.85, 0.06, 0.05, (255, 220, 90))
    shade = mix(POT, (0, 0, 0), 0.25)
    pen.poly([(-0.4, 0.58), (0.4, 0.58), (0.3, 0.96), (-0.3, 0.96)], POT)
    pen.poly([(0.14, 0.58), (0.4, 0.58), (0.3, 0.96), (0.1, 0.96)], shade)
    pen.box(-0.46, 0.42, 0.46, 0.6, mix(POT, (255, 255, 255), 0.15))
    pen.box(0.16, 0.42, 0.46, 0.6, POT)
    pen.line([(-0.4, 0.61), (0.4, 0.61)], 0.03, shade)


def _tier(pen: Pen, tone: Tone, icing: Colour, half: float, y0: float, y1: float) -> None:
    """One round layer of a cake from y0 down to y1, iced on the top with drips down its side."""
    flat = half * 0.17
    for part, fill in (((-half, half), tone.base), ((half * 0.5, half), tone.dark)):
        pen.box(part[0], y0, part[1], y1, fill)
    pen.oval(0.0, y1, half, flat, tone.base)
    x = np.linspace(half * 0.5, half, 8)
    low = [(float(a), y1 + flat * math.sqrt(max(1 - (float(a) / half) ** 2, 0.0))) for a in x]
    pen.poly([(half, y1 - 0.02), (half * 0.5, y1 - 0.02), *low], tone.dark)
    shade = mix(icing, (120, 90, 110), 0.25)
    for k in range(7):
        a = (k - 3) / 3 * half * 0.88
        front = flat * math.sqrt(1 - (a / half) ** 2)
        drop = y0 + front + (y1 - y0) * (0.34 if k % 2 else 0.14)
        pen.line([(a, y0), (a, drop)], half * 0.22, icing)
    pen.oval(0.0, y0, half, flat, shade)
    pen.oval(0.0, y0 - 0.015, half * 0.94, flat * 0.85, icing)


def cake(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A cake in two layers with icing and lit candles on a plate."""
    icing: Colour = (250, 176, 196) if min(tone.base) > 215 else CREAM
    lower, upper = float(rng.uniform(0.78, 0.86)), float(rng.uniform(0.46, 0.56))
    middle = float(rng.uniform(0.1, 0.18))
    pen.oval(0.0, 0.81, 0.98, 0.15, (176, 182, 196))
    pen.oval(0.0, 0.79, 0.96, 0.13, (226, 230, 238))
    _tier(pen, tone, icing, lower, middle, 0.74)
    _tier(pen, tone, icing, upper, middle - 0.5, middle - 0.02)
    foot = middle - 0.5
    count = 1 if rng.random() < 0.5 else 3
    for x in (0.0,) if count == 1 else (-0.26, 0.26, 0.0):
        y = foot + (0.03 if x == 0.0 else -0.01)
        pen.line([(x, y - 0.02), (x, y - 0.26)], 0.1, (92, 150, 226))
        pen.line([(x - 0.04, y - 0.06), (x + 0.04, y - 0.12)], 0.03, CREAM)
        pen.line([(x - 0.04, y - 0.17), (x + 0.04, y - 0.23)], 0.03, CREAM)
        pen.blob([(x, y - 0.53), (x + 0.08, y - 0.38), (x, y - 0.3), (x - 0.08, y - 0.38)], FLAME)
        pen.oval(x, y - 0.37, 0.035, 0.055, (255, 240, 150))

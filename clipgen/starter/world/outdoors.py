"""More scenes that fill the whole picture: places to walk to, in the unit square."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import between, mix, pick
from clipgen.starter.world.pen import Colour, Pen, Point, smooth
from clipgen.starter.world.places import SUN_GLINT, lit, sky, water

Box = tuple[float, float, float, float]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
PETALS: tuple[Colour, ...] = ((228, 42, 52), (255, 190, 32), (250, 112, 168), (150, 70, 200), (250, 250, 246))


def bush(pen: Pen, x: float, y: float, r: float, green: Colour) -> None:
    """Draw a round bush, lit from the upper left."""
    pen.oval(x, y + r * 0.1, r * 1.05, r, mix(green, BLACK, 0.25))
    pen.oval(x, y, r, r * 0.9, green)
    pen.oval(x - r * 0.3, y - r * 0.35, r * 0.45, r * 0.32, mix(green, WHITE, 0.2))


def waterfall(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A white stream that falls from a cliff into a pool, with spray at its foot."""
    top, foot = between(rng, 0.2, 0.3), between(rng, 0.72, 0.79)
    x, half = between(rng, 0.4, 0.6), between(rng, 0.1, 0.15)
    sky(pen, time, rng, top + 0.15)
    rock = lit(pick(((0.04, 0.09), (0.18, 0.36), (0.42, 0.56)), rng), time)
    green = lit(pick(((0.26, 0.36), (0.5, 0.75), (0.45, 0.62)), rng), time)
    _cliff(pen, rng, top, foot, x, rock, green)
    water(pen, time, rng, foot)
    _fall(pen, time, rng, (x - half, top, x + half, foot))
    for side in (-1, 1):
        for k in range(5):
            r = between(rng, 0.075, 0.12)
            edge = 0.5 + side * (0.52 - 0.035 * k)
            bush(pen, edge, 0.42 + 0.115 * k + between(rng, -0.03, 0.03), r, mix(green, BLACK, 0.07 * (k % 3)))
    for side in (-1, 1):
        for _ in range(3):
            stone = mix(rock, WHITE, between(rng, 0.0, 0.2))
            sx, r = x + side * between(rng, half + 0.08, half + 0.2), between(rng, 0.03, 0.05)
            pen.oval(sx, foot + 0.03, r * 1.3, r, mix(stone, BLACK, 0.3))
            pen.oval(sx, foot + 0.02, r * 1.2, r * 0.85, stone)


def _cliff(pen: Pen, rng: np.random.Generator, top: float, foot: float, x: float, rock: Colour, green: Colour) -> None:
    pen.box(-0.02, top, 1.02, foot + 0.02, rock)
    for _ in range(26):
        cx, cy = between(rng, -0.05, 1.0), between(rng, top + 0.05, foot - 0.1)
        wide, tall = between(rng, 0.04, 0.1), between(rng, 0.06, 0.16)
        shade = mix(rock, BLACK, between(rng, 0.12, 0.35)) if rng.random() < 0.65 else mix(rock, WHITE, 0.16)
        pen.poly([(cx, cy), (cx + wide, cy + 0.02), (cx + wide * 0.9, cy + tall), (cx + 0.01, cy + tall * 0.9)], shade)
    for k in range(13):
        bx = -0.03 + 1.06 * k / 12
        if abs(bx - x) > 0.12:
            bush(pen, bx, top + between(rng, -0.02, 0.02), between(rng, 0.05, 0.085), green)


def _fall(pen: Pen, time: str, rng: np.random.Generator, box: Box) -> None:
    left, top, right, foot = box
    wide = right - left
    white, pale = mix((250, 253, 255), lit(WHITE, time), 0.55), mix((168, 208, 236), lit((168, 208, 236), time), 0.7)
    level = (top + foot) / 2
    near = smooth(
        [(right, top - 0.015), (right + wide * 0.02, level), (right + wide * 0.16, foot + 0.01)], closed=False
    )
    far = smooth([(left - wide * 0.16, foot + 0.01), (left - wide * 0.02, level), (left, top - 0.015)], closed=False)
    pen.poly([*near, *far], white)
    pen.oval((left + right) / 2, top - 0.012, wide * 0.5, 0.014, pale)
    for share in np.linspace(0.08, 0.92, 6) + rng.uniform(-0.05, 0.05, 6):
        start, end = top + between(rng, 0.0, 0.16), foot - between(rng, 0.05, 0.22)
        at, out = left + wide * float(share), left + wide * (0.5 + (float(share) - 0.5) * 1.2)
        pen.line([(at, start), (at, (start + end) / 2), (out, end)], between(rng, 0.01, 0.02), pale, curved=True)
    middle = (left + right) / 2
    pen.oval(middle, foot + 0.03, wide * 1.15, 0.05, pale)
    for _ in range(14):
        r = between(rng, 0.025, 0.05)
        pen.oval(middle + between(rng, -0.8, 0.8) * wide, foot + between(rng, -0.04, 0.035), r * 1.2, r, white)


def island(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A small sandy island with palm trees, the sea all around it."""
    horizon = between(rng, 0.5, 0.58)
    sky(pen, time, rng, horizon)
    water(pen, time, rng, horizon)
    x, half, y = between(rng, 0.44, 0.56), between(rng, 0.32, 0.4), between(rng, 0.74, 0.8)
    foam = mix(lit((96, 205, 214), time), SUN_GLINT[time], 0.25)
    pen.oval(x, y + 0.02, half * 1.16, 0.115, foam)
    pen.oval(x, y + 0.015, half * 1.06, 0.09, mix(foam, SUN_GLINT[time], 0.6))
    dry = pick(((0.10, 0.125), (0.35, 0.5), (0.92, 0.98)), rng)
    sand = mix(lit(dry, time), dry, 0.35)
    pen.oval(x, y + 0.01, half, 0.075, mix(sand, (120, 80, 40), 0.25))
    mound: list[Point] = [(x - half, y), (x - half * 0.5, y - 0.07), (x, y - 0.11), (x + half * 0.5, y - 0.07)]
    pen.blob([*mound, (x + half, y), (x + half * 0.5, y + 0.055), (x, y + 0.07), (x - half * 0.5, y + 0.055)], sand)
    green = lit(pick(((0.28, 0.36), (0.65, 0.85), (0.42, 0.58)), rng), time)
    count = int(rng.integers(1, 4))
    for k, place in enumerate({1: (0.0,), 2: (-0.2, 0.22), 3: (-0.36, 0.04, 0.4)}[count]):
        lean = (0.08 if place > 0 else -0.08) + between(rng, -0.06, 0.06)
        tall = between(rng, 0.36, 0.48) * (1.15 if k == count // 2 else 0.85)
        _palm(pen, (x + place * half, y - 0.07), tall, lean, green, time)
    for _ in range(4):
        bush(pen, x + between(rng, -0.45, 0.45) * half, y - 0.055, between(rng, 0.02, 0.035), green)


def _palm(pen: Pen, foot: Point, tall: float, lean: float, green: Colour, time: str) -> None:
    x, y = foot
    bark = lit((138, 92, 52), time)
    top = (x + lean, y - tall)
    middle = (x + lean * 0.25, y - tall * 0.5)
    pen.line([(x, y + 0.02), middle, top], 0.036, mix(bark, BLACK, 0.25), curved=True)
    pen.line([(x - 0.004, y + 0.02), (middle[0] - 0.004, middle[1]), top], 0.02, bark, curved=True)
    reach = 0.12 + tall * 0.17
    for k, (across, down) in enumerate(
        ((-1.0, 0.5), (1.0, 0.5), (-0.95, -0.05), (0.95, -0.05), (-0.4, -0.35), (0.4, -0.35))
    ):
        tip = (top[0] + across * reach, top[1] + (down + 0.25) * reach)
        bend = (top[0] + across * reach * 0.6, top[1] + (down - 0.22) * reach)
        under = (top[0] + across * reach * 0.5, top[1] + (down * 0.6 + 0.12) * reach)
        pen.blob([top, bend, tip, under], mix(green, BLACK, 0.25) if k < 2 else mix(green, WHITE, 0.05 * k - 0.1))
    for dx in (-0.018, 0.016):
        pen.oval(top[0] + dx, top[1] + 0.022, 0.018, 0.018, mix(bark, BLACK, 0.35))


def road(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A road with a dashed line that runs through green hills to the horizon."""
    horizon = between(rng, 0.44, 0.54)
    sky(pen, time, rng, horizon)
    far = lit(pick(((0.36, 0.52), (0.2, 0.4), (0.55, 0.7)), rng), time)
    grass = lit(pick(((0.22, 0.32), (0.5, 0.75), (0.58, 0.76)), rng), time)
    for hx in np.linspace(-0.1, 1.1, 4) + rng.uniform(-0.08, 0.08, 4):
        pen.oval(float(hx), horizon + 0.05, between(rng, 0.24, 0.34), between(rng, 0.13, 0.22), far)
    for hx in (between(rng, -0.1, 0.1), between(rng, 0.9, 1.1)):
        pen.oval(hx, horizon + 0.07, 0.42, between(rng, 0.12, 0.18), mix(grass, far, 0.4))
    pen.box(-0.02, horizon, 1.02, 1.02, grass)
    pen.poly([(-0.02, 0.75), (0.35, horizon), (-0.02, horizon)], mix(grass, BLACK, 0.1))
    pen.poly([(1.02, 0.75), (0.65, horizon), (1.02, horizon)], mix(grass, BLACK, 0.1))
    aim, start = between(rng, 0.4, 0.6), between(rng, 0.42, 0.58)
    swing, half = between(rng, -0.12, 0.12), between(rng, 0.34, 0.44)
    tar = lit(pick(((0.6, 0.7), (0.02, 0.08), (0.32, 0.44)), rng), time)
    white, gold = mix((250, 250, 246), lit(WHITE, time), 0.7), mix((255, 214, 64), lit((255, 214, 64), time), 0.5)
    _strip(pen, (aim, horizon), start, swing, (-half, half, 0.0, 1.0), mix(grass, (150, 120, 70), 0.6))
    _strip(pen, (aim, horizon), start, swing, (-half * 0.93, half * 0.93, 0.0, 1.0), white)
    _strip(pen, (aim, horizon), start, swing, (-half * 0.85, half * 0.85, 0.0, 1.0), tar)
    shift = between(rng, -0.06, 0.06)
    for near in (0.06, 0.14, 0.26, 0.44, 0.7):
        _strip(pen, (aim, horizon), start, swing, (-0.045, 0.045, near * (1 + shift), near * (1.42 + shift)), gold)
    for k in range(6):
        depth, side = 0.06 + 0.1 * k, -1 if (k + int(shift > 0)) % 2 else 1
        at = aim + (start - aim) * depth + swing * 4 * depth * (1 - depth)
        r = 0.02 + 0.11 * depth
        tx = at + side * (half * depth + r * 2.0 + between(rng, 0.04, 0.16))
        _round_tree(pen, tx, horizon + (1 - horizon) * depth, r, time, mix(grass, lit((20, 90, 40), time), 0.7))


def _strip(pen: Pen, aim: Point, start: float, swing: float, span: Box, fill: Colour) -> None:
    """Part of a road: from `left` to `right` of its middle at the near end, between two shares of its depth."""
    left, right, low, high = span
    edges: tuple[list[Point], list[Point]] = ([], [])
    for share in np.linspace(low, high, 14):
        depth = float(share)
        middle = aim[0] + (start - aim[0]) * depth + swing * 4 * depth * (1 - depth) * (1 - 0.5 * depth)
        y = aim[1] + (1.03 - aim[1]) * depth
        for edge, side in zip(edges, (left, right), strict=True):
            edge.append((middle + side * (0.025 + 0.975 * depth), y))
    pen.poly([*edges[0], *reversed(edges[1])], fill)


def _round_tree(pen: Pen, x: float, foot: float, r: float, time: str, green: Colour) -> None:
    pen.box(x - r * 0.16, foot - r * 1.2, x + r * 0.16, foot, lit((104, 70, 42), time))
    bush(pen, x, foot - r * 1.9, r, green)


def garden(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A flower garden: a hedge and a fence, a winding path, bushes and flowers of many colours."""
    horizon = between(rng, 0.34, 0.42)
    sky(pen, time, rng, horizon)
    hedge = lit(pick(((0.30, 0.38), (0.55, 0.75), (0.36, 0.48)), rng), time)
    lawn = lit(pick(((0.24, 0.31), (0.55, 0.75), (0.62, 0.78)), rng), time)
    for hx in np.linspace(-0.02, 1.02, 10):
        bush(pen, float(hx), horizon + between(rng, -0.02, 0.02), between(rng, 0.075, 0.1), hedge)
    pen.box(-0.02, horizon, 1.02, horizon + 0.14, mix(hedge, BLACK, 0.12))
    pen.box(-0.02, horizon + 0.14, 1.02, 1.02, lawn)
    _fence(pen, horizon + 0.02, horizon + 0.17, lit((250, 248, 242), time), rng)
    gate, mouth = between(rng, 0.38, 0.62), between(rng, 0.36, 0.64)
    swing = between(rng, -0.14, 0.14)
    sandy = lit(pick(((0.08, 0.11), (0.25, 0.4), (0.84, 0.93)), rng), time)
    _strip(pen, (gate, horizon + 0.15), mouth, swing, (-0.2, 0.2, 0.1, 1.0), mix(sandy, BLACK, 0.2))
    _strip(pen, (gate, horizon + 0.15), mouth, swing, (-0.175, 0.175, 0.1, 1.0), sandy)
    heights = np.linspace(horizon + 0.22, 1.02, 7)
    for row, y in enumerate(heights):
        depth = row / (len(heights) - 1)
        middle = gate + (mouth - gate) * depth + swing * 4 * depth * (1 - depth) * (1 - 0.5 * depth)
        _bed(pen, time, rng, (float(y), depth, middle), lawn)
    for side in (-1, 1):
        bush(pen, 0.5 + side * between(rng, 0.4, 0.5), horizon + 0.2, between(rng, 0.09, 0.12), mix(hedge, lawn, 0.3))


def _fence(pen: Pen, top: float, foot: float, white: Colour, rng: np.random.Generator) -> None:
    shade = mix(white, (90, 100, 130), 0.25)
    for share in (0.35, 0.75):
        y = top + (foot - top) * share
        pen.box(-0.02, y - 0.012, 1.02, y + 0.012, shade)
    step = between(rng, 0.085, 0.11)
    for k in range(-1, int(1 / step) + 2):
        x = k * step + step * 0.3
        half = step * 0.27
        pen.poly(
            [(x - half, foot), (x - half, top + 0.025), (x, top), (x + half, top + 0.025), (x + half, foot)], white
        )


def _bed(pen: Pen, time: str, rng: np.random.Generator, row: tuple[float, float, float], lawn: Colour) -> None:
    """A row of flowers at a height, at a depth (0 far, 1 near), either side of the path's middle."""
    y, depth, middle = row
    r, step = 0.02 + 0.024 * depth, 0.062 + 0.05 * depth
    clear = 0.05 + 0.17 * depth + r
    x = -between(rng, 0.0, step)
    while x < 1.04:
        petal = PETALS[int(rng.integers(len(PETALS)))]
        at, fy = x + between(rng, -0.012, 0.012), y - r + between(rng, -0.02, 0.02)
        if abs(at - middle) > clear:
            pen.line([(at, fy), (at, fy + r * 2.0)], r * 0.3, mix(lawn, BLACK, 0.35))
            _blossom(pen, at, fy, r * between(rng, 0.9, 1.15), mix(petal, lit(petal, time), 0.8))
        x += step


def _blossom(pen: Pen, x: float, y: float, r: float, petal: Colour) -> None:
    pen.oval(x + r * 0.08, y + r * 0.14, r, r, mix(petal, BLACK, 0.25))
    for k in range(5):
        angle = 2 * math.pi * k / 5 - math.pi / 2
        pen.oval(x + math.cos(angle) * r * 0.58, y + math.sin(angle) * r * 0.58, r * 0.52, r * 0.52, petal)
    yellow = petal[0] > 230 and petal[1] > 150 and petal[2] < 120
    pen.oval(x, y, r * 0.36, r * 0.36, mix(petal, (140, 70, 20), 0.7) if yellow else mix(petal, (255, 214, 60), 0.85))

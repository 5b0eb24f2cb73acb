"""Signs and buildings along the way, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import BLACK, WHITE
from clipgen.starter.world.palette import Tone, mix, pick
from clipgen.starter.world.pen import Colour, Pen, Point, ellipse

STEEL: Colour = (150, 156, 164)
GLASS: Colour = (186, 224, 242)
WOOD: Colour = (112, 74, 44)
GLOW: Colour = (255, 224, 96)


def _bright(colour: Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _beside(tone: Tone) -> Colour:
    """White, or a soft grey next to a white tone."""
    return WHITE if min(tone.base) < 225 else (158, 168, 186)


def _polygon(x: float, y: float, r: float, corners: int, start: float) -> list[Point]:
    turns = [start + 2 * math.pi * k / corners for k in range(corners)]
    return [(x + r * math.sin(a), y - r * math.cos(a)) for a in turns]


def _arch(pen: Pen, x: float, half: float, top: float, foot: float, fill: Colour) -> None:
    """A box with a round top, from `top` down to `foot`."""
    pen.oval(x, top + half, half, half, fill)
    pen.box(x - half, top + half, x + half, foot, fill)


def _taper(pen: Pen, tone: Tone, top: tuple[float, float], foot: tuple[float, float]) -> None:
    """A round tower's wall: (half width, y) at the top and at the foot, lit from the left."""
    (a, y0), (b, y1) = top, foot
    pen.poly([(-a, y0), (a, y0), (b, y1), (-b, y1)], tone.base)
    pen.poly([(a * 0.45, y0), (a, y0), (b, y1), (b * 0.45, y1)], tone.dark)
    pen.poly([(-a * 0.8, y0), (-a * 0.45, y0), (-b * 0.45, y1), (-b * 0.8, y1)], tone.light)


def _symbol(pen: Pen, kind: int, y: float, size: float, ink: Colour) -> None:
    """An arrow to the side, an exclamation mark, a bar or an arrow upwards about (0, y)."""
    s = size
    if kind == 0:
        pen.box(-s, y - s * 0.22, s * 0.15, y + s * 0.22, ink)
        pen.poly([(s * 0.05, y - s * 0.75), (s * 1.05, y), (s * 0.05, y + s * 0.75)], ink)
    elif kind == 1:
        pen.poly([(-s * 0.26, y - s), (s * 0.26, y - s), (s * 0.15, y + s * 0.35), (-s * 0.15, y + s * 0.35)], ink)
        pen.oval(0.0, y + s * 0.8, s * 0.24, s * 0.24, ink)
    elif kind == 2:
        pen.box(-s * 1.05, y - s * 0.3, s * 1.05, y + s * 0.3, ink)
    else:
        pen.box(-s * 0.22, y - s * 0.15, s * 0.22, y + s, ink)
        pen.poly([(-s * 0.75, y - s * 0.05), (0.0, y - s * 1.05), (s * 0.75, y - s * 0.05)], ink)


def road_sign(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A triangular, round or eight-sided traffic sign on its post."""
    shape = int(rng.integers(3))
    corners, start = ((3, 0.0), (40, 0.0), (8, math.pi / 8))[shape]
    size = float(rng.uniform(0.66, 0.74)) * (1.14 if shape == 0 else 1.0)
    y = -0.97 + size * (1.0 if shape != 2 else 0.94)
    pen.box(-0.065, y, 0.065, 0.95, STEEL)
    pen.box(0.015, y, 0.065, 0.95, mix(STEEL, BLACK, 0.3))
    pen.oval(0.0, 0.93, 0.22, 0.05, mix(STEEL, BLACK, 0.45))
    for share, fill in ((1.0, tone.line), (0.955, _beside(tone)), (0.83, tone.base)):
        inset = (1.0 - share) * (1.3 if shape == 0 else 1.0)
        pen.poly(_polygon(0.0, y, size * (1.0 - inset), corners, start), fill)
    ink = WHITE if _bright(tone.base) < 150 else BLACK
    kind = int(rng.choice((1, 1, 3))) if shape == 0 else int(rng.integers(4))
    _symbol(pen, kind, y + (0.01 if shape == 0 else 0.0), size * (0.31 if shape == 0 else 0.46), ink)


def _awning(pen: Pen, tone: Tone, top: float, foot: float, stripes: int) -> None:
    """A slanting striped awning with a scalloped hem."""
    ends = np.linspace(-0.82, 0.82, stripes + 1), np.linspace(-0.98, 0.98, stripes + 1)
    half = 0.98 / stripes
    for k in range(stripes):
        fill = tone.base if k % 2 == 0 else _beside(tone)
        (a, b), (c, d) = ends[0][k : k + 2], ends[1][k : k + 2]
        pen.oval(float(c + d) / 2, foot, half, 0.1, mix(fill, BLACK, 0.16))
        pen.poly([(a, top), (b, top), (d, foot), (c, foot)], fill)
    pen.line([(-0.82, top), (0.82, top)], 0.035, tone.line)


def _goods(pen: Pen, rng: np.random.Generator, left: float, right: float, foot: float) -> None:
    """Colourful things set out on a shelf."""
    pen.box(left, foot - 0.05, right, foot, WOOD)
    count = 4
    step, hue = (right - left) / count, float(rng.random())
    for k in range(count):
        x, r = left + (k + 0.5) * step, step * float(rng.uniform(0.36, 0.45))
        fill = pick(((hue + 0.3 * k, hue + 0.3 * k), (0.55, 0.85), (0.75, 0.95)), rng)
        if rng.random() < 0.5:
            pen.oval(x, foot - 0.04 - r, r, r, fill)
        else:
            pen.box(x - r, foot - 0.04 - r * 2.2, x + r, foot - 0.04, fill)


def storefront(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A shop front with a striped awning, a big window, a door and a sign board."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    pen.box(-0.9, -0.86, 0.9, 0.95, tone.base)
    pen.box(0.76, -0.86, 0.9, 0.95, tone.dark)
    pen.box(-0.96, -0.95, 0.96, -0.84, tone.dark)
    pen.box(-0.62, -0.78, 0.62, -0.46, tone.line)
    pen.box(-0.58, -0.74, 0.58, -0.5, (252, 240, 206))
    x = -0.44
    while x < 0.36:
        long = float(rng.uniform(0.07, 0.17))
        pen.line([(x, -0.62), (x + long, -0.62)], 0.09, (92, 70, 60))
        x += long + 0.15
    pen.box(-0.9, 0.84, 0.9, 0.95, tone.dark)
    split = side * 0.27
    left, right = (-0.8, split) if side > 0 else (split, 0.8)
    pen.box(left, -0.1, right, 0.8, WHITE)
    left, right = left + 0.06, right - 0.06
    pen.box(left, -0.1, right, 0.74, GLASS)
    pen.poly([(left + 0.15, 0.0), (left + 0.4, 0.0), (left + 0.12, 0.55), (left, 0.55), (left, 0.35)], WHITE)
    _goods(pen, rng, left, right, 0.74)
    door = side * 0.56
    pen.box(door - 0.23, -0.1, door + 0.23, 0.95, WHITE)
    pen.box(door - 0.18, -0.1, door + 0.18, 0.95, WOOD)
    pen.box(door - 0.12, -0.04, door + 0.12, 0.5, GLASS)
    pen.oval(door - side * 0.12, 0.62, 0.04, 0.04, GLOW)
    _awning(pen, tone, -0.42, float(rng.uniform(-0.06, 0.06)), 7 + 2 * int(rng.integers(2)))


def lighthouse(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A striped lighthouse on its rock, with a lit lantern room."""
    top, slim = float(rng.uniform(-0.5, -0.42)), float(rng.uniform(0.24, 0.29))
    rock = pick(((0.55, 0.65), (0.06, 0.14), (0.4, 0.5)), rng)
    rise = float(rng.uniform(0.6, 0.68))
    ridge = [(-0.86, 0.97), (-0.74, 0.8), (-0.56, 0.76), (-0.4, rise), (0.36, rise), (0.5, 0.74), (0.72, 0.8)]
    pen.poly([*ridge, (0.86, 0.97)], rock)
    pen.poly([(-0.74, 0.8), (-0.56, 0.76), (-0.4, rise), (-0.3, 0.8), (-0.5, 0.88)], mix(rock, WHITE, 0.25))
    pen.poly([(0.36, rise), (0.5, 0.74), (0.72, 0.8), (0.86, 0.97), (0.3, 0.97)], mix(rock, BLACK, 0.25))
    if rng.random() < 0.6:
        for side in (-1, 1):
            pen.poly(
                [(side * 0.1, top - 0.14), (side * 0.97, top - 0.34), (side * 0.97, top + 0.08)], mix(GLOW, WHITE, 0.45)
            )
    foot, bands = 0.78, 5
    other = _beside(tone)
    pale = Tone(other, mix(other, (70, 80, 110), 0.22), mix(other, WHITE, 0.5), tone.line)
    for k in range(bands):
        y0, y1 = (top + (foot - top) * j / bands for j in (k, k + 1))
        a, b = (slim + (0.43 - slim) * j / bands for j in (k, k + 1))
        _taper(pen, tone if k % 2 == 0 else pale, (a, y0), (b, y1))
    _arch(pen, 0.0, 0.1, 0.52, foot, WOOD)
    for y in (-0.1, 0.28):
        _arch(pen, 0.0, 0.05, y - 0.08, y + 0.07, tone.line)
    pen.box(-0.16, top - 0.28, 0.16, top, GLOW)
    pen.oval(0.0, top - 0.15, 0.08, 0.1, (255, 250, 220))
    for x in (-0.16, 0.0, 0.16):
        pen.line([(x, top - 0.28), (x, top)], 0.025, (60, 62, 72))
    pen.box(-slim - 0.1, top - 0.05, slim + 0.1, top + 0.04, (60, 62, 72))
    pen.poly([(-0.25, top - 0.26), (0.25, top - 0.26), (0.08, top - 0.43), (-0.08, top - 0.43)], tone.dark)
    pen.oval(0.0, top - 0.45, 0.05, 0.05, (60, 62, 72))


def _battlements(pen: Pen, left: float, right: float, y: float, teeth: int, fill: Colour) -> None:
    """A wall's toothed top edge standing on `y`."""
    step = (right - left) / (2 * teeth - 1)
    for k in range(teeth):
        x = left + 2 * k * step
        pen.box(x, y - 0.12, x + step, y + 0.01, fill)


def _flag(pen: Pen, x: float, y: float, fill: Colour) -> None:
    pen.line([(x, y), (x, y - 0.3)], 0.03, (84, 66, 54))
    pen.poly([(x, y - 0.3), (x + 0.24, y - 0.22), (x, y - 0.13)], fill)


def _turret(pen: Pen, tone: Tone, x: float, half: float, top: float, roofed: bool, flag: Colour) -> None:
    """A castle tower with a flag, under a pointed roof or with battlements."""
    if roofed:
        _flag(pen, x, top - 0.35, flag)
    else:
        _flag(pen, x, top - 0.05, flag)
        _battlements(pen, x - half - 0.06, x + half + 0.06, top, 3, tone.base)
    pen.box(x - half, top, x + half, 0.95, tone.base)
    pen.box(x + half * 0.4, top, x + half, 0.95, tone.dark)
    pen.box(x - half * 0.85, top, x - half * 0.5, 0.95, tone.light)
    if roofed:
        roof = mix(tone.dark, tone.line, 0.35)
        pen.poly([(x - half - 0.09, top + 0.02), (x, top - 0.44), (x + half + 0.09, top + 0.02)], roof)
        pen.poly([(x + half * 0.3, top + 0.02), (x, top - 0.44), (x + half + 0.09, top + 0.02)], tone.line)
    else:
        pen.box(x - half - 0.06, top - 0.01, x + half + 0.06, top + 0.1, tone.base)
        pen.box(x - half, top + 0.1, x + half, top + 0.13, tone.line)
    _arch(pen, x, 0.055, top + 0.22, top + 0.44, tone.line)


def castle(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A castle with towers, battlements, a gate and flags."""
    roofed = rng.random() < 0.5
    flag: Colour = (226, 58, 62) if tone.base[0] < 170 or min(tone.base) > 120 else (250, 206, 70)
    side = float(rng.uniform(-0.2, -0.08)) + (0.06 if roofed else 0.0)
    _turret(pen, tone, 0.0, 0.27, -0.34 if roofed else -0.58, roofed, flag)
    wall = float(rng.uniform(0.16, 0.24))
    _battlements(pen, -0.6, 0.6, wall, 6, tone.light)
    pen.box(-0.6, wall, 0.6, 0.95, tone.light)
    for row in range(3):
        for k in range(4):
            x, y = -0.42 + 0.28 * k + 0.1 * (row % 2), wall + 0.12 + 0.22 * row
            pen.box(x - 0.06, y, x + 0.06, y + 0.05, mix(tone.light, tone.dark, 0.45))
    for x in (-0.7, 0.7):
        _turret(pen, tone, x, 0.22, side, roofed, flag)
    _arch(pen, 0.0, 0.27, 0.34, 0.95, tone.line)
    _arch(pen, 0.0, 0.21, 0.4, 0.95, WOOD)
    for x in (-0.1, 0.0, 0.1):
        pen.line([(x, 0.46), (x, 0.93)], 0.02, mix(WOOD, BLACK, 0.5))


def _sail(pen: Pen, x: float, y: float, turn: float, long: float, cloth: Colour, wood: Colour) -> None:
    """A windmill's lattice sail from the hub outwards, on one side of its spar."""
    along, across = np.array([math.sin(turn), -math.cos(turn)]), np.array([math.cos(turn), math.sin(turn)])

    def at(far: float, aside: float) -> Point:
        point = np.array([x, y]) + along * far * long + across * aside
        return float(point[0]), float(point[1])

    wide = 0.25
    pen.poly([at(0.24, 0.0), at(1.0, 0.0), at(1.0, wide), at(0.24, wide * 0.85)], cloth)
    for far in (0.24, 0.43, 0.62, 0.81, 1.0):
        pen.line([at(far, 0.0), at(far, wide)], 0.022, wood)
    for aside in (wide / 2, wide):
        pen.line([at(0.24, aside), at(1.0, aside)], 0.022, wood)
    pen.line([at(0.0, 0.0), at(1.02, 0.0)], 0.06, wood)


def windmill(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A tower windmill with four lattice sails."""
    hub, turn = -0.22, float(rng.uniform(0.25, 1.3))
    wide = float(rng.uniform(0.5, 0.58))
    _taper(pen, tone, (0.29, -0.28), (wide, 0.95))
    pen.poly([(-wide * 0.94, 0.82), (wide * 0.94, 0.82), (wide, 0.95), (-wide, 0.95)], tone.dark)
    _arch(pen, 0.0, 0.15, 0.5, 0.95, mix(WOOD, BLACK, 0.3))
    _arch(pen, 0.0, 0.11, 0.55, 0.95, WOOD)
    for x, y in ((-0.2, 0.3), (0.2, 0.3)):
        _arch(pen, x, 0.07, y - 0.1, y + 0.1, WHITE)
        _arch(pen, x, 0.045, y - 0.075, y + 0.075, (70, 92, 120))
    roof = mix(tone.dark, tone.line, 0.45)
    dome = [p for p in ellipse(0.0, -0.26, 0.36, 0.36, corners=48) if p[1] <= -0.25]
    pen.poly(sorted(dome), roof)
    pen.box(-0.38, -0.28, 0.38, -0.21, tone.line)
    wood = (84, 58, 38) if _bright(tone.base) > 90 else (214, 178, 128)
    for k in range(4):
        _sail(pen, 0.0, hub, turn + k * math.pi / 2, 0.8, (252, 244, 222), (84, 58, 38))
    pen.oval(0.0, hub, 0.085, 0.085, (84, 58, 38))
    pen.oval(0.0, hub, 0.045, 0.045, wood if wood[0] > 100 else (236, 196, 92))

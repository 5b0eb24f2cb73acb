"""Things in a home, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import WHITE
from clipgen.starter.world.palette import Tone, mix, pick
from clipgen.starter.world.pen import Colour, Pen, Point, ellipse

INK: Colour = (40, 36, 42)
GLOW: Colour = (255, 236, 140)
GOLD: Colour = (214, 170, 62)
WOOD = ((0.06, 0.09), (0.5, 0.65), (0.45, 0.62))
STEAM: Colour = (196, 204, 214)
RED: Colour = (214, 52, 48)


def padded(pen: Pen, x0: float, y0: float, x1: float, y1: float, r: float, fill: Colour, edge: Colour) -> None:
    """Draw a rectangle with round corners and a thin edge, such as a cushion."""
    for grow, colour in ((0.0, edge), (0.035, fill)):
        round_ = max(r - grow, 0.01)
        corners = ((x1, y0, -0.5), (x1, y1, 0.0), (x0, y1, 0.5), (x0, y0, 1.0))
        points: list[Point] = []
        for x, y, start in corners:
            inwards_x, inwards_y = (-1 if x == x1 else 1), (1 if y == y0 else -1)
            cx, cy = x + inwards_x * (round_ + grow), y + inwards_y * (round_ + grow)
            turns = np.linspace(start * math.pi, (start + 0.5) * math.pi, 7)
            points.extend((cx + round_ * math.cos(a), cy + round_ * math.sin(a)) for a in turns)
        pen.poly(points, colour)


def ringed(pen: Pen, x: float, y: float, r: float, fill: Colour, edge: Colour, rim: float = 0.05) -> None:
    """Draw a disc with a rim."""
    pen.oval(x, y, r, r, edge)
    pen.oval(x, y, r - rim, r - rim, fill)


def wood_legs(pen: Pen, rng: np.random.Generator, x: float, y: float) -> None:
    """Draw the two short wooden legs of a seat, from `y` down to the ground."""
    wood = pick(WOOD, rng)
    for side in (-1, 1):
        pen.poly(
            [(side * (x - 0.1), y), (side * (x + 0.1), y), (side * (x + 0.09), 0.97), (side * (x - 0.01), 0.97)], wood
        )


def seat(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """Draw the front of an armchair: legs, seat cushion and two rounded arms."""
    plump = float(rng.uniform(0.0, 0.05))
    wood_legs(pen, rng, 0.66, 0.78)
    padded(pen, -0.72, 0.54, 0.72, 0.84, 0.06, tone.dark, tone.line)
    padded(pen, -0.6, 0.41 - plump, 0.6, 0.66, 0.11, tone.light, tone.line)
    for side in (-1, 1):
        x = side * 0.76
        padded(pen, x - 0.18, 0.12, x + 0.18, 0.84, 0.06, tone.base, tone.line)
        ringed(pen, x, 0.14, 0.225, tone.base, tone.line, 0.035)
        ringed(pen, x, 0.14, 0.12, tone.light, tone.dark, 0.035)


def armchair(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An armchair from the front, with a high padded back."""
    wide, top = float(rng.uniform(0.58, 0.68)), float(rng.uniform(-0.97, -0.85))
    crown = float(rng.uniform(0.0, 0.14))
    back = [(-wide, 0.5), (-wide * 1.02, top + 0.3), (-wide * 0.7, top + crown), (0.0, top)]
    outline = [*back, *[(-x, y) for x, y in reversed(back[:-1])]]
    pen.blob([*outline, (0.0, 0.55)], tone.line)
    pen.blob([*[(x * 0.945, y + 0.04) for x, y in outline], (0.0, 0.55)], tone.base)
    pen.blob([(wide * 0.5, 0.4), (wide * 0.93, 0.3), (wide * 0.9, top + 0.35), (wide * 0.74, top + 0.6)], tone.dark)
    rows = 2 if rng.random() < 0.5 else 3
    for row in range(rows):
        y = top + 0.32 + row * 0.9 / (rows + 0.6)
        for x in (-0.3, 0.0, 0.3) if row % 2 == 0 else (-0.15, 0.15):
            pen.oval(x, y - 0.015, 0.055, 0.055, tone.light)
            pen.oval(x, y, 0.045, 0.045, tone.line)
    seat(pen, tone, rng)


def _handset(pen: Pen, tone: Tone, y: float, bend: float) -> None:
    for width, colour in ((0.29, tone.line), (0.22, tone.base)):
        pen.line([(-0.72, y + bend), (-0.35, y), (0.35, y), (0.72, y + bend)], width, colour, curved=True)
    for side in (-1, 1):
        pen.oval(side * 0.76, y + bend + 0.1, 0.24, 0.19, tone.line, turn=side * 0.25)
        pen.oval(side * 0.76, y + bend + 0.09, 0.2, 0.15, tone.base, turn=side * 0.25)
        pen.oval(side * 0.78, y + bend + 0.18, 0.16, 0.06, tone.dark, turn=side * 0.25)
    pen.line([(-0.45, y - 0.02), (0.0, y - 0.06), (0.45, y - 0.02)], 0.05, tone.light, curved=True)


def phone(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An old telephone with a handset on its cradle and a round dial."""
    wide, waist = float(rng.uniform(0.82, 0.95)), float(rng.uniform(0.36, 0.46))
    for side in (-1, 1):
        pen.box(side * 0.28 - 0.07, -0.62, side * 0.28 + 0.07, -0.2, tone.line)
    for shrink, colour in ((0.0, tone.line), (0.04, tone.base)):
        half = [(waist - shrink, -0.36 + shrink), (waist + 0.1 - shrink, 0.1), (wide - shrink * 1.4, 0.72)]
        half.append((wide - shrink * 1.2, 0.93 - shrink))
        pen.poly([*half, *[(-x, y) for x, y in reversed(half)]], colour)
    pen.box(-wide + 0.06, 0.78, wide - 0.06, 0.89, tone.dark)
    ringed(pen, 0.0, 0.28, 0.43, WHITE, tone.line, 0.05)
    turn = float(rng.uniform(-0.3, 0.3))
    for k in range(9):
        a = turn + math.pi * 2 * k / 10 + 0.9
        pen.oval(0.27 * math.cos(a), 0.28 + 0.27 * math.sin(a), 0.075, 0.075, INK)
    ringed(pen, 0.0, 0.28, 0.15, tone.light, tone.dark, 0.03)
    _handset(pen, tone, float(rng.uniform(-0.8, -0.74)), float(rng.uniform(0.1, 0.2)))


def _harp_strings(pen: Pen, bow: list[Point], count: int) -> None:
    curve = np.asarray(bow)
    for x in np.linspace(-0.5, 0.5, count):
        top = float(np.interp(x, curve[:, 0], curve[:, 1]))
        foot = 0.78 - (x + 0.68) * 1.02
        pen.line([(float(x), top), (float(x), foot + 0.06)], 0.04, mix(GOLD, INK, 0.32))


def harp(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A harp with a tall pillar, a curved neck and many strings."""
    dip = float(rng.uniform(-0.55, -0.42))
    bow: list[Point] = [(-0.66, -0.8), (-0.35, -0.66), (0.05, dip), (0.4, dip - 0.02), (0.7, -0.62)]
    _harp_strings(pen, bow, int(rng.integers(7, 10)))
    for width, colour in ((0.25, tone.line), (0.18, tone.base)):
        pen.line([(-0.5, 0.8), (0.2, 0.2), (0.78, -0.5)], width, colour)
        pen.line([(-0.7, 0.85), (-0.68, -0.8)], width, colour)
        pen.line([*bow, (0.82, -0.55)], width, colour, curved=True)
    pen.line([(-0.38, 0.73), (0.24, 0.2), (0.76, -0.42)], 0.05, tone.dark)
    pen.line([(-0.73, 0.7), (-0.72, -0.7)], 0.05, tone.light)
    padded(pen, -0.9, 0.78, -0.2, 0.96, 0.06, tone.dark, tone.line)
    ringed(pen, -0.68, -0.8, 0.19, tone.base, tone.line, 0.035)
    ringed(pen, -0.68, -0.8, 0.09, GOLD, mix(GOLD, INK, 0.4), 0.02)


def stand(pen: Pen, tone: Tone, rng: np.random.Generator, top: float) -> None:
    """Draw the stand of a table lamp, slim or round, and its base on the ground."""
    if rng.random() < 0.5:
        pen.line([(0.0, top), (0.0, 0.85)], 0.13, tone.line)
        pen.line([(-0.02, top), (-0.02, 0.85)], 0.05, tone.light)
        ringed(pen, 0.0, (top + 0.9) / 2, 0.12, tone.base, tone.line, 0.035)
    else:
        pen.line([(0.0, top), (0.0, 0.5)], 0.12, tone.line)
        pen.oval(0.0, 0.64, 0.3, 0.26, tone.line)
        pen.oval(0.0, 0.64, 0.265, 0.225, tone.base)
        pen.oval(-0.1, 0.58, 0.06, 0.09, tone.light, turn=0.3)
    padded(pen, -0.42, 0.82, 0.42, 0.97, 0.07, tone.dark, tone.line)


def rays(pen: Pen, y: float, near: float, far: float) -> None:
    """Draw short rays of light at both sides of a lamp's shade centred at height `y`."""
    for a in (-0.85, -0.42, 0.0, 0.42):
        cos, sin = math.cos(a), math.sin(a)
        for side in (-1, 1):
            pen.line([(side * near * cos, y + near * sin), (side * far * cos, y + far * sin)], 0.065, (255, 205, 60))


def lamp(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A table lamp that is switched on."""
    top, wide = float(rng.uniform(0.28, 0.42)), float(rng.uniform(0.74, 0.84))
    pen.poly([(-wide + 0.05, 0.1), (wide - 0.05, 0.1), (0.96, 0.9), (-0.96, 0.9)], mix(GLOW, WHITE, 0.45))
    stand(pen, tone, rng, 0.05)
    ringed(pen, 0.0, 0.15, 0.17, mix(GLOW, WHITE, 0.5), (255, 205, 60), 0.05)
    belly = float(rng.choice([0.0, 0.14]))
    side = [(top, -0.94), ((top + wide) / 2 + belly, -0.5), (wide, 0.1)]
    pen.poly([*side, *[(-x, y) for x, y in reversed(side)]], tone.line)
    side = [(x - 0.045, y + dy) for (x, y), dy in zip(side, (0.035, 0.0, -0.035), strict=True)]
    pen.poly([*side, *[(-x, y) for x, y in reversed(side)]], tone.base)
    inner = [(x * 0.5, y) for x, y in side]
    pen.poly([*inner, *[(-x, y) for x, y in reversed(inner)]], tone.light)
    pen.box(-wide + 0.03, -0.02, wide - 0.03, 0.06, tone.dark)
    pen.line([(wide * 0.55, 0.1), (wide * 0.55, 0.34)], 0.03, INK)
    pen.oval(wide * 0.55, 0.38, 0.05, 0.06, GOLD)


def cup(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A steaming cup on its saucer."""
    wide, foot = float(rng.uniform(0.58, 0.64)), float(rng.uniform(0.3, 0.42))
    sway = float(rng.choice([-0.09, 0.09]))
    for x in (-0.38, -0.06, 0.26):
        points = [(x, -0.3), (x + sway, -0.5), (x - sway, -0.74), (x + sway, -0.96)]
        pen.line(points, 0.09, STEAM, curved=True)
    pen.oval(-0.08, 0.82, 0.88, 0.15, tone.line)
    pen.oval(-0.08, 0.8, 0.85, 0.13, tone.base)
    pen.oval(-0.08, 0.8, 0.6, 0.08, tone.dark)
    for width, colour in ((0.19, tone.line), (0.12, tone.base)):
        pen.line([(0.4, 0.0), (0.8, -0.04), (0.86, 0.28), (0.32, 0.5)], width, colour, curved=True)
    for shrink, colour in ((0.0, tone.line), (0.035, tone.base)):
        half = [(wide - shrink, -0.15), (wide - 0.04 - shrink, 0.25), (foot + 0.1 - shrink, 0.6), (foot, 0.8 - shrink)]
        pen.poly([*[(x - 0.08, y) for x, y in half], *[(-x - 0.08, y) for x, y in reversed(half)]], colour)
    pen.blob([(0.2, 0.65), (wide - 0.2, 0.3), (wide - 0.14, 0.02), (wide - 0.3, 0.2)], tone.dark)
    pen.oval(-0.08 - wide * 0.66, 0.24, 0.07, 0.2, tone.light, turn=-0.1)
    pen.oval(-0.08, -0.16, wide, 0.16, tone.line)
    pen.oval(-0.08, -0.16, wide - 0.035, 0.13, tone.light)
    pen.oval(-0.08, -0.13, wide - 0.1, 0.09, (104, 62, 34))


def dial(pen: Pen, x: float, y: float, r: float, rim: Colour, rng: np.random.Generator) -> None:
    """Draw a white clock face with its marks and hands."""
    ringed(pen, x, y, r, WHITE, rim, r * 0.12)
    for k in range(12):
        a = math.pi * k / 6
        size = r * (0.065 if k % 3 == 0 else 0.035)
        pen.oval(x + r * 0.72 * math.cos(a), y + r * 0.72 * math.sin(a), size, size, INK)
    hour, minute = math.pi * float(rng.uniform(-0.95, -0.6)), math.pi * float(rng.uniform(-0.4, -0.1))
    pen.line([(x, y), (x + r * 0.42 * math.cos(hour), y + r * 0.42 * math.sin(hour))], r * 0.15, INK)
    pen.line([(x, y), (x + r * 0.62 * math.cos(minute), y + r * 0.62 * math.sin(minute))], r * 0.11, INK)
    pen.oval(x, y, r * 0.11, r * 0.11, RED)


def bells(pen: Pen, tone: Tone, x: float, y: float, size: float) -> None:
    """Draw the two bells of an alarm clock, at (-x, y) and (x, y), with the hammer between them."""
    pen.line([(0.0, y + size), (0.0, y - size * 0.2)], 0.07, INK)
    pen.oval(0.0, y - size * 0.2, 0.11, 0.09, INK)
    for side in (-1, 1):
        turn = side * 0.62
        cos, sin = math.cos(turn), math.sin(turn)
        pen.line([(side * x, y), (side * (x - size), y + size * 1.3)], 0.09, INK)
        for shrink, colour in ((1.0, tone.line), (0.86, tone.base)):
            arc = [(size * shrink * math.cos(a), size * shrink * math.sin(a)) for a in np.linspace(-math.pi, 0.0, 13)]
            dome = [(px, py + size * (0.15 if shrink == 1.0 else 0.07)) for px, py in arc]
            pen.poly([(side * x + px * cos - py * sin, y + px * sin + py * cos) for px, py in dome], colour)
        pen.oval(side * x - size * 0.1, y - size * 0.4, size * 0.2, size * 0.14, tone.light, turn=turn)


def clock(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A round alarm clock with two bells."""
    r = float(rng.uniform(0.7, 0.76))
    for side in (-1, 1):
        pen.line([(side * 0.4, 0.7), (side * 0.6, 0.9)], 0.17, tone.line)
    bells(pen, tone, 0.5, -0.64, float(rng.uniform(0.3, 0.36)))
    pen.oval(0.0, 0.16, r, r, tone.line)
    pen.oval(0.0, 0.16, r - 0.035, r - 0.035, tone.base)
    pen.blob([(0.1, 0.84), (0.45, 0.7), (r - 0.06, 0.2), (r - 0.1, 0.5), (0.42, 0.8)], tone.dark)
    dial(pen, 0.0, 0.16, r - 0.16, tone.line, rng)


def _guitar_body(wide: float, waist: float, grow: float) -> list[Point]:
    half = [(0.0, -0.14), (0.3, -0.12), (wide * 0.78, 0.12), (waist, 0.36), (wide, 0.66), (0.36, 0.94), (0.0, 0.97)]
    half = [(x + (grow if x else 0.0), y + grow * (y - 0.4) * 1.8) for x, y in half]
    return [*half, *[(-x, y) for x, y in reversed(half[1:-1])]]


def guitar(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A guitar that stands upright."""
    wide, waist = float(rng.uniform(0.56, 0.64)), float(rng.uniform(0.32, 0.38))
    wood = pick(WOOD, rng)
    pen.blob(_guitar_body(wide, waist, 0.0), tone.line)
    pen.blob(_guitar_body(wide, waist, -0.04), tone.base)
    pen.blob([(0.3, 0.88), (wide - 0.08, 0.68), (wide - 0.12, 0.5), (wide - 0.2, 0.72)], tone.dark)
    pen.oval(-wide * 0.62, 0.62, 0.07, 0.14, tone.light, turn=0.2)
    ringed(pen, 0.0, 0.28, 0.21, INK, GOLD, 0.04)
    padded(pen, -0.26, 0.66, 0.26, 0.76, 0.03, mix(wood, INK, 0.3), INK)
    pen.box(-0.09, -0.66, 0.09, 0.18, mix(wood, INK, 0.35))
    for side in (-1, 1):
        for y in (-0.92, -0.8, -0.68):
            pen.oval(side * 0.2, y, 0.06, 0.045, GOLD)
    padded(pen, -0.16, -0.98, 0.16, -0.6, 0.06, tone.base, tone.line)
    for y in (-0.46, -0.3, -0.14, 0.02):
        pen.line([(-0.08, y), (0.08, y)], 0.025, GOLD)
    for x in (-0.055, 0.0, 0.055):
        pen.line([(x, -0.86), (x, 0.7)], 0.02, (236, 228, 206))


def key(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A big old key with a round or a three-leaved bow."""
    r, teeth = float(rng.uniform(0.28, 0.34)), float(rng.uniform(0.48, 0.58))
    bows = [(0.0, -0.58, r)]
    if rng.random() < 0.5:
        bows = [(-0.27, -0.42, 0.2), (0.27, -0.42, 0.2), (0.0, -0.7, 0.2)]
    for width, colour in ((0.05, tone.line), (0.0, tone.base)):
        for x, y, size in bows:
            rim = ellipse(x, y, size, size)
            pen.line([*rim, rim[0], rim[1]], 0.15 + width * 1.5, colour)
        pen.line([(0.0, -0.24), (0.0, 0.9)], 0.2 + width * 1.5, colour)
        for y in (0.5, 0.8):
            reach = teeth if y > 0.6 else teeth - 0.12
            pen.box(0.0, y - 0.09 - width * 0.7, reach + width * 0.7, y + 0.09 + width * 0.7, colour)
        pen.box(0.0, 0.42, 0.24, 0.86, colour)
        pen.box(-0.17 - width * 0.7, -0.22 - width * 0.7, 0.17 + width * 0.7, -0.1 + width * 0.7, colour)
    pen.line([(-0.03, -0.02), (-0.03, 0.86)], 0.045, tone.light)
    pen.box(0.12, 0.54, teeth - 0.14, 0.58, tone.dark)
    pen.box(0.12, 0.84, teeth, 0.88, tone.dark)

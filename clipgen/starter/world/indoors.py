"""A room as a scene that fills the whole picture, in the unit square."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import between, mix, pick, rgb
from clipgen.starter.world.pen import Colour, Pen, Point
from clipgen.starter.world.places import SKIES, cloud, lit

Box = tuple[float, float, float, float]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


def room(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A living room: a window on the sky, a sofa, a rug, a picture, a plant and a lamp that is lit at night."""
    floor, wide = between(rng, 0.66, 0.72), between(rng, 0.34, 0.42)
    side = -1 if rng.random() < 0.5 else 1
    middle = 0.5 - side * between(rng, 0.16, 0.2)
    pane = (middle - wide / 2, between(rng, 0.09, 0.13), middle + wide / 2, between(rng, 0.43, 0.47))
    _view(pen, time, rng, pane)
    wall = lit(pick(((0.02, 0.6), (0.12, 0.27), (0.82, 0.95)), rng), time)
    lamp = (0.5 + side * 0.4, 0.4)
    left, top, right, foot = pane
    for box in (
        (-0.02, -0.02, 1.02, top),
        (-0.02, foot, 1.02, floor),
        (-0.02, top, left, foot),
        (right, top, 1.02, foot),
    ):
        pen.box(*box, wall)
    if time == "night":
        for k in range(10):
            glow = mix(wall, (255, 206, 120), 0.07 * (k + 1))
            pen.oval(*lamp, 0.24 - 0.02 * k, 0.24 - 0.02 * k, glow)
    planks = lit(pick(((0.06, 0.09), (0.45, 0.62), (0.58, 0.74)), rng), time)
    pen.box(-0.02, floor, 1.02, 1.02, planks)
    for x in np.linspace(-0.6, 1.6, 12):
        pen.line([(0.5 + (float(x) - 0.5) * 0.62, floor), (float(x), 1.02)], 0.006, mix(planks, BLACK, 0.22))
    pen.box(-0.02, floor - 0.025, 1.02, floor + 0.006, mix(wall, WHITE, 0.55 if time == "day" else 0.25))
    _window(pen, time, rng, pane)
    _painting(pen, time, rng, 0.5 + side * between(rng, 0.15, 0.18), 0.24)
    _rug(pen, time, rng)
    _sofa(pen, time, rng, 0.5, floor)
    _lamp(pen, time, rng, lamp, floor)
    _plant(pen, time, rng, 0.5 - side * 0.41, floor + 0.1)


def _view(pen: Pen, time: str, rng: np.random.Generator, pane: Box) -> None:
    left, top, right, foot = pane
    high, low = (pick(box, rng) for box in SKIES[time])
    for k in range(12):
        y = top + (foot - top) * k / 12
        pen.box(left, y, right, y + (foot - top) / 12 + 0.01, mix(high, low, k / 11))
    x = left + (right - left) * (0.25 if rng.random() < 0.5 else 0.75)
    if time == "night":
        for _ in range(9):
            r = between(rng, 0.005, 0.01)
            pen.oval(between(rng, left, right), between(rng, top, foot - 0.1), r, r, (250, 246, 214))
        pen.oval(x, top + 0.1, 0.05, 0.05, (248, 240, 196))
        pen.oval(x + 0.022, top + 0.09, 0.042, 0.042, mix(high, low, 0.3))
    elif time == "sunset":
        pen.oval(x, foot - 0.09, 0.09, 0.09, mix(low, (255, 236, 150), 0.5))
        pen.oval(x, foot - 0.09, 0.06, 0.06, (255, 226, 110))
    else:
        pen.oval(x, top + 0.08, 0.045, 0.045, (255, 234, 120))
        cloud(pen, left + right - x, top + 0.13, 0.06)
    green = lit(pick(((0.24, 0.36), (0.45, 0.7), (0.5, 0.7)), rng), time)
    pen.oval(left + 0.06, foot + 0.03, 0.22, 0.09, mix(green, BLACK, 0.15))
    pen.oval(right - 0.06, foot + 0.04, 0.24, 0.09, green)


def _window(pen: Pen, time: str, rng: np.random.Generator, pane: Box) -> None:
    left, top, right, foot = pane
    white = mix((248, 246, 240), lit((248, 246, 240), time), 0.8)
    corners: list[Point] = [(left, top), (right, top), (right, foot), (left, foot), (left, top)]
    pen.line(corners, 0.03, white)
    pen.line([((left + right) / 2, top), ((left + right) / 2, foot)], 0.018, white)
    pen.line([(left, (top + foot) / 2), (right, (top + foot) / 2)], 0.018, white)
    pen.box(left - 0.04, foot + 0.005, right + 0.04, foot + 0.035, mix(white, BLACK, 0.1))
    cloth = lit(pick(((0.0, 1.0), (0.45, 0.7), (0.7, 0.88)), rng), time)
    for edge, side in ((left, 1), (right, -1)):
        out = edge - side * 0.06
        hem = foot + 0.06
        pen.poly([(out, top - 0.03), (edge + side * 0.07, top - 0.03), (edge + side * 0.005, hem), (out, hem)], cloth)
        for dx in (-0.035, -0.005):
            pen.line([(edge + side * (dx + 0.01), top), (edge + side * dx, hem)], 0.008, mix(cloth, BLACK, 0.2))
    pen.line([(left - 0.09, top - 0.035), (right + 0.09, top - 0.035)], 0.018, lit((120, 82, 50), time))


def _painting(pen: Pen, time: str, rng: np.random.Generator, x: float, y: float) -> None:
    frame = lit((188, 140, 60), time)
    wide, tall = 0.095, 0.085
    pen.box(x - wide, y - tall, x + wide, y + tall, frame)
    paper = lit(pick(((0.5, 0.62), (0.2, 0.4), (0.85, 0.95)), rng), time)
    pen.box(x - wide + 0.02, y - tall + 0.02, x + wide - 0.02, y + tall - 0.02, paper)
    hill = lit(pick(((0.0, 1.0), (0.5, 0.8), (0.6, 0.85)), rng), time)
    low, edge = y + tall - 0.02, wide - 0.02
    pen.poly([(x - edge, low), (x - 0.025, y - 0.03), (x + 0.02, y + 0.03), (x + 0.04, y + 0.0), (x + edge, low)], hill)


def _rug(pen: Pen, time: str, rng: np.random.Generator) -> None:
    wool = lit(pick(((0.0, 1.0), (0.4, 0.7), (0.6, 0.85)), rng), time)
    x, wide = between(rng, 0.47, 0.53), between(rng, 0.3, 0.36)
    for share, fill in ((1.0, mix(wool, BLACK, 0.2)), (0.88, mix(wool, WHITE, 0.55)), (0.72, wool)):
        pen.oval(x, 0.9, wide * share, 0.085 * share, fill)


def _sofa(pen: Pen, time: str, rng: np.random.Generator, x: float, floor: float) -> None:
    cloth = lit(pick(((0.0, 1.0), (0.45, 0.75), (0.6, 0.85)), rng), time)
    dark, pale = mix(cloth, BLACK, 0.25), mix(cloth, WHITE, 0.18)
    back, seat, foot, half = floor - 0.16, floor + 0.01, floor + 0.13, 0.235
    for side in (-1, 1):
        pen.box(
            x + side * half * 0.85 - 0.015,
            foot - 0.01,
            x + side * half * 0.85 + 0.015,
            foot + 0.03,
            lit((80, 52, 32), time),
        )
    pen.box(x - half + 0.02, back + 0.03, x + half - 0.02, foot, cloth)
    pen.line([(x - half + 0.05, back + 0.03), (x + half - 0.05, back + 0.03)], 0.06, cloth)
    for side in (-1, 1):
        middle = x + side * (half - 0.03) / 2
        pen.box(middle - 0.095, seat, middle + 0.095, seat + 0.055, pale)
    pen.box(x - half, seat + 0.06, x + half, foot, dark)
    pen.line([(x, back + 0.02), (x, foot - 0.05)], 0.008, dark)
    for side in (-1, 1):
        pen.line([(x + side * half, floor - 0.03), (x + side * half, foot - 0.035)], 0.075, mix(cloth, BLACK, 0.1))
    cushion = lit(pick(((0.08, 0.16), (0.5, 0.8), (0.9, 1.0)), rng), time)
    cx, tilt = x + (0.11 if rng.random() < 0.5 else -0.11), between(rng, 0.01, 0.03)
    pen.poly(
        [(cx - 0.05, seat - 0.08), (cx + 0.04, seat - 0.08 + tilt), (cx + 0.045, seat + 0.02), (cx - 0.055, seat)],
        cushion,
    )


def _lamp(pen: Pen, time: str, rng: np.random.Generator, at: Point, floor: float) -> None:
    x, y = at
    wood = lit((132, 88, 52), time)
    table = floor - 0.1
    pen.line([(x - 0.06, table), (x - 0.07, floor + 0.11)], 0.02, mix(wood, BLACK, 0.2))
    pen.line([(x + 0.06, table), (x + 0.07, floor + 0.11)], 0.02, mix(wood, BLACK, 0.2))
    pen.box(x - 0.095, table - 0.015, x + 0.095, table + 0.02, wood)
    stem = lit(pick(((0.5, 0.62), (0.3, 0.6), (0.5, 0.7)), rng), time)
    pen.oval(x, table - 0.05, 0.035, 0.045, stem)
    pen.line([(x, table - 0.05), (x, y + 0.03)], 0.016, stem)
    shade: Colour = (255, 236, 160) if time == "night" else lit((240, 214, 160), time)
    pen.poly([(x - 0.055, y - 0.07), (x + 0.055, y - 0.07), (x + 0.095, y + 0.05), (x - 0.095, y + 0.05)], shade)
    pen.box(x - 0.095, y + 0.04, x + 0.095, y + 0.055, mix(shade, (200, 120, 40), 0.4))


def _plant(pen: Pen, time: str, rng: np.random.Generator, x: float, foot: float) -> None:
    green = lit(rgb(between(rng, 0.3, 0.37), 0.68, between(rng, 0.42, 0.58)), time)
    pot = lit(pick(((0.03, 0.06), (0.6, 0.75), (0.7, 0.82)), rng), time)
    root = (x, foot - 0.1)
    for k, angle in enumerate((-1.15, 1.15, -0.65, 0.65, 0.0)):
        long = between(rng, 0.17, 0.23) * (1.0 if k < 2 else 1.2)
        across, up = math.sin(angle), math.cos(angle)
        tip = (x + across * long * 0.75, root[1] - up * long)
        bend = long * 0.22
        middle = ((x + tip[0]) / 2, (root[1] + tip[1]) / 2)
        near, far = (
            (middle[0] - up * bend, middle[1] - abs(across) * bend),
            (middle[0] + up * bend, middle[1] + abs(across) * bend * 0.4),
        )
        pen.blob([root, near, tip, far], mix(green, BLACK, 0.2) if k < 2 else mix(green, WHITE, 0.06 * (k - 2)))
    pen.poly([(x - 0.07, foot - 0.11), (x + 0.07, foot - 0.11), (x + 0.05, foot), (x - 0.05, foot)], pot)
    pen.box(x - 0.078, foot - 0.125, x + 0.078, foot - 0.09, mix(pot, WHITE, 0.2))

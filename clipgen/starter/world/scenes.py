"""Scenes that fill the whole picture, in the unit square: (0, 0) is top left, (1, 1) bottom right."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import mix, pick, rgb
from clipgen.starter.world.pen import Colour, Pen
from clipgen.starter.world.places import lit, sky


def city(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Houses and towers of very different heights with large windows, before a pale skyline, over a street."""
    sky(pen, time, rng, 0.66)
    haze = lit(mix(pick(((0.55, 0.68), (0.12, 0.3), (0.6, 0.75)), rng), (255, 255, 255), 0.1), time)
    pen.box(-0.02, 0.62, 1.02, 1.02, haze)
    for x in np.arange(-0.06, 1.0, 0.13):
        left = float(x + rng.uniform(-0.02, 0.02))
        pen.box(left, float(rng.uniform(0.34, 0.6)), left + float(rng.uniform(0.08, 0.12)), 0.95, haze)
    window = (255, 226, 128) if time == "night" else lit((222, 238, 248), time)
    x, tall = float(rng.uniform(-0.12, 0.0)), bool(rng.integers(2))
    while x < 0.98:
        wide = float(rng.uniform(0.15, 0.19) if tall else rng.uniform(0.19, 0.25))
        top = float(rng.uniform(0.14, 0.34) if tall else rng.uniform(0.5, 0.66))
        wall = lit(pick(((0.0, 1.0), (0.2, 0.6), (0.5, 0.85)), rng), time)
        _building(pen, x, top, wide, wall, window, rng)
        x += wide + float(rng.choice([0.0, 0.02, 0.05]))
        tall = not tall if rng.random() < 0.8 else tall
    pen.box(-0.02, 0.93, 1.02, 1.02, lit((96, 96, 104), time))
    for k in range(6):
        pen.box(0.02 + k * 0.18, 0.962, 0.11 + k * 0.18, 0.978, (236, 232, 210))


def _building(
    pen: Pen, x: float, top: float, wide: float, wall: Colour, window: Colour, rng: np.random.Generator
) -> None:
    pen.box(x, top, x + wide, 0.94, wall)
    pen.box(x + wide * 0.88, top, x + wide, 0.94, mix(wall, (0, 0, 0), 0.25))
    roof, crown = mix(wall, (60, 30, 30), 0.6), rng.integers(4)
    if crown == 0:
        pen.line([(x + wide / 2, top), (x + wide / 2, top - 0.1)], 0.018, roof)
    elif crown == 1:
        pen.poly([(x - 0.012, top), (x + wide / 2, top - 0.1), (x + wide + 0.012, top)], roof)
    elif crown == 2:
        pen.box(x + wide * 0.25, top - 0.06, x + wide * 0.75, top, roof)
    columns = 2 if wide < 0.19 else 3
    step = wide * 0.86 / columns
    for y in np.arange(top + 0.05, 0.85, 0.105):
        for k in range(columns):
            if rng.random() < 0.88:
                left = x + wide * 0.03 + step * (k + 0.2)
                pen.box(left, float(y), left + step * 0.6, float(y) + 0.06, window)


def mountains(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Ridges of peaks with snow on them."""
    sky(pen, time, rng, 0.8)
    snow = lit((250, 252, 255), time)
    for depth, (top, base) in enumerate(((0.22, 0.72), (0.42, 0.86))):
        rock = lit(pick(((0.58, 0.68), (0.15, 0.35), (0.5, 0.64) if depth == 0 else (0.36, 0.5)), rng), time)
        for x in np.linspace(0.02, 0.98, 3) + rng.uniform(-0.12, 0.12, 3):
            peak, half = top + float(rng.uniform(-0.1, 0.12)), float(rng.uniform(0.26, 0.38))
            _peak(pen, float(x), peak, half, base, rock, snow)
    grass = lit(pick(((0.25, 0.36), (0.4, 0.6), (0.35, 0.55)), rng), time)
    pen.blob([(-0.3, 0.88), (0.2, 0.82), (0.7, 0.86), (1.3, 0.82), (1.3, 1.3), (-0.3, 1.3)], grass)


def _peak(pen: Pen, x: float, peak: float, half: float, base: float, rock: Colour, snow: Colour) -> None:
    pen.poly([(x - half, base + 0.1), (x, peak), (x + half, base + 0.1)], rock)
    pen.poly([(x, peak), (x + half, base + 0.1), (x + half * 0.15, base + 0.1)], mix(rock, (0, 0, 0), 0.25))
    k, fall = 0.34, base + 0.1 - peak
    pen.poly(
        [
            (x, peak),
            (x + half * k, peak + fall * k),
            (x + half * 0.15, peak + fall * k * 0.8),
            (x, peak + fall * k * 1.15),
            (x - half * 0.17, peak + fall * k * 0.8),
            (x - half * k, peak + fall * k),
        ],
        snow,
    )


def sea(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Nothing but sea, in rolling waves with white crests."""
    horizon = float(rng.uniform(0.28, 0.45))
    sky(pen, time, rng, horizon)
    deep = pick(((0.52, 0.60), (0.65, 0.9), (0.5, 0.72)), rng)
    rows = 6
    for k in range(rows):
        y = horizon + (1.0 - horizon) * k / rows
        high, long = 0.012 + 0.012 * k, 0.12 + 0.05 * k
        shift = float(rng.random())
        xs = np.linspace(-0.1, 1.1, 49)
        crest = [(float(x), y + high * (1 - 2 * abs(math.sin(math.pi * (x / long + shift))))) for x in xs]
        pen.poly([*crest, (1.1, 1.05), (-0.1, 1.05)], lit(mix(deep, (10, 30, 60), 0.09 * k), time))
        pen.line(crest, 0.008 + 0.003 * k, mix(lit((236, 246, 250), time), lit(deep, time), 0.25))


def forest(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Rows of firs, the near ones taller and darker."""
    sky(pen, time, rng, 0.7)
    pen.box(-0.02, 0.62, 1.02, 1.02, lit(pick(((0.25, 0.33), (0.4, 0.6), (0.4, 0.55)), rng), time))
    for row in range(3):
        foot, tall = 0.66 + 0.15 * row, 0.36 + 0.13 * row
        green = pick(((0.32, 0.42), (0.45, 0.75), (0.5 - 0.1 * row, 0.6 - 0.1 * row)), rng)
        for x in np.linspace(-0.05, 1.05, 8 - 2 * row) + rng.uniform(-0.05, 0.05, 8 - 2 * row):
            _fir(
                pen,
                float(x),
                foot + float(rng.uniform(-0.03, 0.03)),
                tall * float(rng.uniform(0.85, 1.15)),
                lit(green, time),
                time,
            )


def _fir(pen: Pen, x: float, foot: float, tall: float, green: Colour, time: str) -> None:
    pen.box(x - 0.014, foot - 0.05, x + 0.014, foot + 0.03, lit((86, 58, 38), time))
    for k in range(3):
        top, low = foot - tall * (1 - 0.26 * k), foot - tall * (0.52 - 0.22 * k)
        half = tall * (0.15 + 0.07 * k)
        pen.poly([(x, top), (x + half, low), (x - half, low)], green)
        pen.poly([(x, top), (x + half, low), (x + half * 0.1, low)], mix(green, (0, 0, 0), 0.25))


def desert(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Dunes with a cactus or two."""
    horizon = float(rng.uniform(0.42, 0.58))
    sky(pen, time, rng, horizon + 0.05)
    sand = pick(((0.075, 0.115), (0.45, 0.68), (0.82, 0.95)), rng)
    for k in range(3):
        y = horizon + 0.16 * k
        crest = float(rng.uniform(0.1, 0.9))
        pen.blob(
            [
                (-0.4, y + 0.1),
                (crest - 0.3, y + 0.02),
                (crest, y - 0.06),
                (crest + 0.4, y + 0.06),
                (1.5, y),
                (1.4, 1.4),
                (-0.4, 1.4),
            ],
            lit(mix(sand, (120, 60, 20), 0.12 * k), time),
        )
    for _ in range(int(rng.integers(1, 3))):
        _cactus(
            pen,
            float(rng.uniform(0.12, 0.88)),
            float(rng.uniform(0.72, 0.92)),
            float(rng.uniform(0.24, 0.36)),
            lit(rgb(0.36, 0.6, 0.48), time),
        )


def _cactus(pen: Pen, x: float, foot: float, tall: float, green: Colour) -> None:
    thick = tall * 0.2
    pen.line([(x, foot), (x, foot - tall)], thick, green)
    for side, at in ((-1, 0.45), (1, 0.6)):
        pen.line(
            [
                (x, foot - tall * at),
                (x + side * tall * 0.32, foot - tall * at),
                (x + side * tall * 0.32, foot - tall * (at + 0.3)),
            ],
            thick * 0.7,
            green,
        )
    pen.line(
        [(x - thick * 0.15, foot), (x - thick * 0.15, foot - tall)], thick * 0.12, mix(green, (255, 255, 255), 0.3)
    )


def volcano(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A cone with lava running down and smoke above."""
    sky(pen, time, rng, 0.85)
    x, top, half = float(rng.uniform(0.38, 0.62)), float(rng.uniform(0.3, 0.42)), float(rng.uniform(0.4, 0.52))
    for k in range(7):
        r = 0.05 + 0.017 * k
        grey = 120 + 12 * k
        pen.oval(
            x + float(rng.uniform(-0.04, 0.06)) * (1 + k * 0.4),
            top - 0.05 - 0.05 * k,
            r * 1.2,
            r,
            lit((grey, grey, grey + 4), time),
        )
    rock = lit(pick(((0.02, 0.08), (0.15, 0.35), (0.28, 0.42)), rng), time)
    pen.poly([(x - half, 0.9), (x - 0.11, top), (x + 0.11, top), (x + half, 0.9)], rock)
    pen.poly([(x + 0.02, top), (x + 0.11, top), (x + half, 0.9), (x + half * 0.4, 0.9)], mix(rock, (0, 0, 0), 0.3))
    lava: Colour = (250, 96, 24)
    pen.oval(x, top, 0.115, 0.03, (255, 190, 60))
    for dx in (-0.06, 0.01, 0.07):
        drop = float(rng.uniform(0.15, 0.42))
        pen.line(
            [(x + dx, top + 0.01), (x + dx * 1.8, top + drop * 0.5), (x + dx * 3.2, top + drop)],
            0.035,
            lava,
            curved=True,
        )
    ground = lit(pick(((0.2, 0.35), (0.3, 0.5), (0.3, 0.45)), rng), time)
    pen.blob([(-0.3, 0.88), (0.3, 0.86), (0.7, 0.89), (1.3, 0.86), (1.3, 1.3), (-0.3, 1.3)], ground)

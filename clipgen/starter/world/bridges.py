"""Scenes of bridges, in the unit square."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.outdoors import bush
from clipgen.starter.world.palette import between, mix, pick
from clipgen.starter.world.pen import Colour, Pen, Point
from clipgen.starter.world.places import lit, sky, water

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


def bridge(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """A big bridge over a river: of stone with arches, or hung from towers by cables."""
    horizon = between(rng, 0.56, 0.64)
    sky(pen, time, rng, horizon)
    far = lit(pick(((0.30, 0.45), (0.25, 0.45), (0.45, 0.6)), rng), time)
    for hx in (between(rng, -0.05, 0.15), between(rng, 0.35, 0.65), between(rng, 0.85, 1.05)):
        pen.oval(hx, horizon + 0.04, between(rng, 0.24, 0.34), between(rng, 0.1, 0.17), far)
    water(pen, time, rng, horizon)
    if rng.random() < 0.5:
        _arches(pen, time, rng)
    else:
        _suspension(pen, time, rng, horizon)
    grass = lit(pick(((0.24, 0.33), (0.5, 0.7), (0.45, 0.62)), rng), time)
    for side in (-1, 1):
        edge, y = 0.5 + side * 0.5, between(rng, 0.8, 0.86)
        pen.blob(
            [(edge + side * 0.3, y - 0.22), (edge - side * 0.1, y - 0.06), (edge - side * 0.2, 1.05), (edge, 1.2)],
            grass,
        )
        for k in range(2):
            bush(
                pen,
                edge - side * (0.01 + 0.07 * k),
                y - 0.08 + 0.1 * k,
                between(rng, 0.05, 0.07),
                mix(grass, BLACK, 0.25),
            )


def _arches(pen: Pen, time: str, rng: np.random.Generator) -> None:
    stone = lit(pick(((0.05, 0.11), (0.12, 0.32), (0.66, 0.8)), rng), time)
    dark, pale = mix(stone, BLACK, 0.32), mix(stone, WHITE, 0.22)
    count = int(rng.integers(2, 4))
    rise, deck, foot = between(rng, 0.06, 0.12), between(rng, 0.42, 0.47), between(rng, 0.77, 0.82)
    xs = [float(x) for x in np.linspace(-0.03, 1.03, 41)]
    bay, pier = 1.0 / count, 0.075
    crown = [(x, deck - rise * math.sin(math.pi * min(max(x, 0.0), 1.0))) for x in xs]
    lower: list[Point] = []
    rim: list[list[Point]] = []
    for k in range(count):
        left, right = k * bay + pier / 2, (k + 1) * bay - pier / 2
        top = deck - rise * math.sin(math.pi * (left + right) / 2) + 0.1
        arch: list[Point] = []
        for turn in np.linspace(math.pi, 0.0, 17):
            across = (left + right) / 2 + (right - left) / 2 * math.cos(float(turn))
            arch.append((across, foot - (foot - top) * math.sin(float(turn)) ** 0.8))
        lower += [(left, foot + 0.03), *arch, (right, foot + 0.03)]
        rim.append(arch)
    pen.poly([*crown, (1.03, foot + 0.03), *reversed(lower), (-0.03, foot + 0.03)], stone)
    for arch in rim:
        pen.line(arch, 0.032, dark)
        pen.line([(x, y - 0.012) for x, y in arch], 0.012, pale)
    for k in range(count + 1):
        pen.poly([(k * bay - 0.05, foot + 0.04), (k * bay, foot - 0.06), (k * bay + 0.05, foot + 0.04)], dark)
    pen.line(crown, 0.045, dark)
    pen.line([(x, y - 0.012) for x, y in crown], 0.03, pale)
    if time == "night":
        _lights(pen, [(x, y - 0.035) for x, y in crown[3::5]])


def _suspension(pen: Pen, time: str, rng: np.random.Generator, horizon: float) -> None:
    paint = pick(((-0.01, 0.05), (0.72, 0.9), (0.72, 0.88)), rng)
    steel = mix(lit(paint, time), paint, 0.3)
    dark = mix(steel, BLACK, 0.3)
    deck, top = horizon - between(rng, 0.0, 0.04), between(rng, 0.16, 0.24)
    first, second = between(rng, 0.2, 0.27), between(rng, 0.73, 0.8)
    cable: list[Point] = [(-0.05, deck - 0.12)]
    sag = deck - 0.05
    for share in np.linspace(0.0, 1.0, 21):
        x = first + (second - first) * float(share)
        cable.append((x, sag - (sag - top - 0.02) * (2 * float(share) - 1) ** 2))
    cable.append((1.05, deck - 0.12))
    for x in np.linspace(0.03, 0.97, 20):
        y = float(np.interp(x, [p[0] for p in cable], [p[1] for p in cable]))
        pen.line([(float(x), y), (float(x), deck)], 0.008, mix(dark, WHITE, 0.15))
    for x in (first, second):
        pen.box(x - 0.055, 0.79, x + 0.055, 0.86, lit((120, 122, 130), time))
        for side in (-1, 1):
            pen.box(x + side * 0.03 - 0.014, top, x + side * 0.03 + 0.014, 0.8, steel if side < 0 else dark)
        for y in (top + 0.02, top + 0.16):
            pen.box(x - 0.044, y, x + 0.044, y + 0.03, steel)
    pen.line(cable, 0.02, steel)
    pen.box(-0.02, deck - 0.02, 1.02, deck + 0.022, steel)
    pen.box(-0.02, deck + 0.022, 1.02, deck + 0.045, dark)
    if time == "night":
        _lights(pen, [(float(x), deck - 0.03) for x in np.linspace(0.02, 0.98, 9)])


def _lights(pen: Pen, points: list[Point]) -> None:
    for x, y in points:
        pen.oval(x, y, 0.013, 0.013, (255, 222, 130))

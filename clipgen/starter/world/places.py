"""Skies and natural backgrounds, in the unit square: (0, 0) is top left, (1, 1) bottom right."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import mix, pick
from clipgen.starter.world.pen import Colour, Pen

# top of the sky, its foot, for each time of day: HSV boxes
SKIES = {
    "day": (((0.54, 0.60), (0.45, 0.70), (0.75, 0.95)), ((0.52, 0.58), (0.08, 0.25), (0.93, 1.0))),
    "sunset": (((0.78, 0.92), (0.40, 0.65), (0.50, 0.75)), ((0.03, 0.09), (0.65, 0.90), (0.93, 1.0))),
    "night": (((0.62, 0.68), (0.60, 0.85), (0.10, 0.22)), ((0.60, 0.66), (0.45, 0.70), (0.22, 0.36))),
}
LIGHTS = {"day": (255, 255, 255), "sunset": (255, 176, 120), "night": (52, 62, 128)}
DIMMING = {"day": 0.0, "sunset": 0.22, "night": 0.62}


def lit(colour: Colour, time: str) -> Colour:
    """A surface's colour under the light of the time of day."""
    return mix(colour, LIGHTS[time], DIMMING[time])


def sky(pen: Pen, time: str, rng: np.random.Generator, horizon: float = 1.0) -> None:
    """Sky with its sun, moon, stars or clouds, down to the horizon."""
    top, foot = (pick(box, rng) for box in SKIES[time])
    bands = 24
    for k in range(bands):
        share = k / (bands - 1)
        pen.box(-0.02, horizon * k / bands - 0.01, 1.02, horizon * (k + 1) / bands + 0.01, mix(top, foot, share))
    x, y = float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.1, 0.24))
    if time == "night":
        for _ in range(int(rng.integers(14, 30))):
            r = float(rng.uniform(0.004, 0.011))
            pen.oval(float(rng.random()), float(rng.uniform(0, horizon * 0.8)), r, r, (250, 246, 214))
        r = float(rng.uniform(0.05, 0.09))
        pen.oval(x, y, r, r, (248, 240, 196))
        if rng.random() < 0.6:
            pen.oval(x + r * 0.45, y - r * 0.15, r * 0.85, r * 0.85, mix(top, foot, y / horizon))
    elif time == "sunset":
        r, y = float(rng.uniform(0.08, 0.13)), horizon - float(rng.uniform(-0.02, 0.12))
        pen.oval(x, y, r * 1.5, r * 1.5, mix(foot, (255, 236, 150), 0.45))
        pen.oval(x, y, r, r, (255, 226, 110))
        for _ in range(3):
            cy = float(rng.uniform(0.1, horizon * 0.8))
            pen.oval(float(rng.random()), cy, float(rng.uniform(0.1, 0.25)), 0.018, mix(top, foot, 0.75))
    else:
        if rng.random() < 0.6:
            pen.oval(x, y, 0.075, 0.075, (255, 234, 120))
        for _ in range(int(rng.integers(1, 4))):
            cloud(pen, float(rng.random()), float(rng.uniform(0.06, horizon * 0.5)), float(rng.uniform(0.06, 0.12)))


def cloud(pen: Pen, x: float, y: float, r: float) -> None:
    """A white cloud of round clumps."""
    for dx, dy, s in ((-1.0, 0.2, 0.6), (-0.35, -0.15, 0.8), (0.35, -0.05, 0.75), (1.0, 0.2, 0.55), (0.0, 0.25, 0.9)):
        pen.oval(x + dx * r, y + dy * r, s * r, s * r * 0.62, (250, 251, 253))


def meadow(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Grass and hills under a sky."""
    horizon = float(rng.uniform(0.45, 0.68))
    sky(pen, time, rng, horizon + 0.1)
    far, near = (lit(pick(((0.22, 0.33), (0.45, 0.75), v), rng), time) for v in ((0.5, 0.7), (0.6, 0.8)))
    crest = [(x, horizon + 0.05 * math.sin(5 * x + 6 * float(rng.random()))) for x in np.linspace(-0.05, 1.05, 7)]
    pen.poly([*crest, (1.05, 1.05), (-0.05, 1.05)], far)
    low = horizon + float(rng.uniform(0.1, 0.2))
    pen.blob([(-0.3, low + 0.1), (0.2, low), (0.7, low + 0.04), (1.3, low - 0.02), (1.3, 1.3), (-0.3, 1.3)], near)
    for _ in range(26):
        x, y = float(rng.random()), float(rng.uniform(low + 0.04, 1.0))
        pen.line([(x, y), (x + float(rng.uniform(-0.015, 0.015)), y - 0.035)], 0.007, mix(near, far, 0.7))


def beach(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Sand before the sea."""
    horizon = float(rng.uniform(0.4, 0.52))
    sky(pen, time, rng, horizon)
    water(pen, time, rng, horizon)
    sand = lit(pick(((0.10, 0.13), (0.3, 0.5), (0.85, 0.96)), rng), time)
    shore = horizon + float(rng.uniform(0.12, 0.2))
    pen.blob(
        [(-0.3, shore), (0.2, shore + 0.05), (0.6, shore - 0.02), (1.3, shore + 0.05), (1.3, 1.3), (-0.3, 1.3)], sand
    )
    for _ in range(14):
        pen.oval(float(rng.random()), float(rng.uniform(shore + 0.08, 1.0)), 0.012, 0.006, mix(sand, (90, 70, 40), 0.3))


def water(pen: Pen, time: str, rng: np.random.Generator, horizon: float) -> None:
    """Water with wavelets from the horizon down."""
    deep = lit(pick(((0.53, 0.60), (0.6, 0.85), (0.5, 0.75)), rng), time)
    pale = mix(deep, SUN_GLINT[time], 0.45)
    for k in range(12):
        y = horizon + (1.02 - horizon) * k / 12
        pen.box(-0.02, y, 1.02, y + (1.02 - horizon) / 12 + 0.01, mix(deep, pale, 0.4 * (1 - k / 11)))
    for _ in range(22):
        depth = float(rng.random()) ** 1.3
        x, y = float(rng.random()), horizon + 0.02 + depth * (1 - horizon)
        half = 0.02 + 0.06 * depth
        pen.line(
            [(x - half, y), (x, y - 0.012 - 0.02 * depth), (x + half, y)], 0.006 + 0.008 * depth, pale, curved=True
        )


SUN_GLINT: dict[str, Colour] = {"day": (255, 255, 255), "sunset": (255, 200, 130), "night": (190, 200, 240)}


def open_water(pen: Pen, time: str, rng: np.random.Generator) -> None:
    """Sea under a sky, for what floats."""
    horizon = float(rng.uniform(0.38, 0.58))
    sky(pen, time, rng, horizon)
    water(pen, time, rng, horizon)

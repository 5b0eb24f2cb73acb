"""Named colours as ranges, and the shades that a drawing takes from one."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from clipgen.starter.world.pen import Colour

Range = tuple[float, float]

# hue in turns, saturation, value; ranges are disjoint enough that a colour has one name
RANGES: dict[str, tuple[Range, Range, Range]] = {
    "red": ((-0.02, 0.015), (0.80, 0.98), (0.70, 0.92)),
    "orange": ((0.065, 0.095), (0.82, 1.00), (0.92, 1.00)),
    "yellow": ((0.135, 0.165), (0.75, 0.98), (0.93, 1.00)),
    "green": ((0.29, 0.40), (0.60, 0.90), (0.45, 0.75)),
    "turquoise": ((0.465, 0.505), (0.65, 0.95), (0.62, 0.88)),
    "blue": ((0.57, 0.64), (0.70, 0.95), (0.60, 0.92)),
    "purple": ((0.74, 0.79), (0.60, 0.90), (0.50, 0.75)),
    "pink": ((0.90, 0.94), (0.30, 0.50), (0.95, 1.00)),
    "brown": ((0.05, 0.08), (0.55, 0.75), (0.36, 0.52)),
    "black": ((0.55, 0.70), (0.00, 0.15), (0.06, 0.15)),
    "white": ((0.05, 0.15), (0.00, 0.05), (0.95, 1.00)),
    "grey": ((0.55, 0.65), (0.00, 0.06), (0.48, 0.62)),
}
SKIN: tuple[Range, Range, Range] = ((0.045, 0.075), (0.25, 0.60), (0.45, 0.97))


@dataclass(frozen=True)
class Tone:
    """One colour and the shades drawn with it, 8-bit RGB."""

    base: Colour
    dark: Colour
    light: Colour
    line: Colour


def rgb(hue: float, saturation: float, value: float) -> Colour:
    """HSV in [0, 1] to 8-bit RGB."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(r * 255), round(g * 255), round(b * 255)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` of `b` in it."""
    r, g, k = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, k


def pick(ranges: tuple[Range, Range, Range], rng: np.random.Generator) -> Colour:
    """A colour from an HSV box."""
    hue, saturation, value = (float(rng.uniform(*r)) for r in ranges)
    return rgb(hue, saturation, value)


def tone(name: str | None, rng: np.random.Generator) -> Tone:
    """A random tone of the named colour; None is a natural skin."""
    base = pick(SKIN if name is None else RANGES[name], rng)
    bright = max(base) > 60
    dark = mix(base, (0, 0, 0), 0.30) if bright else mix(base, (255, 255, 255), 0.22)
    light = mix(base, (255, 255, 255), 0.35 if bright else 0.12)
    line = mix(base, (0, 0, 0), 0.62) if bright else mix(base, (255, 255, 255), 0.40)
    if name == "white":
        dark, line = mix(base, (80, 90, 110), 0.22), (95, 95, 105)
    return Tone(base, dark, light, line)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number."""
    return float(rng.uniform(low, high))

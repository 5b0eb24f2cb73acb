"""Things to put on a wearer, drawn in the wearer's own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Colour, Pen, Point

BAND_DARK: Colour = (40, 38, 46)
BAND_LIGHT: Colour = (226, 222, 212)


def stripe_of(tone: Tone) -> Colour:
    """The colour of stripes that show on a tone: paler than a colour, greyer than black or white."""
    if min(tone.base) > 215 or max(tone.base) <= 60:
        return mix(tone.dark, (150, 152, 160), 0.35)
    return mix(tone.light, (255, 255, 255), 0.1)


def band_of(tone: Tone) -> Colour:
    """The colour of a hat's band: dark on a colour, pale on a dark hat."""
    return BAND_LIGHT if max(tone.base) < 90 else BAND_DARK


def fringed_end(pen: Pen, tone: Tone, start: Point, end: Point, half: float, stripes: int = 2) -> None:
    """Draw a striped end of a scarf hanging from `start` to `end` with a fringe, `half` its half width."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
    across = (along[1], -along[0])
    fringe = min(0.2 * length, half * 0.8)
    edge = mix(tone.dark, tone.line, 0.35)

    def at(share: float, side: float, beyond: float = 0.0) -> Point:
        reach = (length - fringe) * share + beyond
        wide = half * (0.82 + 0.18 * share) * side
        return start[0] + along[0] * reach + across[0] * wide, start[1] + along[1] * reach + across[1] * wide

    for side in (-0.84, -0.28, 0.28, 0.84):
        pen.line([at(1.0, side), at(1.0, side * 1.06, fringe - half * 0.14)], half * 0.34, edge)
    pen.poly([at(0.0, -1.12), at(0.0, 1.12), at(1.0, 1.12, half * 0.1), at(1.0, -1.12, half * 0.1)], edge)
    pen.poly([at(0.0, -0.9), at(0.0, 0.9), at(1.0, 0.9), at(1.0, -0.9)], tone.base)
    for k in range(stripes):
        low = 0.94 - k * 0.72 / stripes
        high = low - 0.34 / stripes
        pen.poly([at(high, -0.9), at(high, 0.9), at(low, 0.9), at(low, -0.9)], stripe_of(tone))


def nothing_on(pen: Pen, tone: Tone, x: float, y: float, r: float) -> None:
    """Leave a neck at (x, y) of half width r as it is."""


def scarf_on(pen: Pen, tone: Tone, x: float, y: float, r: float) -> None:
    """Draw a scarf around a neck at (x, y) of half width r, its two fringed ends hanging in front."""
    tall = max(0.6 * r, 0.31)
    wide = r * 1.12 + 0.11
    sag = 0.28 * tall + 0.06 * r
    half = max(0.3 * r, 0.13)
    length = min(0.6, 0.4 + 0.7 * r)
    knot = (x + 0.42 * r, y + 0.3 * tall)
    fringed_end(pen, tone, knot, (knot[0] + 0.22 * length, knot[1] + 0.78 * length), half)
    fringed_end(pen, tone, knot, (knot[0] - 0.1 * length, knot[1] + length), half)

    def band(grow: float, left: float = -1.0, right: float = 1.0) -> list[Point]:
        shares = np.linspace(left, right, 15)
        curve = [(x + wide * float(s), y + sag * (1.0 - 2.0 * float(s) ** 2) * 0.7, float(s)) for s in shares]
        top = [(a, b - tall * (0.5 - 0.1 * s * s) * grow) for a, b, s in curve]
        return top + [(a, b + tall * (0.5 - 0.1 * s * s) * grow) for a, b, s in reversed(curve)]

    edge = mix(tone.dark, tone.line, 0.35)
    pen.poly(band(1.0), edge)
    pen.line([*band(1.0), band(1.0)[0]], 0.04, edge)
    pen.poly(band(0.86), tone.base)
    for middle in (-0.72, -0.22, 0.8):
        pen.poly(band(0.86, middle - 0.1, middle + 0.1), stripe_of(tone))
    pen.oval(knot[0], knot[1], half * 1.25, tall * 0.5, edge, turn=0.2)
    pen.oval(knot[0] - 0.01, knot[1] - 0.01, half * 0.98, tall * 0.38, tone.base, turn=0.2)


def top_hat(pen: Pen, tone: Tone, x: float, y: float, brim: float, tall: float) -> None:
    """Draw a top hat whose brim, of half width `brim`, rests at (x, y)."""
    flat, half = brim * 0.17, brim * 0.62
    top, wider = y - tall + flat * 0.7, half * 1.1
    pen.oval(x, y + flat * 0.2, brim, flat, tone.line if max(tone.base) > 60 else tone.dark)
    pen.oval(x, y, brim, flat, tone.base)
    pen.oval(x, y, half * 1.04, flat * 0.66, tone.dark)

    def wall(low: float, high: float, left: float = -1.0, right: float = 1.0) -> list[Point]:
        edges: list[list[Point]] = []
        for share in (low, high):
            width, base = half + (wider - half) * share, y + (top - y) * share
            around = [(float(s), math.sqrt(max(1.0 - float(s) ** 2, 0.0))) for s in np.linspace(left, right, 17)]
            edges.append([(x + width * s, base + flat * 0.55 * d) for s, d in around])
        return edges[0] + edges[1][::-1]

    pen.poly(wall(0.0, 1.0), tone.base)
    pen.poly(wall(0.0, 1.0, 0.5, 1.0), tone.dark)
    pen.poly(wall(0.3, 0.95, -0.78, -0.55), tone.light)
    pen.poly(wall(0.02, 0.27), band_of(tone))
    pen.oval(x, top, wider, flat * 0.6, tone.dark)
    pen.oval(x, top - flat * 0.08, wider * 0.94, flat * 0.48, tone.light)


def hat_on(pen: Pen, tone: Tone, x: float, y: float, r: float) -> None:
    """Draw a top hat on a head: its brim rests at (x, y), where the head is 2r wide."""
    r = max(r, 0.2)
    top_hat(pen, tone, x, y, 1.25 * r, 1.1 * r)

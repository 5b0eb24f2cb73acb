"""Things that ride, roll and fly, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import math

import numpy as np

from clipgen.starter.world.features import WHITE
from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Colour, Pen, ellipse

TYRE: Colour = (46, 46, 52)
STEEL: Colour = (184, 190, 198)
GLASS: Colour = (186, 224, 242)
LEATHER: Colour = (116, 72, 42)
BRASS: Colour = (244, 202, 86)


def _beside(tone: Tone) -> Colour:
    """White, or a soft grey next to a white tone."""
    return WHITE if min(tone.base) < 225 else (158, 168, 186)


def _ring(pen: Pen, x: float, y: float, r: float, width: float, fill: Colour) -> None:
    rim = ellipse(x, y, r, r, corners=48)
    pen.line([*rim, *rim[:2]], width, fill)


def bicycle(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A bicycle from the side, with two big spoked wheels."""
    r, y = 0.4, 0.52
    low, turn = bool(rng.random() < 0.4), float(rng.uniform(0.0, 0.6))
    for x in (-0.55, 0.55):
        for k in range(6):
            dx, dy = r * math.cos(turn + k * math.pi / 6), r * math.sin(turn + k * math.pi / 6)
            pen.line([(x - dx, y - dy), (x + dx, y + dy)], 0.018, (150, 156, 164))
        _ring(pen, x, y, r, 0.075, TYRE)
        _ring(pen, x, y, r - 0.05, 0.025, STEEL)
        arc = [(x + (r + 0.07) * math.cos(a), y + (r + 0.07) * math.sin(a)) for a in np.linspace(-2.7, -0.9, 16)]
        pen.line(arc, 0.055, tone.dark)
    seat, head, crank = (-0.26, -0.16), (0.36, -0.2), (-0.08, y)
    bar = float(rng.uniform(-0.62, -0.5))
    pen.line([seat, (-0.33, -0.42)], 0.055, STEEL)
    pen.line([(0.3, bar + 0.05), head], 0.06, STEEL)
    pen.line([crank, (-0.55, y), seat], 0.075, tone.dark)
    if low:
        pen.line([head, (0.1, 0.16), (-0.17, 0.22)], 0.1, tone.base, curved=True)
    else:
        pen.line([seat, head], 0.1, tone.base)
    pen.line([seat, crank, head], 0.1, tone.base)
    pen.line([(0.32, bar + 0.22), head, (0.45, 0.12), (0.55, y)], 0.1, tone.base, curved=True)
    pen.blob([(-0.58, -0.5), (-0.3, -0.5), (-0.08, -0.44), (-0.25, -0.39), (-0.5, -0.36)], LEATHER)
    pen.line([(0.3, bar + 0.02), (0.42, bar - 0.02), (0.46, bar + 0.1)], 0.06, STEEL, curved=True)
    pen.line([(0.3, bar + 0.02), (0.1, bar - 0.02)], 0.085, LEATHER)
    if low:
        pen.poly([(0.48, -0.32), (0.96, -0.32), (0.88, -0.02), (0.55, -0.02)], (196, 146, 84))
        for k in range(3):
            pen.line([(0.53, -0.25 + 0.09 * k), (0.9, -0.25 + 0.09 * k)], 0.025, (132, 90, 46))
    pen.oval(crank[0], y, 0.11, 0.11, (90, 94, 102))
    pen.line([(-0.08, y), (0.04, y + 0.2)], 0.045, TYRE)
    pen.line([(-0.03, y + 0.21), (0.12, y + 0.21)], 0.05, TYRE)
    for x in (-0.55, 0.55):
        pen.oval(x, y, 0.06, 0.06, STEEL)


def _smoke(pen: Pen, x: float, y: float, drift: float) -> None:
    """Puffs that grow as they rise."""
    puffs = ((0.0, 0.0, 0.11), (0.16, -0.1, 0.15), (0.4, -0.16, 0.19), (0.7, -0.14, 0.22))
    for shade, lift in (((190, 196, 206), 0.03), ((238, 240, 244), 0.0)):
        for dx, dy, r in puffs:
            pen.oval(x + dx * drift, y + dy + lift, r, r, shade)


def _wheels(pen: Pen, tone: Tone, y: float) -> None:
    """A locomotive's driving wheels, its small front wheels and the rod."""
    hub = _beside(tone) if max(tone.base) < 60 else tone.base
    pen.box(-0.9, y - 0.2, 0.9, y - 0.08, (64, 64, 72))
    for x, r in ((-0.7, 0.14), (-0.36, 0.14), (0.05, 0.24), (0.58, 0.24)):
        low = 0.93 - r
        pen.oval(x, low, r, r, TYRE)
        pen.oval(x, low, r * 0.72, r * 0.72, hub)
        for k in range(4):
            dx, dy = (r * 0.7 * f(0.4 + k * math.pi / 4) for f in (math.cos, math.sin))
            pen.line([(x - dx, low - dy), (x + dx, low + dy)], 0.03, TYRE)
        pen.oval(x, low, r * 0.24, r * 0.24, BRASS)
    pen.line([(-0.42, 0.6), (0.05, 0.72), (0.58, 0.72)], 0.055, STEEL)
    pen.box(-0.6, 0.5, -0.3, 0.66, (92, 94, 104))


def train(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A steam locomotive from the side, with smoke over its chimney."""
    stack = float(rng.uniform(-0.62, -0.54))
    _smoke(pen, stack + 0.02, -0.6, float(rng.uniform(0.8, 1.2)))
    pen.line([(-0.98, 0.94), (0.98, 0.94)], 0.04, (104, 96, 92))
    pen.box(stack - 0.08, -0.4, stack + 0.08, -0.05, tone.line)
    if rng.random() < 0.5:
        pen.poly([(stack - 0.17, -0.56), (stack + 0.17, -0.56), (stack + 0.06, -0.2), (stack - 0.06, -0.2)], tone.line)
    pen.box(stack - 0.17, -0.58, stack + 0.17, -0.49, tone.dark)
    pen.oval(-0.16, -0.08, 0.14, 0.18, BRASS)
    pen.box(-0.8, -0.1, 0.4, 0.46, tone.base)
    pen.oval(-0.8, 0.18, 0.09, 0.28, tone.dark)
    pen.box(-0.8, 0.28, 0.4, 0.46, tone.dark)
    pen.box(-0.78, -0.04, 0.4, 0.05, tone.light)
    for x in (-0.72, -0.36, 0.0):
        pen.box(x, -0.1, x + 0.045, 0.46, BRASS)
    _wheels(pen, tone, 0.66)
    pen.poly([(-0.82, 0.5), (-0.82, 0.9), (-1.0, 0.9)], mix(tone.dark, tone.line, 0.4))
    pen.box(-0.95, 0.46, 0.95, 0.54, tone.line)
    pen.oval(-0.88, 0.02, 0.09, 0.1, tone.line)
    pen.oval(-0.91, 0.02, 0.065, 0.075, (255, 240, 160))
    pen.box(0.3, -0.42, 0.92, 0.48, tone.base)
    pen.box(0.78, -0.42, 0.92, 0.48, tone.dark)
    pen.box(0.39, -0.3, 0.74, 0.06, _beside(tone))
    pen.box(0.43, -0.26, 0.7, 0.02, (70, 92, 120))
    pen.poly([(0.2, -0.42), (0.3, -0.56), (0.92, -0.56), (1.0, -0.42)], tone.line)


def _airliner(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    belly, fin = mix(tone.dark, tone.base, 0.3), float(rng.uniform(-0.72, -0.6))
    pen.poly([(-0.05, -0.1), (0.2, -0.1), (-0.16, -0.46), (-0.3, -0.46)], tone.dark)
    pen.poly([(-0.9, -0.08), (-0.98, fin), (-0.76, fin), (-0.42, -0.08)], tone.dark)
    pen.poly([(-0.955, fin + 0.2), (-0.98, fin), (-0.76, fin), (-0.64, fin + 0.2)], _beside(tone))
    top = [(-0.97, -0.14), (-0.6, -0.2), (0.5, -0.22), (0.8, -0.14), (0.98, 0.06)]
    under = [(0.82, 0.2), (0.4, 0.26), (-0.3, 0.24), (-0.7, 0.08)]
    pen.blob([*top, *under], tone.base)
    pen.blob([(0.98, 0.07), *under, (-0.9, -0.06), (-0.3, 0.1), (0.4, 0.12)], belly)
    pane = (60, 80, 108) if sum(tone.base) > 480 else GLASS
    pen.poly([(0.62, -0.16), (0.76, -0.12), (0.86, -0.02), (0.66, -0.02)], pane)
    for x in np.linspace(-0.5, 0.5, 8):
        pen.oval(float(x), -0.06, 0.042, 0.055, pane)
    pen.poly([(-0.74, -0.04), (-0.52, -0.04), (-0.84, 0.16), (-0.98, 0.16)], tone.line)
    pen.oval(0.1, 0.36, 0.17, 0.1, mix(tone.dark, tone.line, 0.5))
    pen.oval(0.24, 0.36, 0.05, 0.09, STEEL)
    pen.poly([(-0.16, 0.1), (0.26, 0.1), (-0.36, 0.66), (-0.56, 0.66)], tone.line)
    pen.poly([(-0.13, 0.1), (0.26, 0.1), (-0.37, 0.61), (-0.54, 0.61)], _beside(tone))


def _propeller_plane(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    turn = float(rng.uniform(-0.25, 0.25))
    pen.poly([(-0.92, 0.0), (-0.98, -0.5), (-0.82, -0.54), (-0.55, -0.06)], tone.dark)
    pen.oval(0.2, -0.22, 0.3, 0.24, WHITE)
    pen.oval(0.2, -0.22, 0.26, 0.2, (120, 186, 222))
    pen.line([(0.2, -0.44), (0.2, -0.1)], 0.035, WHITE)
    for top, x, y, r in ((0.25, 0.5, 0.56, 0.16), (0.0, -0.78, 0.24, 0.08)):
        pen.line([(x - 0.1, top), (x, y)], 0.06, (90, 94, 102))
        pen.oval(x, y, r, r, TYRE)
        pen.oval(x, y, r * 0.42, r * 0.42, STEEL)
    pen.blob(
        [(-0.97, -0.06), (-0.4, -0.14), (0.5, -0.2), (0.8, -0.14), (0.8, 0.22), (0.4, 0.34), (-0.3, 0.2)], tone.base
    )
    pen.blob([(-0.9, -0.02), (-0.2, 0.1), (0.84, 0.12), (0.7, 0.28), (0.4, 0.34), (-0.3, 0.2)], tone.dark)
    pen.poly([(0.62, -0.2), (0.74, -0.18), (0.74, 0.26), (0.62, 0.3)], _beside(tone))
    pen.poly([(-0.94, -0.04), (-0.6, -0.04), (-0.72, 0.1), (-0.98, 0.1)], tone.line)
    pen.blob([(0.42, 0.02), (0.36, 0.16), (-0.3, 0.46), (-0.5, 0.44), (-0.42, 0.32), (0.0, 0.06)], tone.line)
    pen.blob([(0.4, 0.02), (0.33, 0.13), (-0.3, 0.42), (-0.46, 0.4), (-0.4, 0.31), (0.0, 0.05)], tone.light)
    pen.poly([(-0.18, 0.2), (-0.06, 0.12), (0.02, 0.28), (-0.12, 0.34)], _beside(tone))
    for way in (-1, 1):
        pen.oval(0.9 + way * 0.24 * math.sin(turn), 0.03 - way * 0.26, 0.06, 0.27, LEATHER, turn=way * turn)
    pen.oval(0.88, 0.03, 0.1, 0.1, BRASS)


def plane(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An airliner or a small propeller plane from the side."""
    if rng.random() < 0.5:
        _airliner(pen, tone, rng)
    else:
        _propeller_plane(pen, tone, rng)


def rocket(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """An upright rocket with a pointed nose, fins, a porthole and its flame."""
    wide, flame = float(rng.uniform(0.31, 0.38)), float(rng.uniform(0.9, 1.0))
    for share, fill in ((1.0, (246, 120, 36)), (0.7, (255, 200, 60)), (0.4, (255, 246, 190))):
        w, y = 0.27 * share, 0.46 + (flame - 0.46) * share
        pen.blob([(-w * 0.85, 0.48), (w * 0.85, 0.48), (w, 0.62), (w * 0.08, y), (-w * 0.08, y), (-w, 0.62)], fill)
    fin = mix(tone.dark, tone.line, 0.3)
    for side in (-1, 1):
        pen.poly([(side * 0.2, -0.02), (side * 0.66, 0.38), (side * 0.7, 0.78), (side * 0.2, 0.46)], fin)
    pen.poly([(-0.2, 0.44), (0.2, 0.44), (0.25, 0.55), (-0.25, 0.55)], (84, 88, 98))

    def half(y: float) -> float:
        share = (y + 1.0) / 1.48
        swell = math.pow(math.sin(math.pi / 2 * min(1.0, share / 0.55)), 0.9)
        return wide * (swell - 0.9 * math.pow(max(0.0, share - 0.55), 1.5))

    def strip(top: float, foot: float, left: float, right: float, fill: Colour) -> None:
        ys = [float(y) for y in np.linspace(top, foot, 24)]
        pen.poly([(left * half(y), y) for y in ys] + [(right * half(y), y) for y in reversed(ys)], fill)

    strip(-1.0, 0.48, -1.0, 1.0, tone.base)
    strip(-1.0, 0.48, 0.4, 1.0, tone.dark)
    strip(-0.7, 0.46, -0.82, -0.52, tone.light)
    nose = float(rng.uniform(-0.56, -0.48))
    strip(-1.0, nose, -1.0, 1.0, _beside(tone))
    strip(-1.0, nose, 0.4, 1.0, mix(_beside(tone), (70, 80, 110), 0.25))
    strip(0.3, 0.38, -1.0, 1.0, _beside(tone))
    for y, r in ((-0.24, 0.18), (0.12, 0.11)) if rng.random() < 0.5 else ((-0.14, 0.2),):
        pen.oval(0.0, y, r, r, (84, 88, 98))
        pen.oval(0.0, y, r * 0.78, r * 0.78, (120, 190, 228))
        pen.oval(-r * 0.25, y - r * 0.28, r * 0.25, r * 0.2, WHITE)
    pen.poly([(-0.05, 0.26), (0.05, 0.26), (0.05, 0.64), (0.0, 0.72), (-0.05, 0.64)], fin)

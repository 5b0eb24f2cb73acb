"""Toys and things to dress up with, drawn in their own frame [-1, 1]: x right, y down."""

from __future__ import annotations

import itertools
import math

import numpy as np

from clipgen.starter.world.features import BLACK, WHITE
from clipgen.starter.world.palette import Tone, mix
from clipgen.starter.world.pen import Colour, Pen, Point
from clipgen.starter.world.wear import band_of, fringed_end, stripe_of, top_hat

CARROT: Colour = (244, 128, 32)
TWIG: Colour = (104, 70, 42)
METAL: Colour = (150, 156, 168)
LAMP: Colour = (255, 214, 80)
JEWELS: tuple[Colour, ...] = ((214, 36, 60), (40, 110, 220), (38, 168, 92))


def cube(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A cube with its front, its top and one side in sight."""
    deep, rise = float(rng.uniform(0.42, 0.55)), float(rng.uniform(0.4, 0.5))
    side = -1.0 if rng.random() < 0.5 else 1.0
    left, right, top, foot = -0.96, 0.96 - deep, -0.96 + rise, 0.96
    front = [(side * a, b) for a, b in ((left, top), (right, top), (right, foot), (left, foot))]
    lid = [(side * a, b) for a, b in ((left, top), (left + deep, -0.96), (0.96, -0.96), (right, top))]
    wall = [(side * a, b) for a, b in ((right, top), (0.96, -0.96), (0.96, foot - rise), (right, foot))]
    for face, fill in ((front, tone.base), (lid, tone.light), (wall, tone.dark)):
        pen.poly(face, fill)
    edge = mix(tone.base, tone.line, 0.45)
    for face in (front, lid, wall):
        pen.line([*face, face[0]], 0.035, edge)


def _meridian(tilt: float, lean: float, longitude: float) -> list[Point]:
    """The visible part of a line from the pole of a ball that is tilted to the viewer."""
    points = []
    for t in np.linspace(0.0, math.pi, 60):
        x, up, z = (
            math.sin(float(t)) * math.cos(longitude),
            math.cos(float(t)),
            math.sin(float(t)) * math.sin(longitude),
        )
        up, z = up * math.cos(tilt) - z * math.sin(tilt), up * math.sin(tilt) + z * math.cos(tilt)
        if z < -0.02:
            break
        x, y = x * math.cos(lean) + up * math.sin(lean), x * math.sin(lean) - up * math.cos(lean)
        points.append((x, y))
    return points


def ball(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A beach ball with segments around a button."""
    tilt, lean = float(rng.uniform(0.75, 1.0)), float(rng.uniform(-0.6, 0.6))
    turn = float(rng.uniform(0.0, math.pi))
    pale = tone.dark if min(tone.base) > 215 else mix(stripe_of(tone), (255, 255, 255), 0.45)
    pen.oval(0.0, 0.0, 0.97, 0.97, mix(tone.dark, tone.line, 0.3))
    for k in range(6):
        lines = [_meridian(tilt, lean, turn + (k + j / 6) * math.pi / 3) for j in range(7)]
        outline = lines[0] + [way[-1] for way in lines[1:-1]] + lines[-1][::-1]
        pen.poly([(a * 0.92, b * 0.92) for a, b in outline], pale if k % 2 else tone.base)
    x, y = math.sin(lean) * math.cos(tilt) * 0.92, -math.cos(lean) * math.cos(tilt) * 0.92
    pen.oval(x, y, 0.16, 0.14, tone.dark, turn=lean)
    pen.oval(x, y, 0.1, 0.085, tone.light, turn=lean)


def _robot_body(pen: Pen, tone: Tone, half: float) -> None:
    """The neck, arms, legs and trunk of a robot."""
    pen.box(-0.22, -0.2, 0.22, 0.0, METAL)
    for y in (-0.12, -0.05):
        pen.line([(-0.2, y), (0.2, y)], 0.025, mix(METAL, BLACK, 0.4))
    for side in (-1, 1):
        hand = (side * (half + 0.26), 0.42)
        pen.line([(side * half, 0.06), (side * (half + 0.22), 0.12), hand], 0.13, METAL)
        pen.oval(hand[0], hand[1] + 0.05, 0.13, 0.13, tone.dark)
        pen.poly([(hand[0] - 0.06, 0.62), (hand[0], 0.44), (hand[0] + 0.06, 0.62)], METAL)
        pen.box(side * 0.26 - 0.09, 0.6, side * 0.26 + 0.09, 0.86, METAL)
        pen.box(side * 0.28 - 0.19, 0.8, side * 0.28 + 0.19, 0.95, tone.dark)
    pen.box(-half - 0.03, -0.05, half + 0.03, 0.68, mix(tone.base, tone.line, 0.55))
    pen.box(-half + 0.01, -0.01, half - 0.01, 0.64, tone.base)
    pen.box(half - 0.13, -0.01, half - 0.01, 0.64, tone.dark)
    pen.box(-half + 0.12, 0.2, half - 0.2, 0.54, tone.light)
    for k, lamp in enumerate(((226, 60, 52), LAMP, (70, 180, 90))):
        pen.oval(-half + 0.24 + k * (half * 2 - 0.56) / 2, 0.37, 0.065, 0.065, lamp)


def robot(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A robot with a box for a head, an antenna, lamps and jointed arms."""
    half, body = float(rng.uniform(0.46, 0.54)), float(rng.uniform(0.46, 0.54))
    _robot_body(pen, tone, body)
    edge = mix(tone.base, tone.line, 0.55)
    pen.line([(0.0, -0.7), (0.0, -0.88)], 0.06, METAL)
    pen.oval(0.0, -0.89, 0.09, 0.09, (230, 64, 54))
    for side in (-1, 1):
        pen.box(side * half - 0.09, -0.55, side * half + 0.09, -0.32, METAL)
    pen.box(-half - 0.03, -0.73, half + 0.03, -0.15, edge)
    pen.box(-half + 0.01, -0.69, half - 0.01, -0.19, tone.base)
    pen.box(-half + 0.01, -0.69, half - 0.01, -0.61, tone.light)
    square = rng.random() < 0.5
    for side in (-1, 1):
        x = side * 0.22
        if square:
            pen.box(x - 0.14, -0.6, x + 0.14, -0.37, BLACK)
            pen.box(x - 0.1, -0.57, x + 0.1, -0.4, (150, 236, 250))
        else:
            pen.oval(x, -0.49, 0.14, 0.14, BLACK)
            pen.oval(x, -0.49, 0.1, 0.1, LAMP)
        pen.oval(x, -0.48, 0.045, 0.045, BLACK)
    pen.box(-0.24, -0.32, 0.24, -0.22, BLACK)
    for k in range(4):
        pen.box(-0.21 + k * 0.11, -0.3, -0.13 + k * 0.11, -0.24, WHITE)
    pen.mark("neck", 0.0, -0.1, 0.26)
    pen.mark("head", 0.0, -0.75, half * 0.9)


def _snowball(pen: Pen, tone: Tone, y: float, r: float) -> None:
    rim = mix(tone.dark, tone.line, 0.25)
    pen.oval(0.0, y, r * 1.06, r, rim)
    pen.oval(0.0, y, r * 1.06 - 0.025, r - 0.025, tone.dark)
    pen.oval(-0.09 * r, y - 0.07 * r, r * 0.93, r * 0.88, tone.base)
    pen.oval(-0.42 * r, y - 0.4 * r, r * 0.22, r * 0.15, tone.light, turn=-0.6)


def _snow_face(pen: Pen, tone: Tone, y: float, r: float, coal: Colour) -> None:
    """The coal eyes, the carrot and the smile of a snowman's head of radius r at height y."""
    for side in (-1, 1):
        pen.oval(side * 0.36 * r, y - 0.26 * r, 0.15 * r, 0.17 * r, coal)
        pen.oval(side * 0.36 * r, y - 0.26 * r, 0.08 * r, 0.09 * r, BLACK)
    for k in range(5):
        angle = (k - 2) * 0.42
        pen.oval(math.sin(angle) * 0.56 * r, y + 0.1 * r + math.cos(angle) * 0.5 * r, 0.07 * r, 0.07 * r, coal)
    near = sum(abs(a - b) for a, b in zip(tone.base, CARROT, strict=True)) < 110
    carrot = mix(CARROT, (255, 240, 190), 0.6) if near else CARROT
    tip, root = (0.95 * r, y + 0.14 * r), -0.06 * r
    pen.poly([(root - 0.06 * r, y - 0.18 * r), (tip[0] + 0.14 * r, tip[1]), (root - 0.06 * r, y + 0.3 * r)], tone.line)
    pen.poly([(root, y - 0.1 * r), tip, (root, y + 0.22 * r)], carrot)


def snowman(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A snowman of two or three balls with a carrot for a nose, coal buttons and arms of twigs."""
    red, green, blue = tone.base
    coal = BLACK if 0.3 * red + 0.59 * green + 0.11 * blue > 95 else WHITE
    if rng.random() < 0.5:
        r, low = float(rng.uniform(0.38, 0.42)), 0.6
        balls = [(0.95 - low, low), (-0.93 + r, r)]
        shoulder, buttons = 0.12, (0.2, 0.42, 0.64)
    else:
        r, low = float(rng.uniform(0.3, 0.33)), 0.47
        balls = [(0.95 - low, low), (-0.02, 0.39), (-0.93 + r, r)]
        shoulder, buttons = -0.08, (-0.06, 0.14, 0.45)
    lift = float(rng.uniform(0.2, 0.45))
    for side in (-1, 1):
        hand = (side * 0.93, shoulder - lift)
        wrist = (side * 0.8, shoulder - lift * 0.7)
        pen.line([(side * 0.3, shoulder + 0.06), wrist, hand], 0.06, TWIG)
        pen.line([wrist, (side * 0.96, shoulder - lift * 0.55)], 0.05, TWIG)
        pen.line([wrist, (side * 0.8, shoulder - lift - 0.12)], 0.05, TWIG)
    for y, size in balls:
        _snowball(pen, tone, y, size)
    for y in buttons:
        pen.oval(0.0, y, 0.052, 0.052, coal)
    head = balls[-1][0]
    _snow_face(pen, tone, head, r, coal)
    pen.mark("neck", 0.0, head + r * 0.86, r * 0.74)
    pen.mark("head", 0.0, head - r * 0.66, r * 0.82)


def crown(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A crown with five points and jewels."""
    side, inner = float(rng.uniform(-0.55, -0.42)), float(rng.uniform(0.08, 0.2))
    tips: list[Point] = [(-0.9, side), (-0.48, side - 0.18), (0.0, -0.8), (0.48, side - 0.18), (0.9, side)]
    pen.oval(0.0, 0.3, 0.74, 0.16, tone.line)
    outline: list[Point] = [(-0.76, 0.8)]
    for here, after in itertools.pairwise(tips):
        outline += [here, ((here[0] + after[0]) / 2, inner)]
    outline += [tips[-1], (0.76, 0.8)]
    curve = [
        (float(a), 0.8 + 0.14 * math.sqrt(max(1 - (float(a) / 0.76) ** 2, 0.0))) for a in np.linspace(0.76, -0.76, 15)
    ]
    pen.poly(outline + curve, tone.base)
    for x, y in tips[2:]:
        pen.poly([(x, y), (x + 0.14 * (1.2 - x), inner + 0.25), (x * 0.84, 0.6)], tone.dark)
    pen.line([*outline, *curve, outline[0]], 0.045, mix(tone.base, tone.line, 0.55))
    low = [(a, b - 0.07) for a, b in curve]
    pen.line(low, 0.14, tone.dark)
    pen.line([(a, b - 0.28) for a, b in curve], 0.07, tone.light)
    for x, y in tips:
        pen.oval(x, y, 0.11, 0.11, mix(tone.base, tone.line, 0.55))
        pen.oval(x - 0.01, y - 0.01, 0.085, 0.085, tone.light)
    first = int(rng.integers(3))
    for k, x in enumerate((-0.46, 0.0, 0.46)):
        y, jewel = 0.63 + 0.1 * math.sqrt(1 - (x / 0.76) ** 2), JEWELS[(first + k) % 3]
        pen.oval(x, y, 0.14, 0.14, WHITE)
        pen.oval(x, y, 0.11, 0.11, jewel)
        pen.oval(x - 0.035, y - 0.04, 0.03, 0.03, WHITE)


def _wide_hat(pen: Pen, tone: Tone, bulge: float) -> None:
    """A sun hat with a wide, wavy brim and a round top."""
    pen.blob(
        [(-0.98, 0.42), (-0.5, 0.3), (0.5, 0.3), (0.98, 0.42), (0.62, 0.72), (0.0, 0.82), (-0.62, 0.72)], tone.dark
    )
    pen.blob(
        [(-0.97, 0.38), (-0.5, 0.26), (0.5, 0.26), (0.97, 0.38), (0.62, 0.64), (0.0, 0.73), (-0.62, 0.64)], tone.base
    )
    top = -0.52 - bulge
    pen.blob(
        [
            (-0.54, 0.46),
            (-0.5, -0.1),
            (-0.32, top),
            (0.0, top - 0.06),
            (0.32, top),
            (0.5, -0.1),
            (0.54, 0.46),
            (0.0, 0.56),
        ],
        tone.base,
    )
    pen.blob([(0.26, 0.5), (0.34, -0.1), (0.2, top + 0.03), (0.36, top + 0.06), (0.5, -0.1), (0.54, 0.46)], tone.dark)
    pen.oval(-0.28, -0.28, 0.07, 0.2, tone.light, turn=0.2)
    front = [(-0.54, 0.2), (-0.25, 0.28), (0.0, 0.3), (0.25, 0.28), (0.54, 0.2)]
    low = [(0.55, 0.44), (0.25, 0.53), (0.0, 0.55), (-0.25, 0.53), (-0.55, 0.44)]
    pen.poly(front + low, band_of(tone))


def hat(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A top hat or a hat with a wide brim, with a band."""
    if rng.random() < 0.5:
        top_hat(pen, tone, 0.0, 0.72, 0.96, float(rng.uniform(1.4, 1.6)))
    else:
        _wide_hat(pen, tone, float(rng.uniform(0.05, 0.25)))


def scarf(pen: Pen, tone: Tone, rng: np.random.Generator) -> None:
    """A knitted scarf by itself: a loop with two striped, fringed ends."""
    apart = float(rng.uniform(0.28, 0.4))
    pale = stripe_of(tone)
    angles = np.linspace(0.0, 2 * math.pi, 49)

    def loop(grow: float) -> list[Point]:
        return [(0.66 * grow * math.sin(float(a)), -0.5 + 0.29 * grow * math.cos(float(a))) for a in angles]

    edge = mix(tone.dark, tone.line, 0.3)
    pen.line(loop(1.0), 0.34, edge)
    pen.line(loop(1.0), 0.28, tone.base)
    for k in range(3, 46, 6):
        (x0, y0), (x1, y1) = loop(0.86 if 12 < k < 36 else 0.8)[k], loop(1.16)[k]
        pen.line([(x0, y0), (x1, y1)], 0.085, pale)
    fringed_end(pen, tone, (0.1, -0.15), (apart + 0.14, 0.8), 0.19, stripes=3)
    fringed_end(pen, tone, (-0.04, -0.15), (-apart, 0.95), 0.19, stripes=3)
    pen.oval(0.02, -0.2, 0.27, 0.23, edge)
    pen.oval(0.01, -0.21, 0.235, 0.195, tone.base)
    for x in (-0.09, 0.1):
        pen.line([(x, -0.34), (x * 1.2, -0.08)], 0.05, tone.dark)

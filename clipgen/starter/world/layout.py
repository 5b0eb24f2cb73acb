"""Where the things of a picture stand, and how large they are: one, several, or two that have to do with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clipgen.starter import words
from clipgen.starter.grammar import Truth
from clipgen.starter.world import food, shapes, wear
from clipgen.starter.world.palette import Tone
from clipgen.starter.world.pen import Pen, Point
from clipgen.starter.world.subjects import SUBJECTS

MADE = {
    "armchair": shapes.armchair_of,
    "teapot": shapes.teapot_of,
    "clock": shapes.clock_of,
    "lamp": shapes.lamp_of,
}
SHAPES = {**{name: SUBJECTS[name] for name in words.SHAPES}, "avocado": food.half_avocado}
BARE = {"scarf": "no scarf", "hat": "no hat"}
"""What to wear in place of clothes to be drawn just the same, but without them."""
CLOTHES = {
    "scarf": (wear.scarf_on, "neck"),
    "hat": (wear.hat_on, "head"),
    "no scarf": (wear.nothing_on, "neck"),
    "no hat": (wear.nothing_on, "head"),
}
"""What is put on and where."""
SCALES = {"small": (0.2, 0.26), None: (0.31, 0.46), "big": (0.48, 0.55)}
HATTED = (0.3, 0.37)
"""Less than of others: a hat needs room."""
ROWS: dict[str, list[tuple[Sequence[Point], float]]] = {
    "2": [([(0.27, 0.55), (0.73, 0.55)], 0.235)],
    "3": [
        ([(0.18, 0.55), (0.5, 0.55), (0.82, 0.55)], 0.165),
        ([(0.28, 0.3), (0.72, 0.3), (0.5, 0.74)], 0.215),
        ([(0.5, 0.28), (0.27, 0.73), (0.73, 0.73)], 0.215),
    ],
}
"""Ways of setting out so many things: their centres, and half of a thing's side."""


@dataclass(frozen=True)
class Figure:
    """A thing at its place: centre in the unit square, scale as a share of the picture's side."""

    paint: Callable[[Pen], None]
    centre: Point
    scale: float
    turn: float = 0.0
    mirror: bool = False

    def pen(self, size: int) -> Pen:
        """A pen for a picture of that size, with the thing drawn."""
        pen = Pen(size, self.centre, self.scale, self.turn, self.mirror)
        self.paint(pen)
        return pen


def figures(truth: Truth, shade: Callable[[str | None], Tone], rng: np.random.Generator) -> list[Figure]:
    """The things of a picture, those behind first; `shade` gives a tone of a colour's name."""

    def thing(noun: str, colour: str | None) -> Callable[[Pen], None]:
        tone, seed = shade(colour), int(rng.integers(2**31))
        return lambda pen: SUBJECTS[noun](pen, tone, np.random.default_rng(seed))

    if truth.relation in ("next to", "on"):
        first, second = thing(truth.noun, truth.colour), thing(str(truth.other), truth.other_colour)
        return _beside(first, second, rng) if truth.relation == "next to" else _stacked(first, second, rng)
    if truth.count in ROWS:
        return _row(truth, lambda: thing(truth.noun, truth.colour), rng)
    paint = _joined(truth, thing(truth.noun, truth.colour), shade, rng) if truth.relation else None
    return [_single(truth, paint or thing(truth.noun, truth.colour), rng)]


def _single(truth: Truth, paint: Callable[[Pen], None], rng: np.random.Generator) -> Figure:
    hatted = truth.other in ("hat", BARE["hat"])
    scale = float(rng.uniform(*(HATTED if hatted else SCALES[truth.size])))
    low = 0.56 if truth.place or hatted else 0.5
    room = max(0.02, 0.5 - scale)
    centre = (0.5 + float(rng.uniform(-room, room)), low + float(rng.uniform(-room, room)) * 0.8)
    return Figure(paint, centre, scale, turn=float(rng.normal(0, 0.09)), mirror=bool(rng.random() < 0.5))


def _joined(
    truth: Truth, paint: Callable[[Pen], None], shade: Callable[[str | None], Tone], rng: np.random.Generator
) -> Callable[[Pen], None]:
    """One thing with another on it, or in the shape of another."""
    other, seed = str(truth.other), int(rng.integers(2**31))
    if truth.relation == "in the shape of":
        tone = shade(truth.colour)
        return lambda pen: MADE[truth.noun](pen, tone, np.random.default_rng(seed), SHAPES[other])
    put_on, where = CLOTHES[other]
    tone = shade(truth.other_colour)

    def dressed(pen: Pen) -> None:
        paint(pen)
        put_on(pen, tone, *pen.marks[where])

    return dressed


def _row(truth: Truth, thing: Callable[[], Callable[[Pen], None]], rng: np.random.Generator) -> list[Figure]:
    ways = ROWS[str(truth.count)]
    centres, scale = ways[int(rng.integers(len(ways)))]
    spread = 0.03
    return [
        Figure(
            thing(),
            (x + float(rng.uniform(-spread, spread)), y + float(rng.uniform(-0.06, 0.06))),
            scale * float(rng.uniform(0.9, 1.05)),
            turn=float(rng.normal(0, 0.07)),
            mirror=bool(rng.random() < 0.5),
        )
        for x, y in centres
    ]


def _beside(first: Callable[[Pen], None], second: Callable[[Pen], None], rng: np.random.Generator) -> list[Figure]:
    pair = [first, second] if rng.random() < 0.5 else [second, first]
    ground = float(rng.uniform(0.7, 0.88))
    found = []
    for paint, x in zip(pair, (0.27, 0.73), strict=True):
        scale = float(rng.uniform(0.215, 0.265))
        found.append(Figure(paint, (x, ground - scale), scale, mirror=bool(rng.random() < 0.5)))
    return found


def _stacked(above: Callable[[Pen], None], below: Callable[[Pen], None], rng: np.random.Generator) -> list[Figure]:
    """One thing standing on another: their extents, measured, touch."""
    x, foot = 0.5 + float(rng.uniform(-0.12, 0.12)), float(rng.uniform(0.9, 0.96))
    low, high = float(rng.uniform(0.23, 0.28)), float(rng.uniform(0.18, 0.225))
    lower_top, lower_foot, lower_x = _extent(below)
    _, upper_foot, upper_x = _extent(above)
    y = foot - lower_foot * low
    touch = y + lower_top * low + 0.03
    return [
        Figure(below, (x, y), low),
        Figure(above, (x + lower_x * low - upper_x * high, touch - upper_foot * high), high),
    ]


def _extent(paint: Callable[[Pen], None], size: int = 64) -> tuple[float, float, float]:
    """Top and foot of a thing in its own frame, and the middle of its highest part for what stands on it."""
    cover = Figure(paint, (0.5, 0.5), 0.4).pen(size).layer()[1] > 0.5
    rows = np.flatnonzero(cover.any(1))
    top = np.flatnonzero(cover[rows[0] : rows[0] + size // 16].any(0))
    frame = (np.array([rows[0], rows[-1] + 1, top.mean() + 0.5]) / size - 0.5) / 0.4
    return float(frame[0]), float(frame[1]), float(frame[2])

"""Draws a picture of which a `Truth` holds: background, subject, light, style."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from clipgen.starter.grammar import Truth
from clipgen.starter.world import animals, people, places, plants, scenes, things
from clipgen.starter.world.palette import RANGES, Tone, mix, pick, tone
from clipgen.starter.world.pen import Pen
from clipgen.starter.world.styles import STYLES

Subject = Callable[[Pen, Tone, np.random.Generator], None]
Place = Callable[[Pen, str, np.random.Generator], None]

SUBJECTS: dict[str, Subject] = {
    "cat": animals.cat,
    "dog": animals.dog,
    "bird": animals.bird,
    "fish": animals.fish,
    "butterfly": animals.butterfly,
    "rabbit": animals.rabbit,
    "face": people.face,
    "tree": plants.tree,
    "flower": plants.flower,
    "house": things.house,
    "car": things.car,
    "boat": things.boat,
    "apple": things.apple,
    "teapot": things.teapot,
    "star": things.star,
    "heart": things.heart,
    "mushroom": things.mushroom,
    "umbrella": things.umbrella,
    "balloon": things.balloon,
}
SCENES: dict[str, Place] = {
    "city": scenes.city,
    "mountains": scenes.mountains,
    "sea": scenes.sea,
    "forest": scenes.forest,
    "desert": scenes.desert,
    "volcano": scenes.volcano,
}
PLACES: dict[str, Place] = {"meadow": places.meadow, "beach": places.beach, "water": places.open_water}
TINTS = {"day": 0.0, "sunset": 0.13, "night": 0.24}


def draw(truth: Truth, rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """An 8-bit RGB picture (size, size, 3) of which the truth holds; the same rng state draws the same picture."""
    time = truth.time or str(rng.choice(["day", "sunset", "night"]))
    if truth.noun in SCENES:
        pen = Pen(size, centre=(0.0, 0.0), scale=1.0, mirror=False)
        SCENES[truth.noun](pen, time, rng)
        picture = pen.layer()[0]
    else:
        picture = _background(truth, time, rng, size)
        picture = _with_subject(picture, truth, time, rng, size)
    if truth.style is not None:
        picture = STYLES[truth.style](picture, rng)
    pixels: np.ndarray = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels


def _background(truth: Truth, time: str, rng: np.random.Generator, size: int) -> np.ndarray:
    if truth.place is not None:
        pen = Pen(size, centre=(0.0, 0.0), scale=1.0)
        PLACES[truth.place](pen, time, rng)
        return pen.layer()[0]
    name = "black" if truth.style == "neon" else truth.backdrop or str(rng.choice(["white", "grey", "yellow"]))
    base = np.array(pick(RANGES[name], rng), dtype=np.float32) / 255.0
    falloff = float(rng.uniform(0.0, 0.12)) * np.linspace(-1, 1, size, dtype=np.float32)
    return np.clip(base[None, None, :] * (1 - falloff)[:, None, None], 0, 1) * np.ones((1, size, 1), dtype=np.float32)


def _with_subject(picture: np.ndarray, truth: Truth, time: str, rng: np.random.Generator, size: int) -> np.ndarray:
    scale = float(rng.uniform(0.31, 0.47))
    low = 0.56 if truth.place else 0.5
    room = max(0.02, 0.5 - scale)
    centre = (0.5 + float(rng.uniform(-room, room)), low + float(rng.uniform(-room, room)) * 0.8)
    pen = Pen(size, centre, scale, turn=float(rng.normal(0, 0.09)), mirror=bool(rng.random() < 0.5))
    shades = tone(truth.colour, rng)
    if truth.place:
        light, share = places.LIGHTS[time], TINTS[time]
        shades = Tone(*(mix(shade, light, share) for shade in (shades.base, shades.dark, shades.light, shades.line)))
    SUBJECTS[truth.noun](pen, shades, rng)
    colour, mask = pen.layer()
    picture = picture * (1 - 0.3 * _shadow(mask, size)[..., None])
    angle = float(rng.uniform(-1.2, 1.2))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    shade = 1 + 0.13 * (np.sin(angle) * x - np.cos(angle) * y)
    colour = np.clip(colour * shade[..., None], 0, 1)
    painted: np.ndarray = picture * (1 - mask[..., None]) + colour * mask[..., None]
    return painted


def _shadow(mask: np.ndarray, size: int) -> np.ndarray:
    """A soft shadow a little below and beside the subject."""
    cover = Image.fromarray((mask * 255).astype(np.uint8))
    soft = np.asarray(cover.filter(ImageFilter.GaussianBlur(size / 40)), dtype=np.float32) / 255.0
    step = max(1, size // 40)
    return np.roll(soft, (step, step // 2), (0, 1))

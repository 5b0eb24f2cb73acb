"""Draws a picture of which a `Truth` holds: background, things, light, weather, style."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from clipgen.starter.grammar import Truth
from clipgen.starter.world import places, weather
from clipgen.starter.world.layout import figures
from clipgen.starter.world.palette import RANGES, Tone, mix, pick, tone
from clipgen.starter.world.pen import Pen
from clipgen.starter.world.styles import STYLES
from clipgen.starter.world.subjects import SCENES, Scene

PLACES: dict[str, Scene] = {"meadow": places.meadow, "beach": places.beach, "water": places.open_water}
TINTS = {"day": 0.0, "sunset": 0.13, "night": 0.24}


def draw(truth: Truth, rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """An 8-bit RGB picture (size, size, 3) of which the truth holds; the same rng state draws the same picture."""
    time = truth.time or str(rng.choice(["day", "sunset", "night"]))
    picture = _background(truth, time, rng, size)
    if truth.noun not in SCENES:
        picture = _with_things(picture, truth, time, rng)
    if truth.weather == "snow":
        picture = weather.snowfall(picture, rng)
    elif truth.weather == "fog":
        picture = weather.fog(picture, time, rng)
    if truth.style is not None:
        picture = STYLES[truth.style](picture, rng)
    pixels: np.ndarray = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels


def _background(truth: Truth, time: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """A scene, a place or a plain ground."""
    scene = SCENES.get(truth.noun) or (PLACES[truth.place] if truth.place else None)
    if scene:
        pen = Pen(size, centre=(0.0, 0.0), scale=1.0)
        scene(pen, time, rng)
        picture = pen.layer()[0]
        start = (0.78, 0.86) if truth.noun in SCENES else (0.62, 0.75)
        return weather.snow_ground(picture, time, rng, start) if truth.weather == "snow" else picture
    name = "black" if truth.style == "neon" else truth.backdrop or str(rng.choice(["white", "grey", "yellow"]))
    base = np.array(pick(RANGES[name], rng), dtype=np.float32) / 255.0
    falloff = float(rng.uniform(0.0, 0.12)) * np.linspace(-1, 1, size, dtype=np.float32)
    return np.clip(base[None, None, :] * (1 - falloff)[:, None, None], 0, 1) * np.ones((1, size, 1), dtype=np.float32)


def _with_things(picture: np.ndarray, truth: Truth, time: str, rng: np.random.Generator) -> np.ndarray:
    """The picture with its things before it, under one light, each with its shadow."""

    def shade(name: str | None) -> Tone:
        shades = tone(name, rng)
        if not truth.place:
            return shades
        light, share = places.LIGHTS[time], TINTS[time]
        return Tone(*(mix(each, light, share) for each in (shades.base, shades.dark, shades.light, shades.line)))

    size, angle = len(picture), float(rng.uniform(-1.2, 1.2))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    light = (1 + 0.13 * (np.sin(angle) * x - np.cos(angle) * y))[..., None]
    for figure in figures(truth, shade, rng):
        colour, mask = figure.pen(size).layer()
        picture = picture * (1 - 0.3 * _shadow(mask, size)[..., None])
        picture = picture * (1 - mask[..., None]) + np.clip(colour * light, 0, 1) * mask[..., None]
    return picture


def _shadow(mask: np.ndarray, size: int) -> np.ndarray:
    """A soft shadow a little below and beside the thing."""
    cover = Image.fromarray((mask * 255).astype(np.uint8))
    soft = np.asarray(cover.filter(ImageFilter.GaussianBlur(size / 40)), dtype=np.float32) / 255.0
    step = max(1, size // 40)
    return np.roll(soft, (step, step // 2), (0, 1))

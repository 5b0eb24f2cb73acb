"""Weather laid over a drawn picture: snow on the ground, falling snow and fog, at any size."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from clipgen.starter.world.places import DIMMING, LIGHTS, lit

FOGS = {"day": (220, 224, 228), "sunset": (220, 208, 206), "night": (130, 139, 160)}
SNOW_SHADES = {"day": (0.72, 0.82, 0.96), "sunset": (0.84, 0.76, 0.86), "night": (0.72, 0.82, 0.96)}


def _unit(colour: tuple[int, int, int]) -> np.ndarray:
    return np.array(colour, dtype=np.float32) / 255.0


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    share: np.ndarray = np.clip((value - low) / (high - low), 0.0, 1.0)
    curve: np.ndarray = share * share * (3.0 - 2.0 * share)
    return curve


def _noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise in [0, 1] from a grid of (rows, columns) random values."""
    grid = Image.fromarray(rng.random(cells).astype(np.float32))
    spread = np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.clip(spread, 0.0, 1.0)


def _mixed(picture: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = picture + (colour - picture) * share[..., None]
    return mixed.astype(np.float32)


def snow_ground(
    picture: np.ndarray, time: str, rng: np.random.Generator, start: tuple[float, float] = (0.62, 0.75)
) -> np.ndarray:
    """The landscape under snow: a drift from a height within `start` down, and its greenery whitened."""
    high, wide = picture.shape[:2]
    y = (np.arange(high, dtype=np.float32)[:, None] + 0.5) / high
    x = (np.arange(wide, dtype=np.float32)[None, :] + 0.5) / wide
    snow = _unit(lit((250, 252, 255), time)) + (0.16 if time == "night" else 0.0)
    shade = snow * np.array(SNOW_SHADES[time], dtype=np.float32)
    frosted = _mixed(picture, snow, 0.72 * _greenery(picture, time) * (0.6 + 0.4 * _noise((high, wide), (9, 9), rng)))
    top, swell = float(rng.uniform(*start)), float(rng.uniform(0.012, 0.03))
    for _ in range(3):
        phase, waves = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.7, 1.5))
        crest = top + swell * np.sin(2 * math.pi * waves * x + phase) + 0.35 * swell * np.sin(9.0 * x + 2 * phase)
        below = y - crest
        cover = np.clip(below * high + 0.5, 0.0, 1.0)
        dusk = np.clip(below / 0.16, 0.0, 1.0) * 0.75 + 0.1 * (_noise((high, wide), (5, 4), rng) - 0.5)
        drift = snow + (shade - snow) * np.clip(dusk, 0.0, 1.0)[..., None]
        frosted = _mixed(frosted, drift, cover)
        top += (1.0 - top) * float(rng.uniform(0.34, 0.46))
    clipped: np.ndarray = np.clip(frosted, 0.0, 1.0)
    return clipped


def _greenery(picture: np.ndarray, time: str) -> np.ndarray:
    """How green each pixel would be by day, in [0, 1]."""
    share = DIMMING[time]
    day = (picture - _unit(LIGHTS[time]) * share) / (1.0 - share)
    bright = _smoothstep(0.08, 0.2, day[..., 1])
    green: np.ndarray = bright * _smoothstep(0.0, 0.05, day[..., 1] - np.maximum(day[..., 0], day[..., 2]))
    return green


def snowfall(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture behind many soft white flakes, its contrast a little greyed."""
    high, wide = picture.shape[:2]
    side = min(high, wide)
    cover = np.zeros((high, wide), dtype=np.float32)
    for low, top, count, strength in ((0.007, 0.011, 90, 0.8), (0.011, 0.017, 55, 0.9), (0.017, 0.024, 20, 0.95)):
        for _ in range(round(count * float(rng.uniform(0.8, 1.2)))):
            _flake(cover, float(rng.random()), float(rng.random()), float(rng.uniform(low, top)) * side, strength)
    grey = 0.35 + 0.4 * float(np.mean(picture))
    veiled = picture + (np.array([grey, grey, grey * 1.05], dtype=np.float32) - picture) * 0.16
    snowy: np.ndarray = np.clip(_mixed(veiled, np.ones(3, dtype=np.float32), cover), 0.0, 1.0)
    return snowy


def _flake(cover: np.ndarray, across: float, down: float, r: float, strength: float) -> None:
    """Lay one soft round flake of `r` pixels into the cover."""
    high, wide = cover.shape
    x, y, reach = across * wide, down * high, math.ceil(r * 1.4 + 1)
    x0, x1 = max(0, int(x) - reach), min(wide, int(x) + reach + 1)
    y0, y1 = max(0, int(y) - reach), min(high, int(y) + reach + 1)
    dy, dx = np.arange(y0, y1)[:, None] + 0.5 - y, np.arange(x0, x1)[None, :] + 0.5 - x
    soft = max(1.0, r * 0.7)
    flake = np.clip((r - np.hypot(dx, dy)) / soft + 0.5, 0.0, 1.0) * strength
    cover[y0:y1, x0:x1] = np.maximum(cover[y0:y1, x0:x1], flake)


def fog(picture: np.ndarray, time: str, rng: np.random.Generator) -> np.ndarray:
    """The picture washed out by soft level banks of fog, densest at the horizon and above."""
    high, wide = picture.shape[:2]
    y = (np.arange(high, dtype=np.float32)[:, None] + 0.5) / high
    horizon, thick = float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.6, 0.68))
    rise = 0.14 * (1.0 - _smoothstep(horizon, 1.0, y)) - 0.04
    banks = _noise((high, wide), (7, 2), rng) * 0.6 + _noise((high, wide), (12, 3), rng) * 0.4
    share = np.clip(thick + rise + 0.5 * (banks - 0.5), 0.5, 0.82)
    colour = _unit(FOGS[time])
    pale = colour * (1.0 + 0.08 * (banks[..., None] - 0.5))
    foggy: np.ndarray = np.clip(_mixed(picture, pale.astype(np.float32), share), 0.0, 1.0)
    return foggy

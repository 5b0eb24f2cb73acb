"""Helpers shared by the painting styles: pictures (H, W, 3) of floats in [0, 1] and operations on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Picture = np.ndarray
Style = Callable[[Picture, np.random.Generator], Picture]
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def to_image(picture: Picture) -> Image.Image:
    """The picture as an 8-bit image."""
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def to_array(image: Image.Image) -> Picture:
    """The 8-bit image as a picture."""
    return np.asarray(image, dtype=np.float32) / 255.0


def blur(picture: Picture, radius: float) -> Picture:
    """The picture under a Gaussian blur of a radius in pixels."""
    return to_array(to_image(picture).filter(ImageFilter.GaussianBlur(radius)))


def smooth_noise(size: int, cells: int, rng: np.random.Generator) -> Picture:
    """Smooth noise in [0, 1], about `cells` bumps a side."""
    coarse = Image.fromarray(rng.random((cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def edges(picture: Picture) -> Picture:
    """Strength of the colour gradient, (H, W)."""
    across = np.abs(np.roll(picture, -1, 1) - np.roll(picture, 1, 1)).max(-1)
    down = np.abs(np.roll(picture, -1, 0) - np.roll(picture, 1, 0)).max(-1)
    across[:, [0, -1]] = 0
    down[[0, -1]] = 0
    strength: Picture = np.hypot(across, down)
    return strength


def saturate(picture: Picture, gain: float) -> Picture:
    """The picture with its colours moved away from grey by a gain."""
    grey = (picture @ GREY)[..., None]
    return np.clip(grey + (picture - grey) * gain, 0, 1)

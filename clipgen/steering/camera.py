"""A camera: pictures enlarged, moved and turned about their centre, with something to see beyond their edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from clipgen.config.motion import MIRROR, SMEAR, WRAP, MotionSettings

BORDERS: dict[str, Callable[[Tensor, int], Tensor]] = {
    MIRROR: lambda places, side: (again := places.remainder(2 * side)).minimum(2 * side - 1 - again),
    WRAP: lambda places, side: places.remainder(side),
    SMEAR: lambda places, side: places.clamp(0, side - 1),
}
"""By name: from whole places beyond an axis of `side` pixels, too, to the pixels that are seen there."""


@torch.no_grad()
def moved(images: Tensor, motion: MotionSettings, cell: float = 1.0) -> Tensor:
    """Return images (B, C, H, W) after one move; bicubic, and exact where pixels fall on pixels.

    cell: the side in pixels of what is moved, for latents. An edge can overshoot the range of values a little.
    """
    height, width = images.shape[2:]
    x, y = _sources(replace(motion, pan=(motion.pan[0] / cell, motion.pan[1] / cell)), width, height)
    columns, rows = _taps(x), _taps(y)
    flat, total = images.flatten(2), torch.zeros_like(images).flatten(2)
    see = BORDERS[motion.border]
    for row, height_share in rows:
        for column, width_share in columns:
            pixels = (see(row, height) * width + see(column, width)).flatten().to(images.device)
            share = (height_share * width_share).flatten().to(images)
            total += flat[:, :, pixels] * share
    return total.view_as(images)


def on_the_way(image: Tensor, motion: MotionSettings, share: float) -> Tensor:
    """Return an image (3, H, W) in [0, 1] after a share of a move, from 0 to 1: a film shows the camera gliding."""
    x, y = motion.pan
    part = replace(motion, zoom=motion.zoom**share, pan=(x * share, y * share), rotate=motion.rotate * share)
    return moved(image[None], part)[0].clamp(0, 1)


def _sources(motion: MotionSettings, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Return where each pixel comes from, as x and y (H, W) in pixels. On the CPU, as some devices lack float64."""
    angle = math.radians(motion.rotate)
    cos, sin = math.cos(angle) / motion.zoom, math.sin(angle) / motion.zoom
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - centre_x - motion.pan[0]
    y = torch.arange(height, dtype=torch.float64)[:, None] - centre_y - motion.pan[1]
    return cos * x + sin * y + centre_x, cos * y - sin * x + centre_y


def _taps(places: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the four whole places around each, and their shares, by the cubic of Catmull and Rom (1974)."""
    before = places.floor()
    t = places - before
    shares = (
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    return [(before.long() + offset, share) for offset, share in zip((-1, 0, 1, 2), shares, strict=True)]

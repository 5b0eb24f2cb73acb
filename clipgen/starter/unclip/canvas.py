"""Pictures of any aspect ratio around a square one, which is what the networks of the unCLIP have learned to draw."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_ASPECT = 4.0
"""Beyond this aspect ratio pictures are stretched, as memory grows with it."""
BORDER = 8
"""Of a square picture, this part of a side is repeated beyond its edges: 1 / BORDER."""


def canvas(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return (h, w), even, in latent cells: the aspect ratio of `size` (width, height), the shorter one `side`."""
    aspect = min(max(size) / min(size), MAX_ASPECT)
    longer = 2 * round(side * aspect / 2)
    return (side, longer) if size[0] > size[1] else (longer, side)


def middle(images: Tensor) -> Tensor:
    """Return the largest square in the middle (B, C, S, S) of images (B, C, H, W), a view of them."""
    side = min(images.shape[2:])
    top, left = ((length - side) // 2 for length in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]


def extended(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return images (B, C, S, S) in the middle of (B, C, *shape), with their borders repeated, to and fro, beyond.

    To the left and right is what the borders there show: sky above ground, as everywhere in a scene. What a picture
    shows often reaches its top and bottom, so that above and below is what the corners show, one fading to the other.
    """
    side = images.shape[-1]
    rows, columns = (_places(side, length).to(images.device) for length in shape)
    border = max(side // BORDER, 1)
    left, right = images[..., :border].mean(3, keepdim=True), images[..., -border:].mean(3, keepdim=True)
    around = left + (right - left) * torch.linspace(0, 1, side).to(images)
    top = (shape[0] - side) // 2
    tall = around[:, :, rows]
    tall[:, :, top : top + side] = images
    return tall[..., columns]


def _places(side: int, length: int) -> Tensor:
    """Return which of `side` places stands at each of `length`."""
    border = max(side // BORDER, 1)
    places = torch.arange(length) - (length - side) // 2
    beyond = torch.where(places < 0, -1 - places, places - side)
    turn = beyond % (2 * border)
    inward = torch.minimum(turn, 2 * border - 1 - turn)
    outside = torch.where(places < 0, inward, side - 1 - inward)
    return torch.where((places < 0) | (places >= side), outside, places)

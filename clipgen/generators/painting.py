"""An image as strokes, from coarse to fine: painterly rendering (Hertzmann, 1998), with a given number of strokes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from clipgen.generators.rasteriser import rasterise

SIDE = 160
"""The longest of the shorter sides at which images are looked at, in pixels."""
LAYERS = 4
"""How many layers of ever finer brushes paint the picture, each with twice the strokes of the one before."""
LONG = 4.0
"""Length of a stroke in widths of its brush."""
THICK = 1.6
"""How many times the strokes of a layer could cover the picture."""


@torch.no_grad()
def painted(image: Tensor, count: int, ends: int, widest: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return strokes that look like an image (3, H, W) in [0, 1]: where they are, how wide, and of which colour.

    Each layer puts its strokes where the picture is still most unlike the image, along its edges, in its colour there.
    Returns points (count, ends, 2) and widths (count,), as fractions of the shorter side, and colours (count, 4).
    """
    side = min(image.shape[1:])
    if side > SIDE:
        smaller = [round(each * SIDE / side) for each in image.shape[1:]]
        image, side = interpolate(image[None], smaller, mode="area")[0], SIDE
    extent = image.shape[1] * image.shape[2] / side**2
    points, widths = image.new_zeros(0, ends, 2), image.new_zeros(0)
    colours = image.new_zeros(0, 4)
    for layer in _shares(count):
        width = min(math.sqrt(THICK * extent / (LONG * layer)), widest)
        smooth = blurred(image, width * side / 2)
        canvas = rasterise(points[None] * side, widths[None] * side, colours[None], (image.shape[2], image.shape[1]))[0]
        begun = _places((smooth - canvas).abs().mean(0), layer, width * side)
        colour = smooth[:, begun[:, 1].long(), begun[:, 0].long()].T
        points = torch.cat([points, _traced(smooth, canvas, begun, colour, ends, LONG * width * side) / side])
        widths = torch.cat([widths, image.new_full((layer,), width)])
        colours = torch.cat([colours, torch.cat([colour, torch.ones_like(colour[:, :1])], 1)])
    return points, widths, colours


def _shares(count: int) -> list[int]:
    """Return how many of the strokes each layer has, the finest the most; no layer has none."""
    parts = [max(count * 2**layer // (2**LAYERS - 1), 1) for layer in range(LAYERS)][-min(count, LAYERS) :]
    return [*parts[:-1], count - sum(parts[:-1])]


def blurred(image: Tensor, radius: float) -> Tensor:
    """Return an image (C, H, W) after three means over squares, which is nearly a Gaussian of this radius in pixels."""
    reach = min(round(radius), (min(image.shape[1:]) - 1) // 2)
    for _ in range(3 if reach else 0):
        image = avg_pool2d(pad(image[None], [reach] * 4, mode="replicate"), 2 * reach + 1, 1)[0]
    return image


def _places(error: Tensor, count: int, apart: float) -> Tensor:
    """Return (count, 2): x and y where an error (H, W) is largest, in as many cells of about this size in pixels."""
    height, width = error.shape
    cell = max(min(int(apart), int(math.sqrt(height * width / count))), 1)
    while (height // cell) * (width // cell) < count and cell > 1:
        cell -= 1
    total = avg_pool2d(error[None, None], cell)[0, 0]
    _, inside = max_pool2d(error[None, None], cell, return_indices=True)
    best = total.flatten().sort(descending=True, stable=True).indices
    chosen = inside.flatten()[best[torch.arange(count, device=error.device) % len(best)]]
    return torch.stack([chosen % width, chosen // width], 1) + 0.5


def _traced(image: Tensor, canvas: Tensor, begun: Tensor, colour: Tensor, ends: int, length: float) -> Tensor:
    """Return paths (n, ends, 2) through places (n, 2) along the edges of an image, in pixels.

    A path goes half of its length to each side, and stays where the canvas is nearer to the image than its colour is.
    """
    grey = blurred(image.mean(0)[None], 2)
    slopes = torch.stack([_slope(grey[0], 1), _slope(grey[0], 0)])
    bound = image.new_tensor([image.shape[2] - 1, image.shape[1] - 1])
    step, halves = length / (ends - 1), []
    for sign in (-1.0, 1.0):
        here, goes, path = begun, torch.ones_like(begun[:, :1]), []
        heading = image.new_tensor([sign, 0.0]).expand_as(begun)
        for _ in range(ends // 2):
            x, y = here[:, 0].long(), here[:, 1].long()
            across = slopes[:, y, x].T
            along = torch.stack([-across[:, 1], across[:, 0]], 1)
            strength = along.norm(dim=1, keepdim=True)
            along = torch.where(strength > 1e-4, along / strength.clamp_min(1e-9), heading)
            along = torch.where((along * heading).sum(1, keepdim=True) < 0, -along, along)
            heading, there = along, torch.minimum((here + step * along).clamp_min(0), bound)
            x, y = there[:, 0].long(), there[:, 1].long()
            seen = image[:, y, x].T
            better = (seen - canvas[:, y, x].T).abs().sum(1) > (seen - colour).abs().sum(1)
            goes = goes * better[:, None]
            here = torch.where(goes > 0, there, here)
            path.append(here)
        halves.append(path)
    before, after = halves
    middle = [begun] if ends % 2 else []
    return torch.stack([*before[::-1], *middle, *after], 1)


def _slope(grey: Tensor, axis: int) -> Tensor:
    """Return the central differences of (H, W) along an axis."""
    return (grey.roll(-1, axis) - grey.roll(1, axis)) / 2

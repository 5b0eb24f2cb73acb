"""Training augmentation: geometry, colour, blur, noise, on pictures (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate, pad


def warp(pictures: Tensor, size: int, *, flips: bool = True) -> Tensor:
    """Return each picture with random zoom, shift, rotation, shear and, if asked, flip: (B, 3, size, size).

    Half of the pictures stay whole. Sampled on a grid twice as fine and averaged, so that shrinking does not alias.
    """
    count = len(pictures)
    whole = torch.rand(count) < 0.5
    zoom = torch.where(whole, torch.empty(count).uniform_(0.92, 1.08), torch.empty(count).uniform_(0.6, 1.15))
    turn, shear, stretch = torch.randn(3, count) * torch.tensor([[0.10], [0.06], [0.07]])
    reach = (1 - zoom).abs() * 0.6 + 0.03
    shift = torch.empty(2, count).uniform_(-1, 1) * reach
    flip = torch.where(torch.rand(count) < 0.5 * flips, -1.0, 1.0)
    cos, sin = turn.cos() * zoom, turn.sin() * zoom
    rows = [cos * flip * (1 + stretch), -sin + shear, shift[0], sin * flip, cos * (1 - stretch), shift[1]]
    matrix = torch.stack(rows, 1).view(count, 2, 3).to(pictures)
    grid = affine_grid(matrix, [count, 3, 2 * size, 2 * size], align_corners=False)
    mode = "reflection" if torch.rand(()) < 0.5 else "border"
    return avg_pool2d(grid_sample(pictures, grid, padding_mode=mode, align_corners=False), 2)


def recolour(pictures: Tensor) -> Tensor:
    """Return pictures with random brightness, contrast, saturation and tint, too little to change a colour's name."""
    shape = (len(pictures), 1, 1, 1)
    gain = 1 + 0.1 * _normal(pictures, shape)
    tint = 0.012 * _normal(pictures, (len(pictures), 3, 1, 1))
    offset = 0.04 * _normal(pictures, shape) + tint
    grey = pictures.mean(1, keepdim=True)
    saturation = 1 + 0.12 * _normal(pictures, shape)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    coloured = grey + (pictures - grey) * saturation
    return ((coloured - mean) * gain + mean + offset).clamp(0, 1)


def soften(pictures: Tensor) -> Tensor:
    """Return the pictures with a third of them blurred, and noise on half."""
    shape = (len(pictures), 1, 1, 1)
    blurred = avg_pool2d(pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(shape) * (torch.rand(shape) < 0.35)
    softened = pictures + (blurred - pictures) * share.to(pictures)
    level = torch.rand(shape) * 0.1 * (torch.rand(shape) < 0.5)
    return softened + torch.randn_like(pictures) * level.to(pictures)


def scramble(pictures: Tensor) -> Tensor:
    """Return the pictures, distorted smoothly until nothing in them is in its place."""
    pulls = 0.4 * torch.randn(len(pictures), 2, 5, 5).to(pictures)
    grid = affine_grid(torch.eye(2, 3).expand(len(pictures), 2, 3).to(pictures), list(pictures.shape), False)
    bent = grid + interpolate(pulls, pictures.shape[2:], mode="bicubic").permute(0, 2, 3, 1)
    return grid_sample(pictures, bent, padding_mode="reflection", align_corners=False)


def _normal(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return normal noise, drawn on the CPU, so that a seed means the same everywhere."""
    return torch.randn(shape).to(like)


def distort(pictures: Tensor, size: int, *, flips: bool = True) -> Tensor:
    """Return the pictures warped, recoloured and softened."""
    return soften(recolour(warp(pictures, size, flips=flips))).contiguous(memory_format=torch.channels_last)


def half_cosine(step: int, steps: int) -> float:
    """Return how much of a half cosine is done, from 0 at the first step to 1 at the last."""
    return 0.5 * (1 - math.cos(math.pi * min(1.0, step / max(1, steps))))

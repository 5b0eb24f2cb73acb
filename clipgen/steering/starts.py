"""Pictures that a latent can begin at: each row of PATTERNS draws one from its seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from clipgen.config.plan import Plan
from clipgen.config.preset import Size
from clipgen.steering.given import Given
from clipgen.util.randomness import generator_for

COARSEST = 2  # cells a side of the first octave
PERSISTENCE = 0.6  # amplitude of an octave relative to the one before, which is half as fine


def fractal(size: Size, numbers: Generator) -> Tensor:
    """Draw clouds (3, H, W) in [0, 1]: octaves of smooth noise, each twice as fine and fainter than the last."""
    height, width = size[1], size[0]
    cells, strength = COARSEST, 1.0
    total = torch.zeros(1, 3, height, width)
    while cells <= min(height, width):
        coarse = torch.randn(1, 3, cells, max(round(cells * width / height), 1), generator=numbers)
        total += strength * interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
        cells, strength = 2 * cells, PERSISTENCE * strength
    return (0.5 + 0.25 * total[0] / total.std().clamp_min(1e-6)).clamp(0, 1)


def gradient(size: Size, numbers: Generator) -> Tensor:
    """Draw one colour that turns evenly into another (3, H, W), in some direction."""
    first, last = torch.rand(2, 3, 1, 1, generator=numbers)
    angle = 2 * math.pi * float(torch.rand((), generator=numbers))
    x, y = torch.linspace(-1, 1, size[0])[None, :], torch.linspace(-1, 1, size[1])[:, None]
    along = x * math.cos(angle) + y * math.sin(angle)
    share = (along / (abs(math.cos(angle)) + abs(math.sin(angle))) + 1) / 2
    return torch.lerp(first, last, share)


def snow(size: Size, numbers: Generator) -> Tensor:
    """Draw pixels (3, H, W) of any colour."""
    return torch.rand(3, size[1], size[0], generator=numbers)


PATTERNS: dict[str, Callable[[Size, Generator], Tensor]] = {"perlin": fractal, "gradient": gradient, "snow": snow}
"""By the name of the start."""


def first_images(plan: Plan, given: Given, size: Size, seeds: Sequence[int]) -> Tensor | None:
    """Return the images (B, 3, H, W) in [0, 1] that latents begin at: init images, or a pattern; None for neither."""
    if given.init is not None:
        return noisy(given.init if given.begun is None else given.begun, plan.init_noise, seeds)
    return pattern_images(plan.start, size, seeds) if plan.start in PATTERNS else None


def pattern_images(name: str, size: Size, seeds: Sequence[int]) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1] of a pattern, one for each seed."""
    return torch.stack([PATTERNS[name](size, generator_for(seed, 0, "pattern")) for seed in seeds])


def noisy(images: Tensor, strength: float, seeds: Sequence[int]) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1] with Gaussian noise of this standard deviation, clamped."""
    if not strength:
        return images
    noise = [torch.randn(images.shape[1:], generator=generator_for(seed, 0, "init noise")) for seed in seeds]
    return (images + strength * torch.stack(noise).to(images)).clamp(0, 1)

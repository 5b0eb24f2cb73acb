"""Drawing from a denoiser that is told texts: the deterministic sampler of EDM, by Heun's method.

Karras et al., 2022, arXiv 2206.00364, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""The mean of what noise of standard deviation sigma (B,) made noisy (B, ...)."""

ROUNDING = 1e-5
"""By so much at most the shares of texts that take nothing away sum to other than 1."""


def noise_levels(first: float, last: float, steps: int) -> list[float]:
    """Standard deviations that fall by the same factor from each step to the next."""
    return [first * (last / first) ** (k / (steps - 1)) for k in range(steps)]


def told(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor],
    texts: Tensor,
    shares: Tensor,
    scale: float,
    untold: Denoise | None = None,
) -> Denoise:
    """Denoise, told of all texts at once.

    texts (K, ...); `denoise` takes such, (B, ...), beside noisy (B, ...) and sigma (B,); zeros tell it nothing. shares
    (K,), those above 0 of sum 1: how much each text says; what one below 0 says is taken away (conjunction and negation
    of Liu et al., 2022, arXiv 2206.01714). `scale` goes beyond what is told (classifier-free guidance, Ho and Salimans,
    2022, arXiv 2207.12598), as seen from what is denoised `untold`; by itself, told no text.
    """

    def silent(noisy: Tensor, sigma: Tensor) -> Tensor:
        return denoise(noisy, sigma, torch.zeros_like(texts[0]).expand(len(noisy), *texts.shape[1:]))

    rest = 1 - float(shares.sum())
    start = untold or silent

    def denoise_told(noisy: Tensor, sigma: Tensor) -> Tensor:
        cleaned = [denoise(noisy, sigma, text.expand(len(noisy), *text.shape)) for text in texts]
        mixed = torch.einsum("k...,k->...", torch.stack(cleaned), shares)
        if abs(rest) > ROUNDING:
            mixed = mixed + rest * silent(noisy, sigma)
        if scale == 1:  # no farther, so that it is the same from wherever it is seen
            return mixed
        without = start(noisy, sigma)
        return without + scale * (mixed - without)

    return denoise_told


def said(texts: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Texts (B, D) as networks are told them, (B, D + 1): standardised, and whether anything is told at all."""
    something = (texts.abs().sum(1, keepdim=True) > 0).to(texts)
    return torch.cat([(texts - mean) / std * something, something], 1)


def clean(noisy: Tensor, level: Tensor, change: Tensor) -> Tensor:
    """What a network's output makes of data of unit variance seen through noise (EDM, table 1).

    level: the standard deviation of the noise, in a shape that goes with noisy and change.
    """
    total = (level.square() + 1).sqrt()
    return noisy / total.square() + change * level / total


def sample(denoise: Denoise, noisy: Tensor, levels: Sequence[float]) -> Tensor:
    """Take the noise off noisy (B, ...), that of levels[0], step by step."""

    def slope(noisy: Tensor, level: float) -> Tensor:
        return (noisy - denoise(noisy, torch.full((len(noisy),), level).to(noisy))) / level

    for level, following in zip(levels, [*levels[1:], 0.0], strict=True):
        down = slope(noisy, level)
        ahead = noisy + (following - level) * down
        if following:
            ahead = noisy + (following - level) * (down + slope(ahead, following)) / 2
        noisy = ahead
    return noisy

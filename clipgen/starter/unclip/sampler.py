"""Drawing from a denoiser that is conditioned on texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""From data (B, ...) with noise of standard deviation sigma (B,) to the mean of what the data may be without it."""

ROUNDING = 1e-5
"""The weights of texts may miss a sum of 1 by this much."""


@dataclass(frozen=True)
class Method:
    """How samples are drawn."""

    scale: float = 1.0
    """Of classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598); 1 is none."""
    solver: str = "heun"
    """One of SOLVERS."""


USUAL = Method()


@dataclass(frozen=True, eq=False)
class Start:
    """Where sampling starts in place of pure noise (SDEdit: Meng et al., 2022, arXiv 2108.01073)."""

    data: Tensor
    """What the samples are to keep to."""
    sigma: float
    """Standard deviation of the noise that is added to it, for data of about unit variance; less keeps more of it."""


@dataclass(frozen=True, eq=False)
class Steer:
    """What samples are led to beside their texts."""

    distance: Callable[[Tensor], Tensor]
    """From data (B, ...) to how far each is from it, (B,); differentiable."""
    length: float
    """How far each denoising step moves the data, as the root mean square over its numbers."""


def noise_levels(first: float, last: float, steps: int) -> list[float]:
    """Return standard deviations that fall by the same factor from each step to the next."""
    return [first * (last / first) ** (k / (steps - 1)) for k in range(steps)]


def guided(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor],
    texts: Tensor,
    weights: Tensor,
    method: Method,
    unconditional: Denoise | None = None,
) -> Denoise:
    """Return a denoiser that is conditioned on all of texts (K, ...) at once.

    `denoise` takes noisy data (B, ...), sigma (B,) and texts (B, ...), of which zeros stand for no text. weights (K,):
    those above 0 sum to 1; a text with one below 0 is negated (Liu et al., 2022, arXiv 2206.01714). The guidance of
    `method` leads away from what `unconditional` denoises, by default `denoise` without a text.
    """

    def without_text(noisy: Tensor, sigma: Tensor) -> Tensor:
        return denoise(noisy, sigma, torch.zeros_like(texts[0]).expand(len(noisy), *texts.shape[1:]))

    rest = 1 - float(weights.sum())
    start = unconditional or without_text

    def denoise_guided(noisy: Tensor, sigma: Tensor) -> Tensor:
        denoised = [denoise(noisy, sigma, text.expand(len(noisy), *text.shape)) for text in texts]
        conditional = torch.einsum("k...,k->...", torch.stack(denoised), weights)
        if abs(rest) > ROUNDING:
            conditional = conditional + rest * without_text(noisy, sigma)
        if method.scale == 1:  # the result would differ by rounding alone
            return conditional
        origin = start(noisy, sigma)
        return origin + method.scale * (conditional - origin)

    return denoise_guided


def steered(denoise: Denoise, distance: Callable[[Tensor], Tensor], length: float) -> Denoise:
    """Return a denoiser whose results are moved by `length` down the gradient of their distance, as of a `Steer`.

    Universal guidance: Bansal et al., 2023, arXiv 2302.07121.
    """

    def denoise_steered(noisy: Tensor, sigma: Tensor) -> Tensor:
        expected = denoise(noisy, sigma)
        with torch.enable_grad():
            moving = expected.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(distance(moving).sum(), moving)
        flat = gradient.flatten(1)
        step = length * flat.shape[1] ** 0.5 * flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
        moved: Tensor = expected - step.view_as(expected)
        return moved

    return denoise_steered


def standardised_texts(texts: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return texts (B, D) as networks take them, (B, D + 1): standardised, then 1; or all zeros for no text."""
    present = (texts.abs().sum(1, keepdim=True) > 0).to(texts)
    return torch.cat([(texts - mean) / std * present, present], 1)


def denoised(noisy: Tensor, level: Tensor, change: Tensor) -> Tensor:
    """Return what a network's output, `change`, makes of noisy data of unit variance (EDM, table 1).

    level: the standard deviation of the noise, in a shape that broadcasts against both.
    """
    total = (level.square() + 1).sqrt()
    return noisy / total.square() + change * level / total


def sample(denoise: Denoise, noisy: Tensor, levels: Sequence[float], solver: str = "heun") -> Tensor:
    """Return noisy (B, ...), whose noise has the standard deviation levels[0], without it. solver: one of SOLVERS."""
    return SOLVERS[solver](denoise, noisy, levels)


def heun(denoise: Denoise, noisy: Tensor, levels: Sequence[float]) -> Tensor:
    """Solve the probability flow by Heun's method, which denoises twice a level.

    Karras et al., 2022, arXiv 2206.00364, algorithm 1.
    """

    def slope(noisy: Tensor, level: float) -> Tensor:
        return (noisy - denoise(noisy, torch.full((len(noisy),), level).to(noisy))) / level

    for level, following in zip(levels, [*levels[1:], 0.0], strict=True):
        down = slope(noisy, level)
        ahead = noisy + (following - level) * down
        if following:
            ahead = noisy + (following - level) * (down + slope(ahead, following)) / 2
        noisy = ahead
    return noisy


def multistep(denoise: Denoise, noisy: Tensor, levels: Sequence[float]) -> Tensor:
    """Solve the probability flow by DPM-Solver++(2M), which denoises once a level and uses the level before.

    Lu et al., 2022, arXiv 2211.01095, algorithm 2, in the variables of EDM, where the signal is not scaled.
    """
    before, span_before = noisy, 0.0
    for place, (level, following) in enumerate(zip(levels, [*levels[1:], 0.0], strict=True)):
        expected = denoise(noisy, torch.full((len(noisy),), level).to(noisy))
        if not following:
            return expected
        span = math.log(level / following)
        ahead = expected if place == 0 else expected + span / span_before / 2 * (expected - before)
        noisy = following / level * noisy + (1 - following / level) * ahead
        before, span_before = expected, span
    return noisy


SOLVERS: dict[str, Callable[[Denoise, Tensor, Sequence[float]], Tensor]] = {"heun": heun, "dpm++2m": multistep}
"""By name: how noisy data (B, ...) is denoised through the levels."""

"""Adversarial negatives: pictures that a CLIP in training scores highly, and of which no caption is true.

A model that has only seen drawn pictures, or drawn pictures a small step away, scores smears as highly as shapes, and
guidance finds such smears. Here they are made during training, by ascent on the model's own score from random patches
or from pictures of something else; no caption with a noun is true of them. The gradient of the score then leads to
pictures that could have been drawn. After short-run sampling of energy-based models (Nijkamp et al., 2019, arXiv
1904.09770; with a buffer, Du and Mordatch, 2019, arXiv 1903.08689) and RATIO (Augustin et al., 2020, arXiv 2003.09461).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.train.picture_prior import PicturePrior
from clipgen.training.augment import distort

SCALES = (1, 2, 4, 8, 16)  # cells a side of the patches that a step is a sum of
STEPS = 60  # after which a negative starts anew, at most
NOTHING = -1  # the noun of a negative that did not start at a picture
FAINTEST = 0.05  # contrast of the patches that negatives start at, at least
PRIOR_WEIGHT = 3.0  # small, so that the CLIP meets what a prior lets pass
NOISE = 1.5, 0.2  # the most and the least that the prior takes off


class Parametrization(Protocol):
    """What the ascent moves, and the picture that it stands for."""

    step_sizes: tuple[float, float]
    """The least and the greatest root mean square of a step."""

    def start(self, count: int) -> tuple[Tensor, Tensor]:
        """Return latents (count, C, h, w), and the codes of the nouns that each shows (count, 2), or NOTHING."""

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures (count, 3, H, W) in [0, 1]."""

    def project(self, latents: Tensor) -> Tensor:
        """Return the latents, brought back into their range."""

    def penalty(self, images: Tensor) -> Tensor:
        """Return what is taken off the scores (count,) of decoded pictures."""


class Pixels:
    """The pixels themselves, as few as the CLIP sees."""

    step_sizes = 0.011, 0.036

    def __init__(self, size: int):
        self.size = size

    def start(self, count: int) -> tuple[Tensor, Tensor]:
        """Return faint colours around a random brightness."""
        light = torch.empty(count, 1, 1, 1).uniform_(0.25, 0.75) + 0.1 * torch.randn(count, 3, 1, 1)
        cells = _stretched(light + 0.15 * torch.randn(count, 3, 4, 4), self.size)
        return cells.clamp(0, 1), torch.full((count, 2), NOTHING)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the latents, as they are the pixels."""
        return latents

    def project(self, latents: Tensor) -> Tensor:
        """Return values from black to white."""
        return latents.clamp(0, 1)

    def penalty(self, images: Tensor) -> Tensor:
        """Return zeros: there is no prior on pixels."""
        return torch.zeros(len(images)).to(images)


class Latents:
    """The latents of a frozen VQGAN, kept in range and near to the prior.

    Half of the negatives start at pictures (N, S, S, 3) uint8; nouns (N, 2): the codes of those that each shows.
    """

    step_sizes = 0.1, 0.35

    def __init__(self, network: VQGANNetwork, side: int, prior: PicturePrior, pictures: np.ndarray, nouns: np.ndarray):
        self.network, self.prior = network.eval().requires_grad_(False), prior.eval().requires_grad_(False)
        self.side, self.pictures, self.nouns = side, pictures, nouns

    def start(self, count: int) -> tuple[Tensor, Tensor]:
        """Return drawn pictures, encoded, or patches of random codes, from faint to strong."""
        picked = np.sort(torch.randint(len(self.pictures), (count,)).numpy())
        drawn = torch.rand(count) < 0.5
        mask = drawn.view(-1, 1, 1, 1).to(self.network.codebook.device)
        cells = torch.where(mask, self._encoded(self.pictures[picked]), self._patches(count))
        return cells, torch.where(drawn[:, None], torch.from_numpy(self.nouns[picked]), NOTHING)

    @torch.no_grad()
    def _encoded(self, pictures: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self.network.codebook) / 255
        return self.network.encode(_stretched(pixels, self.side * self.network.stride))

    def _patches(self, count: int) -> Tensor:
        codes = self.network.codebook
        chosen = torch.randint(len(codes), (count, 4, 4)).to(codes.device)
        contrast = FAINTEST ** torch.rand(count, 1, 1, 1).to(codes)
        mean = codes.mean(0)[:, None, None]
        return mean + contrast * (_stretched(self.network.lookup(chosen), self.side) - mean)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the pictures of the nearest codes."""
        return clamp_with_grad(self.network.decode(self.network.straight_through(latents)).float())

    def project(self, latents: Tensor) -> Tensor:
        """Return latents within the box that the codes span."""
        codes = self.network.codebook
        return latents.clamp(codes.amin(0)[:, None, None], codes.amax(0)[:, None, None])

    def penalty(self, images: Tensor) -> Tensor:
        """Return how unlikely the prior finds the pictures, at random levels of noise."""
        sigma = NOISE[0] * (NOISE[1] / NOISE[0]) ** torch.rand(len(images)).to(images)
        noise = torch.randn(len(images), 3, self.prior.size, self.prior.size).to(images)
        return PRIOR_WEIGHT * self.prior.unlikeliness(images, sigma, noise)


class Negatives(nn.Module):
    """A buffer of `count` negatives, each on its way from where it started towards one of the texts."""

    latents: Tensor
    nouns: Tensor
    targets: Tensor
    steps_left: Tensor

    def __init__(self, count: int, parametrization: Parametrization, texts: Sequence[str]):
        super().__init__()
        self.parametrization, self.texts = parametrization, list(texts)
        latents, nouns = parametrization.start(count)
        self.register_buffer("latents", latents)
        self.register_buffer("nouns", nouns)
        self.register_buffer("targets", torch.randint(len(self.texts), (count,)))
        self.register_buffer("steps_left", torch.randint(1, STEPS + 1, (count,)))

    def advance(self, perceptor: CLIPPerceptor, first: int, count: int, steps: int) -> tuple[Tensor, Tensor]:
        """Move `count` negatives from index `first` on, and return their pictures (count, 3, H, W).

        Also returns the nouns that each may still show (count, 2), as it started at a picture of these. Those that have
        made all their steps start anew.
        """
        chosen = torch.arange(first, first + count) % len(self.latents)
        texts = perceptor.encode_texts([self.texts[k] for k in self.targets[chosen].tolist()]).detach()
        latents = self.latents[chosen]
        for _ in range(steps):
            latents = self._moved(perceptor, latents, texts)
        self.latents[chosen] = latents
        self.steps_left[chosen] -= steps
        with torch.no_grad():
            images = self.parametrization.decode(latents)
        nouns = self.nouns[chosen]
        self._renew(chosen[self.steps_left[chosen].cpu() <= 0])
        return images, nouns

    def _moved(self, perceptor: CLIPPerceptor, latents: Tensor, texts: Tensor) -> Tensor:
        """Return the latents after a step up the cosine of a distorted view, on all scales at once."""
        latents = latents.detach().requires_grad_()
        images = self.parametrization.decode(latents)
        score = (perceptor.encode_images(distort(images, perceptor.size)) * texts).sum(1)
        (slope,) = torch.autograd.grad((score - self.parametrization.penalty(images)).sum(), latents)
        scaled = [avg_pool2d(slope, scale) for scale in SCALES if scale < slope.shape[-1]]
        push = sum((_normalised(_stretched(coarse, slope.shape[-1])) for coarse in scaled), torch.zeros_like(slope))
        size = torch.empty(len(latents), 1, 1, 1).uniform_(*self.parametrization.step_sizes).to(latents)
        return self.parametrization.project((latents + size * _normalised(push)).detach())

    def _renew(self, ended: Tensor) -> None:
        if len(ended):
            latents, nouns = self.parametrization.start(len(ended))
            self.latents[ended], self.nouns[ended] = latents.to(self.latents), nouns.to(self.nouns)
            self.targets[ended] = torch.randint(len(self.texts), (len(ended),)).to(self.targets)
            self.steps_left[ended] = torch.randint(STEPS // 6, STEPS + 1, (len(ended),)).to(self.steps_left)


def _stretched(cells: Tensor, side: int) -> Tensor:
    return interpolate(cells, size=(side, side), mode="bilinear")


def _normalised(slopes: Tensor) -> Tensor:
    """Return the slopes of each picture with a root mean square of 1."""
    normalised: Tensor = slopes / slopes.flatten(1).square().mean(1).sqrt().clamp(min=1e-12).view(-1, 1, 1, 1)
    return normalised

"""Training the diffusion prior, from texts to the features of pictures, by denoising score matching as in EDM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.unclip.prior import Prior
from clipgen.training.loop import Losses, Plan

SHAPE: dict[str, Any] = {"kept": 32, "width": 192, "depth": 6, "heads": 4}
UNCONDITIONAL = 0.1  # share of the features that come without a text
LOG_NOISE = (0.0, 1.4)  # mean and standard deviation of the logarithm of the noise
WORN_WEIGHT = 6.0  # added to that of errors, 1, in the cells that what is worn changes most
CHANGED = 0.5  # mean squared change of a cell, in units of the spread, from which it counts fully
SAMPLED = 3000  # pictures, and captions of each version, from which statistics are computed
CHUNK = 250


@dataclass(frozen=True)
class PriorData:
    """The features of N pictures, and their captions."""

    features: Tensor
    """(N, E)"""
    captions: Tensor
    """Tokens (V, M, T) of V captions of each, where N is a multiple of M: caption k is that of the pictures k, k + M,
    k + 2 M, ..., such as a picture and its mirror image."""
    probabilities: np.ndarray | None = None
    """(M,) of sum 1: how often each is learned from; None for all alike."""
    worn: int = 0
    """The last so many of the M are the same pictures as so many before them, but for what is worn in these."""


class PriorTrainer:
    """A prior, what it learns from, and its loss at a step.

    text_states: from tokens (B, T) of captions to what conditions the prior, (B, 1 + T, D).
    """

    def __init__(
        self,
        plan: Plan,
        prior: Prior,
        data: PriorData,
        text_states: Callable[[Tensor], Tensor],
        device: torch.device,
    ):
        self.plan, self.data, self.text_states, self.device = plan, data, text_states, device
        features = data.features.float()
        some = data.captions[:, :: max(1, len(data.captions[0]) // SAMPLED)].flatten(0, 1)
        vectors = text_states(some)[:, 0].cpu()
        prior.mean.copy_(features.mean(0))
        prior.std.copy_(_spread(features.view(-1, prior.cells, prior.kept)).repeat(prior.cells))
        prior.text_mean.copy_(vectors.mean(0))
        prior.text_std.copy_(vectors.std(0))
        self.cell_weights = _cell_weights(prior, data)
        self.network = prior.to(device)

    def losses_at(self, step: int) -> Losses:
        """Return the error of denoised features, at random levels of noise."""
        rng = np.random.default_rng([self.plan.seed, step])
        versions, count = self.data.captions.shape[:2]
        drawn = torch.from_numpy(rng.choice(count, self.plan.batch, p=self.data.probabilities))
        picked = drawn + count * torch.from_numpy(rng.integers(0, len(self.data.features) // count, self.plan.batch))
        version = torch.from_numpy(rng.integers(0, versions, self.plan.batch))
        conditional = torch.from_numpy(rng.random((self.plan.batch, 1, 1)) >= UNCONDITIONAL).to(self.device)
        clean = (self.data.features[picked].float().to(self.device) - self.network.mean) / self.network.std
        texts = self.text_states(self.data.captions[version, drawn]).to(self.device) * conditional
        sigma = (LOG_NOISE[0] + LOG_NOISE[1] * torch.randn(len(clean))).exp().to(clean)
        noise = torch.randn(clean.shape).to(clean)
        cell_weights = self.cell_weights[picked].to(clean)
        return {"loss": self.network.error(clean, noise, sigma, texts, cell_weights).mean()}


def _cell_weights(prior: Prior, data: PriorData) -> Tensor:
    """Return the weights of errors (N, cells): 1, and more the more what is worn changes the cell."""
    weights = torch.ones(len(data.features) // data.captions.shape[1], data.captions.shape[1], prior.cells)
    if data.worn:
        features = data.features.float().view(*weights.shape[:2], -1) / prior.std
        dressed, bare = features[:, -2 * data.worn : -data.worn], features[:, -data.worn :]
        differ = (dressed - bare).square().view(*dressed.shape[:2], prior.cells, prior.kept).mean(3)
        weights[:, -2 * data.worn :] += WORN_WEIGHT * (differ / CHANGED).clamp(max=1).repeat(1, 2, 1)
    return weights.flatten(0, 1)


def _spread(features: Tensor) -> Tensor:
    """Return what to divide the features (N, cells, F) of cells by: (F,), halfway from their spread to one for all.

    By their spread alone, features that hardly differ would count as much as those that make the picture.
    """
    spread = features.std((0, 1))
    halfway = spread.sqrt()
    scale: Tensor = halfway * (spread / halfway).square().mean().sqrt()
    return scale


@torch.no_grad()
def untrained_prior(guides: Sequence[CLIPPerceptor], pictures: np.ndarray, text: int) -> Prior:
    """Return a prior that is not trained yet, with the principal components of pictures (N, S, S, 3) uint8.

    text: length of the vectors of texts, those of all guides side by side.
    """
    maps = _maps(guides, pixels(pictures[:: max(1, len(pictures) // SAMPLED)], guides[0].mean.device))
    joined = torch.cat([each.flatten(2) for each in maps], 1).transpose(1, 2)
    prior = Prior({"cells": joined.shape[1], "channels": [m.shape[1] for m in maps], "text": text, **SHAPE})
    joined = joined.flatten(0, 1)
    prior.centre.copy_(joined.mean(0))
    prior.basis.copy_(torch.linalg.svd(joined - joined.mean(0), full_matrices=False).Vh[: prior.kept].T)
    return prior


@torch.no_grad()
def features(guides: Sequence[CLIPPerceptor], prior: Prior, pictures: np.ndarray) -> Tensor:
    """Return features (2 N, E), in half precision, of pictures (N, S, S, 3) uint8 and then of their mirror images."""
    found, device = [], guides[0].mean.device
    for k in range(0, len(pictures), CHUNK):
        images = pixels(pictures[k : k + CHUNK], device)
        both = [prior.shorten(_maps(guides, view)) for view in (images, images.flip(3))]
        found.append(torch.stack(both).half())
    return torch.cat(found, 1).flatten(0, 1)


def _maps(guides: Sequence[CLIPPerceptor], images: Tensor) -> list[Tensor]:
    """Return the feature maps (N, C, h, w) of each guide, of whole images (N, 3, H, W), on the CPU."""
    return [guide.encode_with_maps(guide.whole(images))[1].cpu() for guide in guides]


def pixels(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Return pictures (N, S, S, 3) uint8 as images (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 255

"""Training the prior from texts to what guides see in the cells of pictures, by denoising score matching as in EDM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.train.loop import Losses, Plan
from clipgen.starter.unclip.prior import FeaturePrior

SHAPE: dict[str, Any] = {"kept": 32, "width": 192, "depth": 6, "heads": 4}
NULL = 0.1  # share of the features of which nothing is told, so that the prior can do without
STUDY = (0.0, 1.4)  # mean and standard deviation of the logarithm of the noise
HEED = 6.0  # how much more errors count where what is worn changes most
CHANGED = 0.5  # of what is seen in a cell, mean square in units of its spread: as much as counts
SAMPLED = 3000  # pictures, and captions of each version, that statistics are taken of
CHUNK = 250


@dataclass(frozen=True)
class SeenInCells:
    """What is known of N pictures."""

    features: Tensor
    """(N, E)"""
    captions: Tensor
    """Tokens of V of each, (V, M, T), where N is a multiple of M: true of the pictures k, k + M, k + 2 M, as of a
    picture and its mirror image."""
    shares: np.ndarray | None = None
    """(M,) of sum 1: how often each of them is learned from; None for all alike."""
    worn: int = 0
    """Of the M the last so many are the same as so many before them, but for what these wear."""


class FeatureTrainer:
    """A prior, what it learns from, and its loss at a step.

    read: makes of the tokens of captions (B, T) what the prior is told, (B, 1 + T, D).
    """

    def __init__(
        self,
        plan: Plan,
        prior: FeaturePrior,
        seen: SeenInCells,
        read: Callable[[Tensor], Tensor],
        device: torch.device,
    ):
        self.plan, self.seen, self.read, self.device = plan, seen, read, device
        features = seen.features.float()
        some = seen.captions[:, :: max(1, len(seen.captions[0]) // SAMPLED)].flatten(0, 1)
        vectors = read(some)[:, 0].cpu()
        prior.mean.copy_(features.mean(0))
        prior.std.copy_(_spread(features.view(-1, prior.cells, prior.kept)).repeat(prior.cells))
        prior.text_mean.copy_(vectors.mean(0))
        prior.text_std.copy_(vectors.std(0))
        self.heed = _heed(prior, seen)
        self.network = prior.to(device)

    def losses_at(self, step: int) -> Losses:
        """Error of the denoised features at levels of noise drawn anew."""
        rng = np.random.default_rng([self.plan.seed, step])
        versions, count = self.seen.captions.shape[:2]
        drawn = torch.from_numpy(rng.choice(count, self.plan.batch, p=self.seen.shares))
        picked = drawn + count * torch.from_numpy(rng.integers(0, len(self.seen.features) // count, self.plan.batch))
        spoken = torch.from_numpy(rng.integers(0, versions, self.plan.batch))
        told = torch.from_numpy(rng.random((self.plan.batch, 1, 1)) >= NULL).to(self.device)
        clean = (self.seen.features[picked].float().to(self.device) - self.network.mean) / self.network.std
        texts = self.read(self.seen.captions[spoken, drawn]).to(self.device) * told
        sigma = (STUDY[0] + STUDY[1] * torch.randn(len(clean))).exp().to(clean)
        noise = torch.randn(clean.shape).to(clean)
        heed = self.heed[picked].to(clean)
        return {"loss": self.network.error(clean, noise, sigma, texts, heed).mean()}


def _heed(prior: FeaturePrior, seen: SeenInCells) -> Tensor:
    """How much errors in each cell count, (N, cells): more, the more what someone wears changes there."""
    heed = torch.ones(len(seen.features) // seen.captions.shape[1], seen.captions.shape[1], prior.cells)
    if seen.worn:
        features = seen.features.float().view(*heed.shape[:2], -1) / prior.std
        dressed, bare = features[:, -2 * seen.worn : -seen.worn], features[:, -seen.worn :]
        differ = (dressed - bare).square().view(*dressed.shape[:2], prior.cells, prior.kept).mean(3)
        heed[:, -2 * seen.worn :] += HEED * (differ / CHANGED).clamp(max=1).repeat(1, 2, 1)
    return heed.flatten(0, 1)


def _spread(features: Tensor) -> Tensor:
    """By what to divide features (N, cells, F) of a cell: (F,), between their spread and the same for all.

    What differs little would else count as much as what makes the picture.
    """
    spread = features.std((0, 1))
    halfway = spread.sqrt()
    scale: Tensor = halfway * (spread / halfway).square().mean().sqrt()
    return scale


@torch.no_grad()
def fresh_prior(guides: Sequence[CLIPPerceptor], pictures: np.ndarray, text: int) -> FeaturePrior:
    """A prior, not trained yet, that keeps what differs most in the cells of pictures (N, S, S, 3) uint8.

    text: length of the vectors of texts that it will be told, those of all guides side by side.
    """
    maps = _maps(guides, pixels(pictures[:: max(1, len(pictures) // SAMPLED)], guides[0].mean.device))
    joined = torch.cat([each.flatten(2) for each in maps], 1).transpose(1, 2)
    prior = FeaturePrior({"cells": joined.shape[1], "channels": [m.shape[1] for m in maps], "text": text, **SHAPE})
    joined = joined.flatten(0, 1)
    prior.centre.copy_(joined.mean(0))
    prior.basis.copy_(torch.linalg.svd(joined - joined.mean(0), full_matrices=False).Vh[: prior.kept].T)
    return prior


@torch.no_grad()
def features(guides: Sequence[CLIPPerceptor], prior: FeaturePrior, pictures: np.ndarray) -> Tensor:
    """Features (2 N, E), in half precision, of pictures (N, S, S, 3) uint8 and then of their mirror images."""
    seen, device = [], guides[0].mean.device
    for k in range(0, len(pictures), CHUNK):
        images = pixels(pictures[k : k + CHUNK], device)
        both = [prior.shorten(_maps(guides, view)) for view in (images, images.flip(3))]
        seen.append(torch.stack(both).half())
    return torch.cat(seen, 1).flatten(0, 1)


def _maps(guides: Sequence[CLIPPerceptor], images: Tensor) -> list[Tensor]:
    """What each guide sees in the cells of whole images (N, 3, H, W): (N, C, h, w), on the CPU."""
    return [guide.encode_with_maps(guide.whole(images))[1].cpu() for guide in guides]


def pixels(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Pictures (N, S, S, 3) uint8 as images (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 255

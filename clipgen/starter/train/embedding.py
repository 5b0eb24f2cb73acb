"""Training the prior from texts to the vectors of pictures, by denoising score matching as in EDM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipgen.embedding_prior import EmbeddingPrior
from clipgen.perceptor import Perceptor, look
from clipgen.starter.train.loop import Losses, Plan

SHAPE: dict[str, Any] = {"width": 384, "depth": 3}
NULL = 0.1  # share of the vectors of which nothing is told, so that the prior can do without
STUDY = (0.0, 1.6)  # mean and standard deviation of the logarithm of the noise


class EmbeddingTrainer:
    """A prior, the vectors (N, E) of pictures and (V, N, D) of V captions of each that it learns, its loss at a step.

    parts: the length of each perceptor's share of E.
    """

    def __init__(self, plan: Plan, pictures: Tensor, captions: Tensor, parts: Sequence[int], device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.device = plan, device
        self.config = {"parts": list(parts), "text": captions.shape[-1], **SHAPE}
        self.network = EmbeddingPrior(self.config)
        self.network.mean.copy_(pictures.mean(0))
        self.network.std.copy_(pictures.std(0))
        self.network.text_mean.copy_(captions.mean((0, 1)))
        self.network.text_std.copy_(captions.std((0, 1)))
        self.pictures = ((pictures - self.network.mean) / self.network.std).to(device)
        self.captions = captions.to(device)
        self.network.to(device)

    def losses_at(self, step: int) -> Losses:
        """Squared error of the denoised vectors, weighted as in EDM so that every level of noise counts alike."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = torch.from_numpy(rng.integers(0, len(self.pictures), self.plan.batch)).to(self.device)
        spoken = torch.from_numpy(rng.integers(0, len(self.captions), self.plan.batch)).to(self.device)
        told = torch.from_numpy(rng.random((self.plan.batch, 1)) >= NULL).to(self.pictures)
        clean, texts = self.pictures[picked], self.captions[spoken, picked] * told
        sigma = (STUDY[0] + STUDY[1] * torch.randn(len(clean))).exp().to(clean)
        noisy = clean + sigma[:, None] * torch.randn(clean.shape).to(clean)
        error = (self.network.denoise(noisy, sigma, texts) - clean).square().mean(1)
        return {"loss": (error * (1 + 1 / sigma.square())).mean()}


@torch.no_grad()
def looks(perceptors: Sequence[Perceptor], pictures: np.ndarray, chunk: int = 250) -> Tensor:
    """Vectors (2 N, E) of whole pictures (N, S, S, 3) uint8, then of their mirror images, perceptors side by side."""
    seen, device = [], perceptors[0].mean.device
    for k in range(0, len(pictures), chunk):
        pixels = torch.from_numpy(np.array(pictures[k : k + chunk])).to(device).permute(0, 3, 1, 2).float() / 255
        seen.append(torch.cat([look(perceptors, pixels), look(perceptors, pixels.flip(3))], 1).cpu())
    return torch.cat(torch.cat(seen).chunk(2, dim=1))

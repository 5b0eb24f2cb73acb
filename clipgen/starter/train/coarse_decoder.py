"""Training the coarse decoder, which learns the mean of all pictures that have given features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.starter.unclip.coarse_decoder import CoarseDecoder
from clipgen.training.loop import Losses, Plan

SHAPE: dict[str, Any] = {"width": 256, "depth": 4, "heads": 4, "channels": 64}
NOISE = 0.1  # added to features, in units of their spread: those that the prior draws are not exact


class CoarseDecoderTrainer:
    """A coarse decoder, what it learns from, and its loss at a step.

    pictures (N, S, S, 3) uint8; features (2 N, E) of these and then of their mirror images; cells: along each side.
    """

    def __init__(self, plan: Plan, pictures: np.ndarray, features: Tensor, cells: int, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.pictures, self.features, self.device = plan, pictures, features, device
        decoder = CoarseDecoder({"cells": cells, "kept": features.shape[1] // cells**2, **SHAPE})
        decoder.mean.copy_(features.float().mean(0))
        decoder.std.copy_(features.float().std(0))
        self.network = decoder.to(device)

    def losses_at(self, step: int) -> Losses:
        """Return the mean absolute error of the pixels, which keeps more of edges than the squared one."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = np.sort(rng.integers(0, len(self.features), self.plan.batch))
        clean = self.features[torch.from_numpy(picked)].float().to(self.device)
        drawn = self.network(clean + NOISE * self.network.std * torch.randn(clean.shape).to(clean))
        return {"loss": (drawn - self._pictures(picked, drawn)).abs().mean()}

    def _pictures(self, picked: np.ndarray, like: Tensor) -> Tensor:
        """Return the pictures, or their mirror images, at the size of `like`."""
        pixels = torch.from_numpy(self.pictures[picked % len(self.pictures)]).to(like) / 255
        pixels = interpolate(pixels.permute(0, 3, 1, 2), like.shape[2:], mode="area")
        mirrored = torch.from_numpy(picked >= len(self.pictures)).to(like.device)
        return torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)

"""Training what draws a first sketch from features: it learns the mean of all pictures that have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.starter.train.loop import Losses, Plan
from clipgen.starter.unclip.coarse import Sketcher

SHAPE: dict[str, Any] = {"width": 256, "depth": 4, "heads": 4, "channels": 64}
BLUR = 0.1  # of what is added to features, in units of their spread: imagined ones are not exact


class SketchTrainer:
    """A sketcher, pictures (N, S, S, 3) uint8, the features (2 N, E) of them and of their mirror images, the loss.

    cells: along each side, of which the pictures have features.
    """

    def __init__(self, plan: Plan, pictures: np.ndarray, features: Tensor, cells: int, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.pictures, self.features, self.device = plan, pictures, features, device
        sketcher = Sketcher({"cells": cells, "kept": features.shape[1] // cells**2, **SHAPE})
        sketcher.mean.copy_(features.float().mean(0))
        sketcher.std.copy_(features.float().std(0))
        self.network = sketcher.to(device)

    def losses_at(self, step: int) -> Losses:
        """Mean absolute error of the pixels, which keeps more of edges than the squared one."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = np.sort(rng.integers(0, len(self.features), self.plan.batch))
        seen = self.features[torch.from_numpy(picked)].float().to(self.device)
        drawn = self.network(seen + BLUR * self.network.std * torch.randn(seen.shape).to(seen))
        return {"loss": (drawn - self._pictures(picked, drawn)).abs().mean()}

    def _pictures(self, picked: np.ndarray, like: Tensor) -> Tensor:
        """The pictures, or their mirror images, at the size of what is drawn."""
        pixels = torch.from_numpy(self.pictures[picked % len(self.pictures)]).to(like) / 255
        pixels = interpolate(pixels.permute(0, 3, 1, 2), like.shape[2:], mode="area")
        mirrored = torch.from_numpy(picked >= len(self.pictures)).to(like.device)
        return torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)

"""Training the denoiser of drawn pictures: denoising score matching as in EDM (Karras et al., 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.prior import Prior
from clipgen.starter.train.loop import Losses, Plan

CONFIG: dict[str, Any] = {
    "size": 64,
    "space_to_depth": 4,
    "spread": 0.55,
    "ddconfig": {
        "ch": 64,
        "out_ch": 48,
        "ch_mult": [1, 2],
        "num_res_blocks": 1,
        "attn_resolutions": [8],
        "in_channels": 48,
        "resolution": 16,
    },
}
LOG_SIGMA = -0.9, 1.1  # mean and standard deviation of the logarithm of the noise
FLOOR = 0.1  # added to the variance of the noise, over which errors are counted


class PriorTrainer:
    """A prior, the pictures (N, S, S, 3) uint8 it learns, and its loss at a step."""

    def __init__(self, plan: Plan, pictures: np.ndarray, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.pictures, self.device = plan, pictures, device
        self.network = Prior(CONFIG).to(device).to(memory_format=torch.channels_last)

    def losses_at(self, step: int) -> Losses:
        """Squared error of the denoised pictures, weighted so that no level of noise drowns the others."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = np.sort(rng.integers(0, len(self.pictures), self.plan.batch))
        pixels = torch.from_numpy(self.pictures[picked]).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        side = CONFIG["size"]
        clean = interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        mirrored = torch.from_numpy(rng.random(len(clean)) < 0.5).to(self.device).view(-1, 1, 1, 1)
        clean = torch.where(mirrored, clean.flip(3), clean)
        mean, spread = LOG_SIGMA
        sigma = (mean + spread * torch.randn(len(clean))).exp().to(clean)
        return {"loss": self._error(clean, sigma)}

    def _error(self, clean: Tensor, sigma: Tensor) -> Tensor:
        level = sigma.view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape).to(clean)
        drawn = self.network.denoise(clean + level * noise, sigma)
        return ((drawn - clean).square() / (level.square() + FLOOR)).mean()

"""What pictures look like at all: a denoiser of drawn pictures, whose pull keeps dreams from being mere smears.

Where it would move a noisy picture to is where pictures are more likely: plug and play generative networks (Nguyen et
al., 2017, arXiv 1612.00005). Trained by denoising score matching as in EDM (Karras et al., 2022, arXiv 2206.00364).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from taming.modules.diffusionmodules.model import Model
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

from clipgen import weights
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
STUDY = (-0.9, 1.1)  # mean and standard deviation of the logarithm of the noise
CAP = 0.1  # of what errors count where there is hardly any noise: 1 / (sigma^2 + CAP)


class Prior(nn.Module):
    """taming's diffusion network as a denoiser that gives the clean picture itself, and so can pass no noise on.

    (Predicting noise, or a part of it, takes a wider network: Li and He, 2025, arXiv 2511.13720.)

    config: `size`, the side of the pictures it was trained on; `space_to_depth`; `spread`, the standard deviation of
    the pixels in [-1, 1]; `ddconfig`, the arguments of `taming.modules.diffusionmodules.model.Model`.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.size: int = config["size"]
        self.block: int = config["space_to_depth"]
        self.spread: float = config["spread"]
        self.model = Model(**config["ddconfig"])

    def denoise(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """The mean of the pictures (B, 3, H, W) in [-1, 1] that noise of standard deviation sigma (B,) made noisy."""
        level = sigma.view(-1, 1, 1, 1)
        total = (level.square() + self.spread**2).sqrt()
        cells = pixel_unshuffle(noisy / total, self.block)
        clean: Tensor = pixel_shuffle(self.model(cells, 250 * sigma.log() + 500), self.block)
        return clean

    def unlikeliness(self, images: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """How far pictures are from what the prior makes of them at a level of noise; its gradient is their pull.

        images (B, 3, H, W) in [0, 1], sigma (B,), noise (B, 3, size, size); returns (B,), the mean square of what noise
        and denoising change. The denoised picture counts as a constant: the gradient is then, up to a factor, that of
        the likelihood of noisy pictures (DreamFusion, Poole et al., 2022, equation 3).
        """
        shrunk = interpolate(images, noise.shape[2:], mode="bilinear", antialias=True) * 2 - 1
        with torch.no_grad():
            likelier = self.denoise(shrunk + sigma.view(-1, 1, 1, 1) * noise, sigma)
        return (shrunk - likelier).square().mean((1, 2, 3))


def build_prior(checkpoint: weights.Checkpoint) -> Prior:
    """The prior of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    return weights.build(checkpoint, "prior", Prior)


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
        clean = interpolate(pixels, size=(self.network.size,) * 2, mode="bilinear", antialias=True)
        mirrored = torch.from_numpy(rng.random(len(clean)) < 0.5).to(self.device).view(-1, 1, 1, 1)
        clean = torch.where(mirrored, clean.flip(3), clean)
        sigma = (STUDY[0] + STUDY[1] * torch.randn(len(clean))).exp().to(clean)
        level = sigma.view(-1, 1, 1, 1)
        drawn = self.network.denoise(clean + level * torch.randn(clean.shape).to(clean), sigma)
        return {"loss": ((drawn - clean).square() / (level.square() + CAP)).mean()}

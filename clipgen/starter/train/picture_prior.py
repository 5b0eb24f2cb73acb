"""A denoiser of drawn pictures, which keeps adversarial negatives from being mere smears.

It moves a noisy picture to where pictures are more likely: plug and play generative networks (Nguyen et al., 2017,
arXiv 1612.00005). Trained by denoising score matching as in EDM (Karras et al., 2022, arXiv 2206.00364).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from taming.modules.diffusionmodules.model import Model
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

from clipgen.training.loop import Losses, Plan
from clipgen.weights.checkpoint import Checkpoint, build

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
LOG_NOISE = (-0.9, 1.1)  # mean and standard deviation of the logarithm of the noise
FLOOR = 0.1  # errors are weighted by 1 / (sigma^2 + FLOOR)


class PicturePrior(nn.Module):
    """taming's diffusion network as a denoiser that predicts the clean picture.

    To predict noise, or a part of it, takes a wider network (Li and He, 2025, arXiv 2511.13720).

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
        """Return the mean of what noisy pictures (B, 3, H, W) in [-1, 1] may be, less noise of deviation sigma (B,)."""
        level = sigma.view(-1, 1, 1, 1)
        total = (level.square() + self.spread**2).sqrt()
        cells = pixel_unshuffle(noisy / total, self.block)
        clean: Tensor = pixel_shuffle(self.model(cells, 250 * sigma.log() + 500), self.block)
        return clean

    def unlikeliness(self, images: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """Return (B,) how far pictures are from what the prior makes of them at a level of noise.

        images (B, 3, H, W) in [0, 1], sigma (B,), noise (B, 3, size, size). The distance is the mean square of what
        noise and denoising change. The denoised picture counts as a constant: up to a factor the gradient is then that
        of the likelihood of noisy pictures (DreamFusion, Poole et al., 2022, equation 3).
        """
        shrunk = interpolate(images, noise.shape[2:], mode="bilinear", antialias=True) * 2 - 1
        with torch.no_grad():
            likelier = self.denoise(shrunk + sigma.view(-1, 1, 1, 1) * noise, sigma)
        return (shrunk - likelier).square().mean((1, 2, 3))


def build_picture_prior(checkpoint: Checkpoint) -> PicturePrior:
    """Return the prior of a checkpoint with its weights; ClipgenError if the checkpoint is of another kind."""
    return build(checkpoint, "prior", PicturePrior)


class PicturePriorTrainer:
    """A picture prior, the pictures (N, S, S, 3) uint8 it learns from, and its loss at a step."""

    def __init__(self, plan: Plan, pictures: np.ndarray, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.pictures, self.device = plan, pictures, device
        self.network = PicturePrior(CONFIG).to(device).to(memory_format=torch.channels_last)

    def losses_at(self, step: int) -> Losses:
        """Return the squared error of denoised pictures, weighted so that no level of noise outweighs the others."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = np.sort(rng.integers(0, len(self.pictures), self.plan.batch))
        pixels = torch.from_numpy(self.pictures[picked]).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        clean = interpolate(pixels, size=(self.network.size,) * 2, mode="bilinear", antialias=True)
        mirrored = torch.from_numpy(rng.random(len(clean)) < 0.5).to(self.device).view(-1, 1, 1, 1)
        clean = torch.where(mirrored, clean.flip(3), clean)
        sigma = (LOG_NOISE[0] + LOG_NOISE[1] * torch.randn(len(clean))).exp().to(clean)
        level = sigma.view(-1, 1, 1, 1)
        drawn = self.network.denoise(clean + level * torch.randn(clean.shape).to(clean), sigma)
        return {"loss": ((drawn - clean).square() / (level.square() + FLOOR)).mean()}

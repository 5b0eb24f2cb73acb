"""Training the VQGAN's encoder for re-encoding: of a blurred or smeared picture it gives the codes of the clean one.

Guidance makes smooth what it has no say in, and the decoder was trained on no such picture. The rest of the network
stays as it is, so that codes keep their look. After denoising autoencoders (Vincent et al., 2008).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, mse_loss

from clipgen.generators.networks import VQGANNetwork
from clipgen.training.crops import crops
from clipgen.training.loop import Losses, Plan
from clipgen.training.reconstruction import code_indices

CLEAN, SMEARED = 0.25, 0.4  # shares of the batches that stay clean, and whose codes are smoothed; the rest is blurred
MAX_SHRINK = 5.0  # blurred pictures are shrunk by up to this factor, and enlarged again
MAX_NOISE = 0.04  # standard deviation of the pixel noise, at most
MAX_CODE_NOISE = 0.6  # the same of smoothed codes, in units of their spread
TEMPERATURE = 2.0  # squared distances over this are the negated logits of codes


class ReencodingTrainer:
    """A VQGAN whose encoder learns, and its loss at a step."""

    def __init__(self, network: VQGANNetwork, plan: Plan, pictures: np.ndarray):
        self.teacher = copy.deepcopy(network).eval().requires_grad_(False)
        self.network = network.requires_grad_(False)
        for part in (network.encoder, network.quant_conv):
            part.requires_grad_(True)
        self.plan, self.pictures = plan, pictures
        self.device = next(network.parameters()).device

    def losses_at(self, step: int) -> Losses:
        """Return the cross-entropy with the codes of clean crops, the distance from these, and the sum of both."""
        target = crops(self.pictures, self.plan.batch, self.plan.seed, step).to(self.device)
        indices = code_indices(self.teacher, target)
        latent = self.network.encode(self.degraded(target, indices)).float()
        cells, codes = latent.permute(0, 2, 3, 1).flatten(0, 2), self.network.codebook
        with torch.autocast(self.device.type, enabled=False):
            logits = (2 * cells @ codes.T - codes.square().sum(1)) / TEMPERATURE
        losses = {"choice": cross_entropy(logits, indices.flatten())}
        losses["distance"] = mse_loss(latent, self.network.lookup(indices))
        losses["loss"] = losses["choice"] + losses["distance"]
        return losses

    @torch.no_grad()
    def degraded(self, images: Tensor, indices: Tensor) -> Tensor:
        """Return images (B, 3, H, W), whose codes these are, blurred or smeared and noisy, or as they are."""
        kind, strength = torch.rand(2).tolist()
        if kind < CLEAN:
            return images
        if kind < CLEAN + SMEARED:
            images = self._smeared(indices, strength)
        else:
            small = [max(1, round(side / (1 + (MAX_SHRINK - 1) * strength))) for side in images.shape[2:]]
            small_images = interpolate(images, small, mode="bilinear", antialias=True)
            images = interpolate(small_images, images.shape[2:], mode="bicubic")
        noise = MAX_NOISE * torch.rand(len(images), 1, 1, 1).to(images)
        return (images + noise * torch.randn_like(images)).clamp(0, 1)

    def _smeared(self, indices: Tensor, strength: float) -> Tensor:
        """Return the pictures of smoothed and noisy codes."""
        codes = self.teacher.lookup(indices)
        smooth = avg_pool2d(nn.functional.pad(codes, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        codes = codes.lerp(smooth, torch.rand(len(codes), 1, 1, 1).to(codes).sqrt())
        stray = MAX_CODE_NOISE * strength * self.teacher.codebook.std() * torch.randn_like(codes)
        return self.teacher.decode(self.teacher.straight_through(codes + stray)).clamp(0, 1)

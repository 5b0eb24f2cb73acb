"""Teaching an encoder to restore: of a picture that is blurred or smeared it gives the codes of the clean one.

What guidance draws is smooth where it has no say, and no picture the decoder was trained on is. The rest of the network
stays as it is, so that what codes look like does not change. After denoising autoencoders (Vincent et al., 2008).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, mse_loss

from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.crops import crops
from clipgen.starter.train.loop import Losses, Plan
from clipgen.starter.train.reconstruction import code_indices

CLEAN, SMEARED = 0.25, 0.4  # share of the batches that are left as they are, and whose codes are smoothed; else blurred
BLUREST = 5.0  # times smaller that a picture is made before it is enlarged again, at most
NOISE = 0.04  # standard deviation of the pixels' noise, at most
STRAY = 0.6  # standard deviation of the noise of smoothed codes, in units of theirs, at most
DISTANCE = 2.0  # squared distance of a code that makes it as much less likely as one of logits does


class RestorationTrainer:
    """A VQGAN whose encoder learns, and its loss at a step."""

    def __init__(self, network: VQGANNetwork, plan: Plan, pictures: np.ndarray):
        self.teacher = copy.deepcopy(network).eval().requires_grad_(False)
        self.network = network.requires_grad_(False)
        for part in (network.encoder, network.quant_conv):
            part.requires_grad_(True)
        self.plan, self.pictures = plan, pictures
        self.device = next(network.parameters()).device

    def losses_at(self, step: int) -> Losses:
        """Cross-entropy with the codes of clean crops, by the distance to each code, and how far those are."""
        target = crops(self.pictures, self.plan.batch, self.plan.seed, step).to(self.device)
        indices = code_indices(self.teacher, target)
        latent = self.network.encode(self._worsened(target, indices)).float()
        cells, codes = latent.permute(0, 2, 3, 1).flatten(0, 2), self.network.codebook
        with torch.autocast(self.device.type, enabled=False):
            logits = (2 * cells @ codes.T - codes.square().sum(1)) / DISTANCE
        losses = {"choice": cross_entropy(logits, indices.flatten())}
        losses["distance"] = mse_loss(latent, self.network.lookup(indices))
        losses["loss"] = losses["choice"] + losses["distance"]
        return losses

    @torch.no_grad()
    def _worsened(self, images: Tensor, indices: Tensor) -> Tensor:
        kind, strength = torch.rand(2).tolist()
        if kind < CLEAN:
            return images
        if kind < CLEAN + SMEARED:
            images = self._smeared(indices, strength)
        else:
            small = [max(1, round(side / (1 + (BLUREST - 1) * strength))) for side in images.shape[2:]]
            small_images = interpolate(images, small, mode="bilinear", antialias=True)
            images = interpolate(small_images, images.shape[2:], mode="bicubic")
        noise = NOISE * torch.rand(len(images), 1, 1, 1).to(images)
        return (images + noise * torch.randn_like(images)).clamp(0, 1)

    def _smeared(self, indices: Tensor, strength: float) -> Tensor:
        """What smoothed and noisy codes look like."""
        codes = self.teacher.lookup(indices)
        smooth = avg_pool2d(nn.functional.pad(codes, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        codes = codes.lerp(smooth, torch.rand(len(codes), 1, 1, 1).to(codes).sqrt())
        stray = STRAY * strength * self.teacher.codebook.std() * torch.randn_like(codes)
        return self.teacher.decode(self.teacher.straight_through(codes + stray)).clamp(0, 1)

"""Training a small VQGAN (Esser et al., 2021) on the drawn world: EMA codebook, no adversary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss, one_hot

from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptor import Perceptor
from clipgen.starter.train.crops import FEATURE_STAGES, FeatureDistance, crops, edge_distance
from clipgen.starter.train.loop import Fit, Losses, Plan, Report

CONFIG: dict[str, Any] = {
    "space_to_depth": 8,
    "embed_dim": 32,
    "n_embed": 1024,
    "ddconfig": {
        "double_z": False,
        "z_channels": 128,
        "resolution": 16,
        "in_channels": 192,
        "out_ch": 192,
        "ch": 128,
        "ch_mult": [1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
}
CONTINUOUS_STEPS = 400  # an autoencoder first, so that k-means finds codes worth having
REPLACED = 0.04  # share of cells given a random code, so that the decoder forgives guided latents
COMMITMENT = 0.25
EMA = 0.99
FEATURES_FROM = 0.55  # share of the steps after which the CLIP's features join the loss
REVIVE_EVERY, DEAD = 50, 0.05


class LearningVQGAN(VQGANNetwork):
    """A VQGAN with the running statistics that its codebook follows: how often each code is used, and by what."""

    uses: Tensor
    sums: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__(config)
        self.codebook.requires_grad_(False)
        self.register_buffer("uses", torch.ones(len(self.codebook)))
        self.register_buffer("sums", torch.zeros_like(self.codebook))


class VQGANTrainer:
    """The network and its loss at a step."""

    def __init__(self, plan: Plan, pictures: np.ndarray, perceptor: Perceptor):
        torch.manual_seed(plan.seed)
        self.network = LearningVQGAN(CONFIG).to(memory_format=torch.channels_last)
        self.plan = plan
        self.pictures = pictures
        self.features = FeatureDistance(perceptor, FEATURE_STAGES)
        self.device = next(perceptor.parameters()).device
        self.network.to(self.device)

    def losses_at(self, step: int) -> Losses:
        """Pixels, edges, features and commitment for a step's crops."""
        target = crops(self.pictures, self.plan.batch, self.plan.seed, step).to(self.device)
        latent = self.network.encode(target)
        commitment = latent.new_zeros(())
        codes = latent
        if step >= CONTINUOUS_STEPS:
            if step == CONTINUOUS_STEPS:
                self._set_codes(latent.detach())
            indices = self.network.nearest(latent)
            self._follow(latent.detach(), indices, step)
            commitment = mse_loss(latent, self.network.lookup(indices))
            kept = (torch.rand_like(indices, dtype=torch.float) > REPLACED)[:, None]
            stray = self.network.lookup(torch.randint_like(indices, len(self.network.codebook)))
            codes = torch.where(kept, self.network.straight_through(latent), stray)
        drawn = self.network.decode(codes)
        losses = {"l1": l1_loss(drawn, target), "edges": edge_distance(drawn, target), "commitment": commitment}
        losses["tint"] = mse_loss(avg_pool2d(drawn, 8), avg_pool2d(target, 8))
        losses["loss"] = losses["l1"] + losses["edges"] + 4 * losses["tint"] + COMMITMENT * commitment
        if step >= FEATURES_FROM * self.plan.steps:
            losses["features"] = self.features(drawn, target)
            losses["loss"] = losses["loss"] + 0.25 * losses["features"]
        return losses

    @torch.no_grad()
    def _set_codes(self, latent: Tensor, rounds: int = 8) -> None:
        """k-means on the cells of many batches' latents."""
        cells = [latent] + [
            self.network.encode(crops(self.pictures, 32, self.plan.seed + 1, k).to(self.device)) for k in range(24)
        ]
        flat = torch.cat([_flat(cell) for cell in cells])
        codes = self.network.codebook
        codes.copy_(flat[torch.randperm(len(flat))[: len(codes)]])
        for _ in range(rounds):
            owner = torch.cat([torch.cdist(part, codes).argmin(1) for part in torch.split(flat, 4096)])
            count = torch.bincount(owner, minlength=len(codes)).clamp(min=1)
            codes.copy_(torch.zeros_like(codes).index_add_(0, owner, flat) / count[:, None])
        self.network.sums.copy_(codes)
        self.network.uses.fill_(1.0)

    @torch.no_grad()
    def _follow(self, latent: Tensor, indices: Tensor, step: int) -> None:
        """Move each code towards the running mean of its cells; give codes that died a random cell."""
        flat, owner = _flat(latent), indices.flatten()
        chosen = one_hot(owner, len(self.network.codebook)).float()
        self.network.uses.lerp_(chosen.sum(0), 1 - EMA)
        self.network.sums.lerp_(chosen.T @ flat, 1 - EMA)
        if step % REVIVE_EVERY == 0:
            dead = self.network.uses < DEAD
            fresh = flat[torch.randint(0, len(flat), (int(dead.sum()),))]
            self.network.sums[dead], self.network.uses[dead] = fresh, 1.0
        self.network.codebook.copy_(self.network.sums / self.network.uses.clamp(min=1e-4)[:, None])


def _flat(latent: Tensor) -> Tensor:
    return latent.permute(0, 2, 3, 1).flatten(0, 2)


def train_vqgan(plan: Plan, folder: Path, pictures: np.ndarray, perceptor: Perceptor, report: Report) -> VQGANNetwork:
    """Train from scratch or from the folder's state; returns the averaged network."""
    trainer = VQGANTrainer(plan, pictures, perceptor)
    fit = Fit(folder, trainer.network, plan)
    fit.resume()
    fit.run(trainer.losses_at, report)
    return fit.averaged.eval()

"""Training a VQGAN (Esser et al., 2021): EMA codebook, a patch discriminator late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from taming.modules.discriminator.model import NLayerDiscriminator, weights_init
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss, one_hot, relu

from clipgen.generators.networks import VQGANNetwork
from clipgen.training.crops import Distance, Draw, edge_distance
from clipgen.training.loop import Losses, Plan

REPLACED = 0.04  # share of cells given a random code, so that the decoder forgives guided latents
COMMITMENT = 0.25
EMA = 0.99
REVIVE_EVERY, DEAD = 50, 0.05
CRITIC: dict[str, Any] = {"ndf": 24, "n_layers": 2}  # of taming's discriminator: patches of 34 pixels
FOOLING = 0.4  # gradient of the adversarial loss at the last layer, as a share of that of the others


@dataclass(frozen=True)
class VQGANCourse:
    """When the parts of a VQGAN's training begin."""

    continuous: int = 400
    """Steps as an autoencoder without codes, so that k-means finds codes worth having."""
    features_from: float = 0.2
    """Share of the steps after which the distance of features joins the loss."""
    critic_from: float = 0.6
    """Share of the steps after which the critic learns; 1 is no critic."""
    fooling_from: float = 0.65
    """Share of the steps after which the critic counts."""


class LearningVQGAN(VQGANNetwork):
    """A VQGAN with a critic, and with the running means that its codebook follows: uses of each code, sums of cells."""

    uses: Tensor
    sums: Tensor

    def __init__(self, config: dict[str, Any], *, critic: bool = True):
        super().__init__(config)
        self.codebook.requires_grad_(False)
        self.register_buffer("uses", torch.ones(len(self.codebook)))
        self.register_buffer("sums", torch.zeros_like(self.codebook))
        if critic:
            self.critic = NLayerDiscriminator(**CRITIC).apply(weights_init)


class VQGANTrainer:
    """The network and its loss at a step."""

    def __init__(
        self,
        config: dict[str, Any],
        plan: Plan,
        draw: Draw,
        features: Distance | None,
        device: torch.device,
        course: VQGANCourse = VQGANCourse(),
    ):
        torch.manual_seed(plan.seed)
        self.network = LearningVQGAN(config, critic=course.critic_from < 1).to(memory_format=torch.channels_last)
        self.plan, self.course, self.continuous = plan, course, course.continuous
        self.draw, self.features, self.device = draw, features, device
        self.network.to(device)

    def start_from(self, tensors: dict[str, Tensor]) -> None:
        """Start from the weights of a trained network, whose codes need no k-means."""
        self.network.load_state_dict(
            {**self.network.state_dict(), **tensors, "sums": tensors["quantize.embedding.weight"]}
        )
        self.continuous = 0

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step: pixels, edges, tint, commitment; later also features and the critic."""
        target = self.draw(self.plan.batch, self.plan.seed, step).to(self.device)
        codes, commitment = self._codes(target, step)
        drawn = self.network.decode(codes)
        losses = {"l1": l1_loss(drawn, target), "edges": edge_distance(drawn, target), "commitment": commitment}
        losses["tint"] = mse_loss(avg_pool2d(drawn, 8), avg_pool2d(target, 8))
        losses["loss"] = losses["l1"] + losses["edges"] + 4 * losses["tint"] + COMMITMENT * commitment
        done = step / self.plan.steps
        if self.features is not None and done >= self.course.features_from:
            losses["features"] = self.features(drawn, target)
            losses["loss"] = losses["loss"] + 0.25 * losses["features"]
        if done >= self.course.fooling_from:
            losses["fooling"] = self._fooling(drawn, losses["loss"])
            losses["loss"] = losses["loss"] + losses["fooling"]
        if done >= self.course.critic_from:
            losses["critic"] = self._criticism(drawn.detach(), target)
            losses["loss"] = losses["loss"] + losses["critic"]
        return losses

    def _codes(self, target: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the codes of a step's pictures, a few of them replaced, and the commitment loss."""
        latent = self.network.encode(target).float()
        with torch.autocast(self.device.type, enabled=False):  # codes that lie near one another need all digits
            return self._nearest(latent, step)

    def _nearest(self, latent: Tensor, step: int) -> tuple[Tensor, Tensor]:
        if step < self.continuous:
            return latent, latent.new_zeros(())
        if step == self.continuous > 0:
            self._set_codes(latent.detach())
        indices = self.network.nearest(latent)
        self._follow(latent.detach(), indices, step)
        kept = (torch.rand_like(indices, dtype=torch.float) > REPLACED)[:, None]
        stray = self.network.lookup(torch.randint_like(indices, len(self.network.codebook)))
        codes = torch.where(kept, self.network.straight_through(latent), stray)
        return codes, mse_loss(latent, self.network.lookup(indices))

    def _fooling(self, drawn: Tensor, other: Tensor) -> Tensor:
        """Return the adversarial loss, weighted by gradients at the last layer (equation 7 of the paper)."""
        critic = self.network.critic.requires_grad_(False)
        wrong = -critic(drawn).mean()
        critic.requires_grad_(True)
        last = self.network.decoder.conv_out.weight
        pulls = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (other, wrong)]
        weighed: Tensor = FOOLING * pulls[0] / (pulls[1] + 1e-6) * wrong
        return weighed

    def _criticism(self, drawn: Tensor, target: Tensor) -> Tensor:
        """Return the critic's hinge loss."""
        critic = self.network.critic
        loss: Tensor = (relu(1 - critic(target)) + relu(1 + critic(drawn))).mean()
        return loss

    @torch.no_grad()
    def _set_codes(self, latent: Tensor, rounds: int = 8) -> None:
        """Set the codebook by k-means on the latents of many batches."""
        cells = [latent] + [
            self.network.encode(self.draw(32, self.plan.seed + 1, k).to(self.device)) for k in range(24)
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

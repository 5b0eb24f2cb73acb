"""Training a dVAE as DALL-E's was (Ramesh et al., 2021, appendix A): Gumbel-softmax, logit-Laplace, KL."""

from __future__ import annotations

import math
from typing import Any

import torch
from dall_e.utils import logit_laplace_eps
from torch import Tensor
from torch.nn.functional import avg_pool2d, gumbel_softmax, l1_loss, log_softmax, mse_loss

from clipgen.generators.networks import DVAENetwork
from clipgen.training.augment import half_cosine
from clipgen.training.crops import Distance, Draw, edge_distance
from clipgen.training.loop import Losses, Plan

COLDEST = 1 / 16
COOLED = 0.75  # share of the steps after which the temperature has reached its lowest
KL = 0.0005
BALANCE = 0.02  # weight of the KL of the batch's mean code to uniform: a short training else falls to one code
LOGIT_SPREAD = 3.0  # deviation of a code's logit over the cells of the first batch
FEATURES_FROM = 0.55  # share of the steps after which the distance of features joins the loss
SPLIT_EVERY, SPLIT_UNTIL, DEAD = 50, 0.6, 0.02  # steps; share of the steps; times a code's fair share of the cells
NARROWEST = -3.0  # lowest log-scale: flat areas would drive it to minus infinity


def logit_laplace(target: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return the negative log-likelihood of pictures in [0, 1] (equation 4 of the paper), mean over pixels."""
    mapped = (1 - 2 * logit_laplace_eps) * target + logit_laplace_eps
    log_scale = log_scale.clamp(min=NARROWEST)
    return ((torch.logit(mapped) - mean).abs() * torch.exp(-log_scale) + log_scale + math.log(2)).mean()


@torch.no_grad()
def wake(network: DVAENetwork, images: Tensor) -> None:
    """Scale the fresh encoder's logits to differ from cell to cell, and the decoder's input to be seen.

    At dall_e's own start all cells have nearly the same logits and one code moves the decoder by 1/sqrt(K) of its
    scale, so that a short training never leaves the state in which the codes carry nothing.
    """
    logits = network.encode(images)
    output = network.encoder.blocks.output.conv
    gain = LOGIT_SPREAD / logits.std(dim=(0, 2, 3)).mean()
    output.w.mul_(gain)
    output.b.copy_(-gain * logits.mean(dim=(0, 2, 3)))
    network.decoder.blocks.input.w.mul_(network.vocab_size**0.5)


class LearningDVAE(DVAENetwork):
    """A dVAE with a running mean of the share of the cells that have each code."""

    uses: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__(config)
        self.register_buffer("uses", torch.full((self.vocab_size,), 1 / self.vocab_size))

    @torch.no_grad()
    def follow(self, logits: Tensor) -> None:
        """Update the running mean of the shares."""
        drawn = torch.bincount(logits.argmax(1).flatten(), minlength=self.vocab_size).to(self.uses)
        self.uses.lerp_(drawn / drawn.sum(), 0.02)

    @torch.no_grad()
    def split(self) -> None:
        """Replace each code that hardly any cell has by a copy of one that many have, and divide these among both."""
        dead = (self.uses < DEAD / self.vocab_size).nonzero()[:, 0]
        if not len(dead):
            return
        lively = self.uses.clone()
        lively[dead] = 0
        parents = torch.multinomial(lively, len(dead), replacement=True)
        output, table = self.encoder.blocks.output.conv, self.decoder.blocks.input
        families = torch.bincount(parents, minlength=self.vocab_size) + 1
        output.b.sub_(families.to(output.b).log())
        output.b[dead] = output.b[parents]
        output.w[dead] = output.w[parents] * (1 + 0.1 * torch.randn_like(output.w[dead]))
        table.w[:, dead] = table.w[:, parents]
        self.uses.div_(families.to(self.uses))
        self.uses[dead] = self.uses[parents]


class DVAETrainer:
    """The network and its loss at a step."""

    def __init__(
        self,
        config: dict[str, Any],
        plan: Plan,
        draw: Draw,
        features: Distance | None,
        device: torch.device,
    ):
        torch.manual_seed(plan.seed)
        self.network = LearningDVAE(config).requires_grad_(True)
        self.plan, self.warmest = plan, 1.0
        self.draw, self.features, self.device = draw, features, device
        self.network.to(device)
        wake(self.network, draw(16, plan.seed, 0).to(device))

    def start_from(self, tensors: dict[str, Tensor]) -> None:
        """Start from the weights of a trained network, at its last temperature."""
        self.network.load_state_dict({**self.network.state_dict(), **tensors})
        self.warmest = COLDEST

    def temperature(self, step: int) -> float:
        """Return the temperature, a half cosine from 1 to 1/16: a linear one diverges (appendix A.2)."""
        return self.warmest + (COLDEST - self.warmest) * half_cosine(step, int(self.plan.steps * COOLED))

    def kl_weight(self, step: int) -> float:
        """Return the weight of the KL, a half cosine from 0 over the first quarter of the steps (appendix A.2)."""
        return KL * half_cosine(step, self.plan.steps // 4)

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step's pictures: likelihood, KL, edges; later also features."""
        target = self.draw(self.plan.batch, self.plan.seed, step).to(self.device)
        if step % SPLIT_EVERY == 0 and step < SPLIT_UNTIL * self.plan.steps:
            self.network.split()
        logits = self.network.encode(target).float()  # also where the rest is brief: dall_e takes no other
        self.network.follow(logits)
        soft = gumbel_softmax(logits, tau=self.temperature(step), dim=1)
        mean, log_scale = self.network.statistics(soft)
        drawn = (torch.sigmoid(mean) - logit_laplace_eps) / (1 - 2 * logit_laplace_eps)
        spread = log_softmax(logits, 1)
        kl = (spread.exp() * (spread + math.log(self.network.vocab_size))).sum(1).mean()
        usage = spread.exp().mean((0, 2, 3))
        unused = (usage * (usage * self.network.vocab_size).clamp(min=1e-9).log()).sum()
        losses = {"nll": logit_laplace(target, mean, log_scale), "kl": kl, "l1": l1_loss(drawn, target)}
        losses["unused"] = unused
        losses["edges"] = edge_distance(drawn, target)
        losses["tint"] = mse_loss(avg_pool2d(drawn, 8), avg_pool2d(target, 8))
        losses["loss"] = (
            0.05 * losses["nll"]
            + losses["l1"]
            + 4 * losses["tint"]
            + BALANCE * unused
            + losses["edges"]
            + self.kl_weight(step) * kl
        )
        if self.features is not None and step >= FEATURES_FROM * self.plan.steps:
            losses["features"] = self.features(drawn, target)
            losses["loss"] = losses["loss"] + 0.25 * losses["features"]
        return losses

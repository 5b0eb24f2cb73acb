"""Training a prior over the codes of an autoencoder, DALL-E's second stage (Ramesh et al., 2021, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.priors.transformer import PADDING, TokenTransformer, token_losses
from clipgen.training.loop import Losses, Plan
from clipgen.training.progress import Report, counted

WITHOUT_TEXT = 0.1
"""Share of the pictures that come without their text, for classifier-free guidance."""
ENCODED = 64
"""Pictures that are encoded together."""
CHECKED, CHECK_BATCH = 100, 32
"""Steps between two measurements of the loss of pictures that are not learned from, and how many go at once."""

Caption = Callable[[int, np.random.Generator], str]
"""From the index of a picture to one of its captions, chosen by the generator."""


@dataclass(frozen=True)
class Coded:
    """The codes (N, cells) of N pictures, 16-bit, and their captions."""

    codes: Tensor
    caption: Caption


@torch.no_grad()
def codes_of(network: VQGANNetwork | DVAENetwork, pictures: np.ndarray, report: Report) -> Tensor:
    """Return the codes (N, cells), 16-bit, of pictures (N, S, S, 3) uint8."""
    device = next(network.parameters()).device
    progress = counted(report, f"encoding {len(pictures)} pictures: {{}} are done")
    found = []
    for start in range(0, len(pictures), ENCODED):
        part = torch.from_numpy(np.array(pictures[start : start + ENCODED])).to(device)
        found.append(network.codes_of(part.permute(0, 3, 1, 2).float() / 255).flatten(1).short().cpu())
        progress(start + len(part))
    return torch.cat(found)


class PriorTrainer:
    """A prior, what it learns from, and its loss at a step.

    held_out: coded pictures that it does not learn from; every CHECKED steps their loss a code, in nats, is measured.
    """

    def __init__(self, plan: Plan, network: TokenTransformer, learned: Coded, held_out: Coded):
        self.plan, self.network, self.learned, self.held_out = plan, network, learned, held_out
        self._held = torch.zeros(())

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step's texts and codes, and that of held-out codes when it was last measured."""
        if step % CHECKED == 0:
            self._held = self.held_out_loss()
        rng = np.random.default_rng([self.plan.seed, step])
        text, codes = self._batch(self.learned, rng.integers(0, len(self.learned.codes), self.plan.batch), rng)
        text[torch.from_numpy(rng.random(len(text)) < WITHOUT_TEXT).to(text.device)] = PADDING
        return {**token_losses(self.network(text, codes), text, codes), "held_out": self._held}

    @torch.no_grad()
    def held_out_loss(self) -> Tensor:
        """Return the mean loss () of a code of held-out pictures with their captions, in nats."""
        rng, count = np.random.default_rng(self.plan.seed), len(self.held_out.codes)
        total = torch.zeros(())
        for start in range(0, count, CHECK_BATCH):
            picked = np.arange(start, min(start + CHECK_BATCH, count))
            text, codes = self._batch(self.held_out, picked, rng)
            total += token_losses(self.network(text, codes), text, codes)["codes"].cpu() * len(picked)
        return total / count

    def _batch(self, coded: Coded, picked: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        text = self.network.read([coded.caption(int(k), rng) for k in picked])
        return text, coded.codes[torch.from_numpy(picked)].long().to(text.device)

"""Training a prior over the codes of an autoencoder, DALL-E's second stage (Ramesh et al., 2021, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from clipgen.config.priors import PriorSettings
from clipgen.errors import UsageError
from clipgen.generators.networks import DVAENetwork, VQGANNetwork, build_network
from clipgen.priors.sampling import sample
from clipgen.priors.transformer import PADDING, TokenTransformer, token_losses
from clipgen.training.architectures import prior_config
from clipgen.training.autoencoders import write_sheet
from clipgen.training.crops import as_batch
from clipgen.training.loop import Losses, Plan
from clipgen.training.pictures import CaptionedSet
from clipgen.training.progress import Report, counted
from clipgen.training.starts import autoencoder_beside
from clipgen.training.task import MAX_CHECKED, Bench, Task
from clipgen.weights import checkpoint

WITHOUT_TEXT = 0.1
"""Share of the pictures that come without their text, for classifier-free guidance."""
ENCODED = 64
"""Pictures that are encoded together."""
PART = 32
"""Held-out pictures that are measured together."""
SHOWN = 8
"""Captions of which a picture is drawn for a sheet."""

Autoencoder = VQGANNetwork | DVAENetwork
Caption = Callable[[int, np.random.Generator], str]
"""From the index of a picture to one of its captions, chosen by the generator."""


@dataclass(frozen=True)
class Coded:
    """The codes (N, cells) of N pictures, 16-bit, and their captions."""

    codes: Tensor
    caption: Caption


@torch.no_grad()
def codes_of(network: Autoencoder, pictures: np.ndarray, report: Report) -> Tensor:
    """Return the codes (N, cells), 16-bit, of pictures (N, S, S, 3) uint8."""
    device = next(network.parameters()).device
    progress = counted(report, f"encoding {len(pictures)} pictures: {{}} are done")
    found = [torch.empty(0, (pictures.shape[1] // network.stride) ** 2, dtype=torch.int16)]
    for start in range(0, len(pictures), ENCODED):
        images = as_batch(pictures[start : start + ENCODED]).to(device)
        found.append(network.codes_of(images).flatten(1).short().cpu())
        progress(start + len(images))
    return torch.cat(found)


class PriorTrainer:
    """A prior, what it learns from, and its loss at a step.

    held_out: coded pictures that it does not learn from.
    """

    def __init__(self, plan: Plan, network: TokenTransformer, learned: Coded, held_out: Coded):
        self.plan, self.network, self.learned, self.held_out = plan, network, learned, held_out

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step's texts and codes."""
        rng = np.random.default_rng([self.plan.seed, step])
        text, codes = self._batch(self.learned, rng.integers(0, len(self.learned.codes), self.plan.batch), rng)
        text[torch.from_numpy(rng.random(len(text)) < WITHOUT_TEXT).to(text.device)] = PADDING
        return token_losses(self.network(text, codes), text, codes)

    @torch.no_grad()
    def held_out_loss(self, network: TokenTransformer, most: int) -> Tensor:
        """Return the mean loss () of a code of up to `most` held-out pictures with their captions, in nats."""
        rng, count = np.random.default_rng(self.plan.seed), min(len(self.held_out.codes), most)
        total = torch.zeros(())
        for start in range(0, count, PART):
            picked = np.arange(start, min(start + PART, count))
            text, codes = self._batch(self.held_out, picked, rng)
            total += token_losses(network(text, codes), text, codes)["codes"].cpu() * len(picked)
        return total / count

    def _batch(self, coded: Coded, picked: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        text = self.network.read([coded.caption(int(k), rng) for k in picked])
        return text, coded.codes[torch.from_numpy(picked)].long().to(text.device)


class PriorTask(Task):
    """A prior over the codes of the autoencoder in the same folder."""

    def __init__(self, bench: Bench, plan: Plan):
        self.bench = bench
        beside = autoencoder_beside(bench.settings.out)
        network = build_network(checkpoint.read(beside.path)).eval().requires_grad_(False).to(bench.device)
        if not isinstance(network, Autoencoder) or bench.side % network.stride:
            raise UsageError(f"--out {bench.settings.out}: {beside.path.name} has no codes for {bench.side} pixels")
        self.autoencoder, self.beside = network, beside
        side = bench.side // network.stride
        self.config = prior_config(bench.settings.size, network.code_count, side)
        torch.manual_seed(plan.seed)
        self.module: TokenTransformer = TokenTransformer(self.config).to(bench.device)
        learned, held_out = (self._coded(each) for each in (bench.training, bench.held_out))
        self.trainer = PriorTrainer(plan, self.module, learned, held_out)

    def _coded(self, pictures: CaptionedSet) -> Coded:
        def caption(index: int, rng: np.random.Generator) -> str:
            several = pictures.captions[index]
            return several[int(rng.integers(len(several)))]

        return Coded(codes_of(self.autoencoder, pictures.pictures, self.bench.report), caption)

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step."""
        return self.trainer.losses_at(step)

    def held_out_loss(self, module: nn.Module) -> float:
        """Return the loss of a held-out code, in nats."""
        return float(self.trainer.held_out_loss(cast(TokenTransformer, module), MAX_CHECKED))

    def measured(self, module: nn.Module) -> dict[str, Any]:
        """Return the loss of a held-out code in nats, beside that of a prior that knows nothing."""
        loss = self.trainer.held_out_loss(cast(TokenTransformer, module), len(self.bench.held_out))
        return {"nats_a_code": round(float(loss), 4), "of_chance": round(float(np.log(self.module.code_count)), 4)}

    @torch.no_grad()
    def show(self, module: nn.Module, path: Path) -> dict[str, Any]:
        """Write a sheet: pictures of a few captions, as they are drawn, and below them real ones."""
        source = self.bench.held_out if len(self.bench.held_out) else self.bench.training
        texts = [each[0] for each in source.captions[:SHOWN]]
        settings = PriorSettings("token-prior/own", "vqgan/own")
        codes = [sample(cast(TokenTransformer, module), text, [k], settings) for k, text in enumerate(texts)]
        drawn = self.autoencoder.images_of(torch.cat(codes)).cpu().permute(0, 2, 3, 1)
        pictures = (drawn.clamp(0, 1) * 255).round().byte().numpy()
        return {**write_sheet((pictures, np.array(source.pictures[:SHOWN])), path), "captions": texts}

    def network(self, module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the config, which names the autoencoder by its hash, and the tensors of the weight file."""
        beside = {"kind": self.beside.kind, "sha256": self.beside.sha256}
        return {**self.config, "autoencoder": beside}, module.state_dict()

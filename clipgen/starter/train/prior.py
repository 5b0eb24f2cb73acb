"""Training the denoiser of drawn pictures: denoising score matching as in EDM (Karras et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.perceptor import Perceptor
from clipgen.prior import Prior
from clipgen.starter import grammar
from clipgen.starter.english import Claim, say
from clipgen.starter.grammar import Truth
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
NULL = 0.1  # share of the pictures of which nothing is told, so that the prior can do without
CAPTIONS = 3  # of every picture


@dataclass(frozen=True)
class Study:
    """Which noise sigma a prior meets while it learns, and how much its errors count there.

    By 1 / (sigma² + 0.1) + base: as in EDM, but for a cap where there is hardly any noise.
    """

    mean: float
    """Of the logarithm of the noise's standard deviation."""
    spread: float
    """Standard deviation of that logarithm."""
    base: float
    """What an error counts at any noise, beside what falls with it."""

    def weight(self, sigma: Tensor) -> Tensor:
        """How much the errors at a noise count."""
        return 1 / (sigma.square() + 0.1) + self.base


DETAILS = Study(-0.9, 1.1, base=0.0)
LAYOUT = Study(-0.1, 1.1, base=1.0)
"""A text says most where the noise hides what a picture shows, which on 64 pixels a side it does from 4 on; but a
prior that learned mostly there (mean 1.2) drew details worse, and guided to worse pictures."""


class PriorTrainer:
    """A prior, the pictures (N, S, S, 3) uint8 it learns, and its loss at a step.

    readings (V, N, D): vectors of V captions of each picture, where it is told texts.
    """

    def __init__(
        self,
        plan: Plan,
        pictures: np.ndarray,
        device: torch.device,
        study: Study = DETAILS,
        readings: Tensor | None = None,
    ):
        torch.manual_seed(plan.seed)
        self.plan, self.pictures, self.device, self.study, self.readings = plan, pictures, device, study, readings
        self.config = CONFIG if readings is None else {**CONFIG, "text": readings.shape[-1]}
        self.network = Prior(self.config).to(device).to(memory_format=torch.channels_last)
        if readings is not None:
            self.network.text_mean.copy_(readings.mean((0, 1)))
            self.network.text_std.copy_(readings.std((0, 1)))

    def losses_at(self, step: int) -> Losses:
        """Squared error of the denoised pictures, weighted so that no level of noise drowns the others."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = np.sort(rng.integers(0, len(self.pictures), self.plan.batch))
        pixels = torch.from_numpy(self.pictures[picked]).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        side = CONFIG["size"]
        clean = interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        mirrored = torch.from_numpy(rng.random(len(clean)) < 0.5).to(self.device).view(-1, 1, 1, 1)
        clean = torch.where(mirrored, clean.flip(3), clean)
        texts = None if self.readings is None else self._texts(self.readings, picked, rng).to(self.device)
        sigma = (self.study.mean + self.study.spread * torch.randn(len(clean))).exp().to(clean)
        return {"loss": self._error(clean, sigma, texts)}

    def _texts(self, readings: Tensor, picked: np.ndarray, rng: np.random.Generator) -> Tensor:
        """A caption of each picked picture (B, D), of some nothing."""
        texts = readings[rng.integers(0, len(readings), len(picked)), picked]
        return texts * torch.from_numpy(rng.random(len(picked)) >= NULL).view(-1, 1).to(texts)

    def _error(self, clean: Tensor, sigma: Tensor, texts: Tensor | None) -> Tensor:
        level = sigma.view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape).to(clean)
        drawn = self.network.denoise(clean + level * noise, sigma, texts)
        return ((drawn - clean).square() * self.study.weight(level)).mean()


@torch.no_grad()
def readings(perceptor: Perceptor, shown: Sequence[Truth], seed: int, styled: bool = False, chunk: int = 500) -> Tensor:
    """Vectors (CAPTIONS, N, D) of true captions of pictures that show this; `styled`: they name every style."""
    rng = np.random.default_rng(seed)

    def claim(truth: Truth) -> Claim:
        stated = grammar.claim_of(truth, rng)
        return stated | {"style": truth.style} if styled and truth.style else stated

    def read(rows: Sequence[Truth]) -> Tensor:
        return perceptor.encode_texts([say(claim(truth), rng) for truth in rows])

    starts = range(0, len(shown), chunk)
    return torch.stack([torch.cat([read(shown[k : k + chunk]) for k in starts]) for _ in range(CAPTIONS)]).cpu()

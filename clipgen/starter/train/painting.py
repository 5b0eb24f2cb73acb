"""Training what paints over sketches, or upsamples paintings.

It learns latents of pictures, told what is seen, sketched or painted, and said of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.features import pixels
from clipgen.starter.train.loop import Losses, Plan
from clipgen.starter.unclip.coarse import Sketcher
from clipgen.starter.unclip.decoder import Painter

COMPONENTS, EMBEDDING = 3, 192
NARROW, WIDE, WIDE_UPSAMPLING = 64, 128, 64
UNSAID, UNTOLD, UNSHOWN = 0.05, 0.1, 0.1  # shares of the pictures without text, anything, and all but text
STUDY, STUDY_UPSAMPLING, SPREAD = 0.0, -0.4, 1.4  # means and standard deviation of the logarithm of the noise
FLOOR = 0.05  # errors count no more where there is less noise than this
BLUR = 0.3  # of what is added to features at most, in units of their spread: imagined ones are not exact
GRAIN = 0.1  # standard deviation at most of the noise on paintings: those of a painter are not exact either
SAMPLED = 2000  # pictures by whose latents the components are chosen
CHUNK = 100


@dataclass(frozen=True)
class Seen:
    """What is known of N pictures and, after these, of their mirror images."""

    latents: Tensor
    """(2 N, D, h, w)"""
    features: Tensor
    """(2 N, E)"""
    captions: Tensor
    """(V, N, D), true of a picture and of its mirror image."""
    paintings: np.ndarray | None = None
    """(2 N, 3, S, S) uint8, by which an upsampler goes; a painter goes by sketches."""
    shares: np.ndarray | None = None
    """(N,) of sum 1: how often each picture, as it is or mirrored, is learned from; None for all alike."""
    heed: Tensor | None = None
    """(2 N, 1, h, w): how much more than 1 the errors at each place count where all is told."""


class PaintTrainer:
    """A painter that goes by a sketcher, or an upsampler, what it learns from, and its loss at a step."""

    def __init__(self, plan: Plan, seen: Seen, sketcher: Sketcher, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.seen, self.device = plan, seen, device
        self.sketcher = sketcher.to(device).eval().requires_grad_(False)
        upsampling = seen.paintings is not None
        self._study = STUDY_UPSAMPLING if upsampling else STUDY
        size = sketcher.size if seen.paintings is None else seen.paintings.shape[-1]
        latent, side = seen.latents.shape[1:3]
        sides = {"side": side, "block": size // side, "latent": latent, "components": COMPONENTS}
        told = {"cells": sketcher.cells, "kept": sketcher.config["kept"], "text": seen.captions.shape[2]}
        widths = {"narrow": NARROW, "wide": WIDE_UPSAMPLING if upsampling else WIDE, "embedding": EMBEDDING}
        painter = Painter({**told, **sides, **widths})
        painter.mean.copy_(sketcher.mean)
        painter.std.copy_(sketcher.std)
        painter.text_mean.copy_(seen.captions.float().mean((0, 1)))
        painter.text_std.copy_(seen.captions.float().std((0, 1)))
        _keep_components_(painter, seen.latents[:SAMPLED].float())
        self.network = painter.to(device).to(memory_format=torch.channels_last)

    def losses_at(self, step: int) -> Losses:
        """Squared error of the denoised components, weighted as in EDM so that every level of noise counts alike."""
        rng = np.random.default_rng([self.plan.seed, step])
        count = self.seen.captions.shape[1]
        drawn = rng.choice(count, self.plan.batch, p=self.seen.shares)
        picked = torch.from_numpy(drawn + count * rng.integers(0, 2, self.plan.batch))
        spoken = torch.from_numpy(rng.integers(0, len(self.seen.captions), self.plan.batch))
        chance = torch.from_numpy(rng.random((self.plan.batch, 1))).to(self.device)
        said = chance >= UNSAID + UNTOLD
        known = ((chance < UNSAID) | (chance >= UNSAID + UNTOLD + UNSHOWN))[:, :, None, None]
        texts = self.seen.captions[spoken, picked % count].float().to(self.device) * said
        clean = self.network.components(self.seen.latents[picked].float().to(self.device))
        shown = self._shown(picked) * known
        sigma = (self._study + SPREAD * torch.randn(len(clean))).exp().to(clean)
        noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn(clean.shape).to(clean)
        error = (self.network.denoise(noisy, sigma, shown, texts).float() - clean).square()
        if self.seen.heed is not None:
            error = error * (1 + self.seen.heed[picked].to(self.device) * known * said[:, :, None, None])
        return {"loss": (error.mean((1, 2, 3)) * (1 + 1 / (sigma.square() + FLOOR**2))).mean()}

    @torch.no_grad()
    def _shown(self, picked: Tensor) -> Tensor:
        features = self.seen.features[picked].float().to(self.device)
        strength = BLUR * torch.rand(len(features), 1).to(features)
        features = features + strength * self.sketcher.std * torch.randn(features.shape).to(features)
        if self.seen.paintings is None:
            return self.network.shows(features, self.sketcher(features).clamp(0, 1))
        paintings = torch.from_numpy(self.seen.paintings[picked.numpy()]).to(features) / 255
        grain = GRAIN * torch.rand(len(paintings), 1, 1, 1) * torch.randn(paintings.shape)
        return self.network.shows(features, paintings + grain.to(paintings))


def _keep_components_(painter: Painter, latents: Tensor) -> None:
    """Have a painter keep the directions along which latents (N, D, h, w) differ most, each of unit variance."""
    cells = latents.permute(0, 2, 3, 1).flatten(0, 2)
    painter.centre.copy_(cells.mean(0))
    _, lengths, directions = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    kept = painter.shape[0]
    spread = (lengths[:kept] / len(cells) ** 0.5).clamp(min=1e-4)
    painter.shorten.copy_(directions[:kept].T / spread)
    painter.lengthen.copy_(directions[:kept] * spread[:, None])


@torch.no_grad()
def latents(network: VQGANNetwork, pictures: np.ndarray, device: torch.device) -> Tensor:
    """Latents (2 N, D, h, w), in half precision, of pictures (N, S, S, 3) uint8 and then of their mirror images."""
    found: list[Sequence[Tensor]] = []
    for k in range(0, len(pictures), CHUNK):
        images = pixels(pictures[k : k + CHUNK], device)
        found.append([network.encode(view).half().cpu() for view in (images, images.flip(3))])
    plain, mirrored = zip(*found, strict=True)
    return torch.cat([*plain, *mirrored])


@torch.no_grad()
def painted(network: VQGANNetwork, latents: Tensor, device: torch.device) -> np.ndarray:
    """Pictures (N, 3, S, S) uint8 that a network decodes of the codes nearest to latents (N, D, h, w)."""
    decoded: list[np.ndarray] = []
    for some in torch.split(latents, CHUNK):
        codes = network.lookup(network.nearest(some.float().to(device)))
        decoded.append((255 * network.decode(codes).clamp(0, 1)).round().byte().cpu().numpy())
    return np.concatenate(decoded)

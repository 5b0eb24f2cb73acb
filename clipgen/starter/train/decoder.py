"""Training the decoder, and the upsampler, by denoising latents of pictures.

What conditions them: features, coarse pictures (the upsampler: decoded pictures), and texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.prior import pixels
from clipgen.starter.unclip.coarse_decoder import CoarseDecoder
from clipgen.starter.unclip.decoder import Decoder
from clipgen.training.loop import Losses, Plan

COMPONENTS, EMBEDDING = 3, 192
NARROW, WIDE, WIDE_UPSAMPLING = 64, 128, 64
NO_TEXT, UNCONDITIONAL, ONLY_TEXT = 0.05, 0.1, 0.1  # shares of the pictures that are conditioned so
LOG_NOISE, LOG_NOISE_UPSAMPLING, SPREAD = 0.0, -0.4, 1.4  # means and standard deviation of the logarithm of the noise
FLOOR = 0.05  # errors are weighted by 1 + 1 / (sigma^2 + FLOOR^2)
FEATURE_NOISE = 0.3  # at most, in units of the features' spread: those that the prior draws are not exact
PIXEL_NOISE = 0.1  # at most, on decoded pictures: a decoder's are not exact either
SAMPLED = 2000  # pictures whose latents decide the components
CHUNK = 100


@dataclass(frozen=True, eq=False)
class DecoderData:
    """What is known of N pictures and, after these, of their mirror images."""

    latents: Tensor
    """(2 N, D, h, w)"""
    features: Tensor
    """(2 N, E)"""
    captions: Tensor
    """Vectors (V, N, D) of V captions of each picture, true of its mirror image, too."""
    decoded: np.ndarray | None = None
    """(2 N, 3, S, S) uint8, the decoded pictures that condition an upsampler; a decoder takes coarse pictures."""
    probabilities: np.ndarray | None = None
    """(N,) of sum 1: how often to learn from each picture, or from its mirror image; None for all alike."""
    added_weights: Tensor | None = None
    """(2 N, 1, h, w), added to the weight of errors, 1, at each place, where the conditioning is complete."""


class DecoderTrainer:
    """A decoder behind a coarse decoder, or an upsampler, what it learns from, and its loss at a step."""

    def __init__(self, plan: Plan, data: DecoderData, coarse_decoder: CoarseDecoder, device: torch.device):
        torch.manual_seed(plan.seed)
        self.plan, self.data, self.device = plan, data, device
        self.coarse_decoder = coarse_decoder.to(device).eval().requires_grad_(False)
        upsampling = data.decoded is not None
        self._log_noise = LOG_NOISE_UPSAMPLING if upsampling else LOG_NOISE
        size = coarse_decoder.size if data.decoded is None else data.decoded.shape[-1]
        latent, side = data.latents.shape[1:3]
        sides = {"side": side, "block": size // side, "latent": latent, "components": COMPONENTS}
        condition = {"cells": coarse_decoder.cells, "kept": coarse_decoder.config["kept"]}
        widths = {"narrow": NARROW, "wide": WIDE_UPSAMPLING if upsampling else WIDE, "embedding": EMBEDDING}
        decoder = Decoder({**condition, "text": data.captions.shape[2], **sides, **widths})
        decoder.mean.copy_(coarse_decoder.mean)
        decoder.std.copy_(coarse_decoder.std)
        decoder.text_mean.copy_(data.captions.float().mean((0, 1)))
        decoder.text_std.copy_(data.captions.float().std((0, 1)))
        _keep_components_(decoder, data.latents[:SAMPLED].float())
        self.network = decoder.to(device).to(memory_format=torch.channels_last)

    def losses_at(self, step: int) -> Losses:
        """Return the squared error of denoised components, weighted as in EDM: every level of noise counts alike."""
        rng = np.random.default_rng([self.plan.seed, step])
        count = self.data.captions.shape[1]
        drawn = rng.choice(count, self.plan.batch, p=self.data.probabilities)
        picked = torch.from_numpy(drawn + count * rng.integers(0, 2, self.plan.batch))
        version = torch.from_numpy(rng.integers(0, len(self.data.captions), self.plan.batch))
        chance = torch.from_numpy(rng.random((self.plan.batch, 1))).to(self.device)
        with_text = chance >= NO_TEXT + UNCONDITIONAL
        with_rest = ((chance < NO_TEXT) | (chance >= NO_TEXT + UNCONDITIONAL + ONLY_TEXT))[:, :, None, None]
        texts = self.data.captions[version, picked % count].float().to(self.device) * with_text
        clean = self.network.components(self.data.latents[picked].float().to(self.device))
        condition = self._condition(picked) * with_rest
        sigma = (self._log_noise + SPREAD * torch.randn(len(clean))).exp().to(clean)
        noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn(clean.shape).to(clean)
        error = (self.network.denoise(noisy, sigma, condition, texts).float() - clean).square()
        if self.data.added_weights is not None:
            added = self.data.added_weights[picked].to(self.device)
            error = error * (1 + added * with_rest * with_text[:, :, None, None])
        return {"loss": (error.mean((1, 2, 3)) * (1 + 1 / (sigma.square() + FLOOR**2))).mean()}

    @torch.no_grad()
    def _condition(self, picked: Tensor) -> Tensor:
        features = self.data.features[picked].float().to(self.device)
        strength = FEATURE_NOISE * torch.rand(len(features), 1).to(features)
        features = features + strength * self.coarse_decoder.std * torch.randn(features.shape).to(features)
        if self.data.decoded is None:
            return self.network.condition(features, self.coarse_decoder(features).clamp(0, 1))
        decoded = torch.from_numpy(self.data.decoded[picked.numpy()]).to(features) / 255
        noise = PIXEL_NOISE * torch.rand(len(decoded), 1, 1, 1) * torch.randn(decoded.shape)
        return self.network.condition(features, decoded + noise.to(decoded))


def _keep_components_(decoder: Decoder, latents: Tensor) -> None:
    """Have a decoder keep the directions along which latents (N, D, h, w) differ most, each of unit variance."""
    cells = latents.permute(0, 2, 3, 1).flatten(0, 2)
    decoder.centre.copy_(cells.mean(0))
    _, lengths, directions = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    kept = decoder.shape[0]
    spread = (lengths[:kept] / len(cells) ** 0.5).clamp(min=1e-4)
    decoder.shorten.copy_(directions[:kept].T / spread)
    decoder.lengthen.copy_(directions[:kept] * spread[:, None])


@torch.no_grad()
def latents(network: VQGANNetwork, pictures: np.ndarray, device: torch.device) -> Tensor:
    """Return latents (2 N, D, h, w), in half precision, of pictures (N, S, S, 3) uint8, then of their mirror images."""
    found: list[Sequence[Tensor]] = []
    for k in range(0, len(pictures), CHUNK):
        images = pixels(pictures[k : k + CHUNK], device)
        found.append([network.encode(view).half().cpu() for view in (images, images.flip(3))])
    plain, mirrored = zip(*found, strict=True)
    return torch.cat([*plain, *mirrored])


@torch.no_grad()
def decoded(network: VQGANNetwork, latents: Tensor, device: torch.device) -> np.ndarray:
    """Return the pictures (N, 3, S, S) uint8 of the codes nearest to latents (N, D, h, w)."""
    pictures: list[np.ndarray] = []
    for some in torch.split(latents, CHUNK):
        codes = network.lookup(network.nearest(some.float().to(device)))
        pictures.append((255 * network.decode(codes).clamp(0, 1)).round().byte().cpu().numpy())
    return np.concatenate(pictures)

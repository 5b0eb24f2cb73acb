"""A diffusion decoder: pictures of features and texts, as latents of a VQGAN.

The decoder of DALL-E 2 (Ramesh et al., 2022, arXiv 2204.06125, section 2.1), of latents as in latent diffusion (Rombach
et al., 2022, arXiv 2112.10752). It is conditioned on the features that the prior draws, on a coarse picture of these
and on the texts. The upsampler is one too: it takes a decoded picture in place of the coarse one, and draws latents of
twice the size.
"""

from __future__ import annotations

from typing import Any

import torch
from taming.modules.diffusionmodules.model import (
    AttnBlock,
    Downsample,
    Normalize,
    ResnetBlock,
    Upsample,
    get_timestep_embedding,
)
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_unshuffle, silu

from clipgen.starter.unclip import sampler
from clipgen.starter.unclip.canvas import extended
from clipgen.weights.checkpoint import Checkpoint, build

NOISE = (20.0, 0.03)
"""Standard deviations of the noise that sampling begins and ends at, for data of about unit variance."""
STEPS = 12
WAVES = 64
"""Sines and cosines that describe the noise to the network."""


class Decoder(nn.Module):
    """A denoiser of latents, of which it keeps the directions along which they differ most (principal components).

    config: `cells`, along each side, that have features; `kept`, features of a cell; `text`, the length of the vectors
    of texts; `side`, latent cells along each side; `block`, pixels of the coarse picture along each side of one;
    `latent`, channels of the latents, and `components`, how many of these are kept; `narrow` and `wide`, channels of
    the network at full and half size; `embedding`, those of what conditions it on texts and noise. The attributes have
    the names of the tensors in the weight files that ship.
    """

    mean: Tensor
    std: Tensor
    text_mean: Tensor
    text_std: Tensor
    centre: Tensor
    shorten: Tensor
    lengthen: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = config
        self.cells, self.kept, text = config["cells"], config["kept"], config["text"]
        self.block: int = config["block"]
        latent, components = config["latent"], config["components"]
        self.shape = components, config["side"], config["side"]
        for name, size in (("mean", self.cells**2 * self.kept), ("text_mean", text), ("centre", latent)):
            self.register_buffer(name, torch.zeros(size))
        for name, size in (("std", self.cells**2 * self.kept), ("text_std", text)):
            self.register_buffer(name, torch.ones(size))
        self.register_buffer("shorten", torch.eye(latent, components))
        self.register_buffer("lengthen", torch.eye(components, latent))
        self.network = _UNet(config, components + self.kept + 3 * self.block**2, text + 1)

    def components(self, latents: Tensor) -> Tensor:
        """Return the components (B, C, h, w), about standard normal, of latents (B, D, h, w)."""
        return torch.einsum("bchw,cd->bdhw", latents - self.centre.view(1, -1, 1, 1), self.shorten)

    def condition(self, features: Tensor, coarse: Tensor) -> Tensor:
        """Return what conditions each latent cell, (B, K, h, w).

        features (B, E); coarse (B, 3, H, W) in [0, 1], the coarse pictures, or for an upsampler the decoded ones. The
        features are those of the square in the middle; beyond it are those of its edges, see `extended`.
        """
        cells = ((features - self.mean) / self.std).view(-1, self.cells, self.cells, self.kept)
        spread = interpolate(cells.permute(0, 3, 1, 2), self.shape[1:], mode="nearest")
        blocks = pixel_unshuffle(4 * coarse - 2, self.block)
        return torch.cat([blocks, extended(spread, (blocks.shape[2], blocks.shape[3]))], 1)

    def denoise(self, noisy: Tensor, sigma: Tensor, condition: Tensor, texts: Tensor) -> Tensor:
        """Return the mean of what components (B, C, h, w) may be without noise of standard deviation sigma (B,).

        condition as the method returns it, and texts (B, D); zeros stand for none. Preconditioned as in EDM (Karras et
        al., 2022, table 1), for data of unit variance.
        """
        level = sigma.view(-1, 1, 1, 1)
        total = (level.square() + 1).sqrt()
        text = sampler.standardised_texts(texts, self.text_mean, self.text_std)
        change = self.network(torch.cat([noisy / total, condition], 1), sigma, text)
        return sampler.denoised(noisy, level, change)

    @torch.no_grad()
    def sample(
        self,
        features: Tensor,
        coarse: Tensor,
        texts: Tensor,
        weights: Tensor,
        noise: Tensor,
        method: sampler.Method = sampler.USUAL,
        start: sampler.Start | None = None,
    ) -> Tensor:
        """Draw latents (B, D, h, w) of pictures that show features (B, E) and texts (K, D).

        coarse as for `condition`; weights (K,) as for `sampler.guided`, away from what is denoised with neither texts
        nor features nor coarse pictures; noise (B, components, h, w), standard normal, decides which latents. With a
        start, latents (B, D, h, w), this is img2img.
        """
        condition = self.condition(features, coarse)

        def unconditional(noisy: Tensor, sigma: Tensor) -> Tensor:
            no_text = torch.zeros_like(texts[:1]).expand(len(noisy), -1)
            return self.denoise(noisy, sigma, torch.zeros_like(condition), no_text)

        def conditional(noisy: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
            return self.denoise(noisy, sigma, condition, text)

        denoise = sampler.guided(conditional, texts, weights, method, unconditional)
        first, last = NOISE
        noisy = first * noise
        if start:
            first = start.sigma
            noisy = self.components(start.data) + first * noise
        drawn = sampler.sample(denoise, noisy, sampler.noise_levels(first, last, STEPS), method.solver)
        return torch.einsum("bdhw,dc->bchw", drawn, self.lengthen) + self.centre.view(1, -1, 1, 1)


class _Block(ResnetBlock):  # type: ignore[misc]
    """taming's residual block, whose conditioning also scales each channel.

    taming adds the embedding before a normalisation that removes much of what is the same everywhere. This is the
    adaptive group normalisation of Dhariwal and Nichol, 2021 (arXiv 2105.05233).
    """

    def __init__(self, *, out_channels: int, temb_channels: int, **sizes: Any):
        super().__init__(out_channels=out_channels, temb_channels=temb_channels, **sizes)
        self.gain = nn.Linear(temb_channels, out_channels)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def forward(self, cells: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) of cells (B, C, h, w) and the embedding (B, K) of texts and noise."""
        active = silu(embedding)
        change = self.conv1(silu(self.norm1(cells))) + self.temb_proj(active)[:, :, None, None]
        change = self.conv2(silu(self.norm2(change) * (1 + self.gain(active)[:, :, None, None])))
        changed: Tensor = change + (cells if self.in_channels == self.out_channels else self.nin_shortcut(cells))
        return changed


class _UNet(nn.Module):
    """A U-Net of two sizes made of taming's layers, conditioned on texts and noise."""

    def __init__(self, config: dict[str, Any], channels: int, text: int):
        super().__init__()
        narrow, wide, width = config["narrow"], config["wide"], config["embedding"]

        def block(before: int, after: int) -> _Block:
            return _Block(in_channels=before, out_channels=after, dropout=0.0, temb_channels=width)

        self.time = nn.Sequential(nn.Linear(WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.text = nn.Sequential(nn.Linear(text, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(channels, narrow, 3, padding=1)
        self.down = nn.ModuleList([block(narrow, narrow), block(narrow, narrow)])
        self.shrink = Downsample(narrow, True)
        self.mid = nn.ModuleList(
            [block(narrow, wide), AttnBlock(wide), block(wide, wide), AttnBlock(wide), block(wide, wide)]
        )
        self.out, self.narrow = block(2 * wide, wide), block(wide + narrow, narrow)
        self.grow = Upsample(narrow, True)
        self.up = nn.ModuleList([block(2 * narrow, narrow), block(2 * narrow, narrow)])
        last = nn.Conv2d(narrow, config["components"], 3, padding=1)
        nn.init.zeros_(last.weight)
        self.leave = nn.Sequential(Normalize(narrow), nn.SiLU(), last)

    def forward(self, cells: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        """Return (B, components, h, w) of cells (B, C, h, w), noise sigma (B,) and texts (B, K)."""
        embedding = self.time(get_timestep_embedding(250 * sigma.log() + 500, WAVES)) + self.text(text)
        first = self.down[0](self.enter(cells.contiguous(memory_format=torch.channels_last)), embedding)
        second = self.down[1](first, embedding)
        small = self.shrink(second)
        inner, attend, between, attend_again, last = self.mid
        wide = inner(small, embedding)
        deep = last(attend_again(between(attend(wide), embedding)), embedding)
        deep = self.narrow(torch.cat([self.out(torch.cat([deep, wide], 1), embedding), small], 1), embedding)
        grown = self.up[0](torch.cat([self.grow(deep), second], 1), embedding)
        change: Tensor = self.leave(self.up[1](torch.cat([grown, first], 1), embedding))
        return change


def build_decoder(checkpoint: Checkpoint) -> Decoder:
    """Return the decoder or upsampler of a checkpoint with its weights; ClipgenError if it is of another kind."""
    return build(checkpoint, "painter", Decoder)

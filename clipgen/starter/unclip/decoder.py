"""What a picture may look like in detail, where a sketch leaves edges and faces open: a diffusion model of latents.

It draws the latent of a VQGAN, as in latent diffusion (Rombach et al., 2022, arXiv 2112.10752), told what the picture
shows in its cells, as the prior imagines it, the sketch of that and the text: the decoder of DALL-E 2 (Ramesh et al.,
2022, arXiv 2204.06125, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
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

from clipgen import weights
from clipgen.starter.unclip import sampler as diffusion

NOISE = (20.0, 0.03)
"""Standard deviation of the noise that sampling begins and ends at, of numbers of about unit variance."""
STEPS = 12
WAVES = 64


@dataclass(frozen=True)
class Over:
    """What is painted over."""

    latents: Tensor
    """(B, D, h, w)"""
    sigma: float
    """Standard deviation of the noise through which it is seen, of numbers of about unit variance."""


class Painter(nn.Module):
    """A denoiser of latents, of which it keeps the directions along which they differ (principal components).

    config: `cells`, along each side, of which features are told; `kept`, features of a cell; `text`, the length of the
    vectors of a text; `side`, latent cells along each side; `block`, pixels of a sketch along each side of one;
    `latent`, numbers in one, and `components`, to how many they are shortened; `narrow`, `wide` and `embedding`:
    channels of the network at full and half size, and of what it is told of texts and noise.
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
        """Latents (B, D, h, w) as about standard normal numbers (B, components, h, w)."""
        return torch.einsum("bchw,cd->bdhw", latents - self.centre.view(1, -1, 1, 1), self.shorten)

    def shows(self, features: Tensor, sketches: Tensor) -> Tensor:
        """All that is told of places, (B, C, h, w), of features (B, E) and sketches (B, 3, S, S) of them in [0, 1]."""
        cells = ((features - self.mean) / self.std).view(-1, self.cells, self.cells, self.kept)
        spread = interpolate(cells.permute(0, 3, 1, 2), self.shape[1:], mode="nearest")
        return torch.cat([pixel_unshuffle(4 * sketches - 2, self.block), spread], 1)

    def denoise(self, noisy: Tensor, sigma: Tensor, shown: Tensor, texts: Tensor) -> Tensor:
        """The mean of the components (B, C, h, w) that noise of standard deviation sigma (B,) made noisy.

        shown, see `shows`, and texts (B, D): zeros tell nothing. Preconditioned as in EDM (Karras et al., 2022, table
        1), for data of unit variance.
        """
        level = sigma.view(-1, 1, 1, 1)
        total = (level.square() + 1).sqrt()
        said = diffusion.said(texts, self.text_mean, self.text_std)
        change = self.network(torch.cat([noisy / total, shown], 1), sigma, said)
        return diffusion.clean(noisy, level, change)

    @torch.no_grad()
    def paint(
        self,
        features: Tensor,
        sketches: Tensor,
        texts: Tensor,
        shares: Tensor,
        noise: Tensor,
        scale: float = 1.0,
        over: Over | None = None,
    ) -> Tensor:
        """Draw latents (B, D, h, w) of pictures that show features (B, E) and texts (K, D), as in the sketches.

        shares (K,) and scale as `sampler.told` has them, seen from a picture of which nothing is told, no
        feature either; noise (B, components, h, w), standard normal, decides which pictures. They are drawn over what
        there is, where there is something (SDEdit: Meng et al., 2022, arXiv 2108.01073).
        """
        shown = self.shows(features, sketches)

        def untold(noisy: Tensor, sigma: Tensor) -> Tensor:
            nothing = torch.zeros_like(texts[:1]).expand(len(noisy), -1)
            return self.denoise(noisy, sigma, torch.zeros_like(shown), nothing)

        def denoise(noisy: Tensor, sigma: Tensor, said: Tensor) -> Tensor:
            return self.denoise(noisy, sigma, shown, said)

        told = diffusion.told(denoise, texts, shares, scale, untold)
        first, last = NOISE
        noisy = first * noise
        if over:
            first = over.sigma
            noisy = self.components(over.latents) + first * noise
        drawn = diffusion.sample(told, noisy, diffusion.noise_levels(first, last, STEPS))
        return torch.einsum("bdhw,dc->bchw", drawn, self.lengthen) + self.centre.view(1, -1, 1, 1)


class _Block(ResnetBlock):  # type: ignore[misc]
    """taming's, where what is told also decides how strong each channel is.

    taming adds it before a normalisation that takes off much of what is the same everywhere; so in the diffusion models
    of Dhariwal and Nichol, 2021 (arXiv 2105.05233, adaptive group normalisation).
    """

    def __init__(self, *, out_channels: int, temb_channels: int, **sizes: Any):
        super().__init__(out_channels=out_channels, temb_channels=temb_channels, **sizes)
        self.gain = nn.Linear(temb_channels, out_channels)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def forward(self, cells: Tensor, told: Tensor) -> Tensor:
        """Cells (B, C, h, w) and a vector (B, K) to (B, out_channels, h, w)."""
        said = silu(told)
        change = self.conv1(silu(self.norm1(cells))) + self.temb_proj(said)[:, :, None, None]
        change = self.conv2(silu(self.norm2(change) * (1 + self.gain(said)[:, :, None, None])))
        changed: Tensor = change + (cells if self.in_channels == self.out_channels else self.nin_shortcut(cells))
        return changed


class _UNet(nn.Module):
    """taming's layers as a network of two sizes that is told a vector beside the noise."""

    def __init__(self, config: dict[str, Any], channels: int, told: int):
        super().__init__()
        narrow, wide, width = config["narrow"], config["wide"], config["embedding"]

        def block(before: int, after: int) -> _Block:
            return _Block(in_channels=before, out_channels=after, dropout=0.0, temb_channels=width)

        self.time = nn.Sequential(nn.Linear(WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.text = nn.Sequential(nn.Linear(told, width), nn.SiLU(), nn.Linear(width, width))
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

    def forward(self, cells: Tensor, sigma: Tensor, said: Tensor) -> Tensor:
        """Cells (B, C, h, w), noise (B,) and a vector (B, K) to (B, components, h, w)."""
        told = self.time(get_timestep_embedding(250 * sigma.log() + 500, WAVES)) + self.text(said)
        first = self.down[0](self.enter(cells.contiguous(memory_format=torch.channels_last)), told)
        second = self.down[1](first, told)
        small = self.shrink(second)
        inner, attend, between, attend_again, last = self.mid
        wide = inner(small, told)
        deep = last(attend_again(between(attend(wide), told)), told)
        deep = self.narrow(torch.cat([self.out(torch.cat([deep, wide], 1), told), small], 1), told)
        grown = self.up[0](torch.cat([self.grow(deep), second], 1), told)
        change: Tensor = self.leave(self.up[1](torch.cat([grown, first], 1), told))
        return change


def build_painter(checkpoint: weights.Checkpoint) -> Painter:
    """The painter of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    return weights.build(checkpoint, "painter", Painter)

"""Continuous autoencoders: latents that are about standard normal, and no codebook.

KLNetwork is that of latent-diffusion (Rombach et al., 2022), of which Stable Diffusion's are the best known.
TinyNetwork is TAESD, which was trained to do the same with far fewer layers, and a little less detail.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from clipgen.errors import ClipgenError
from clipgen.generators.taming_layers import coders_of_taming

WIDTH = 64
"""The channels of every layer of TAESD."""
CELL = 8
"""Side of a cell of TAESD in pixels."""
REACH = 3.0
"""TAESD's decoder sees latents squashed to within ±REACH."""


class KLNetwork(nn.Module):
    """Encoder and decoder of latent-diffusion's AutoencoderKL; the latent is the mean that the encoder predicts.

    config: `ddconfig` as in the authors' YAML files, with `double_z` true; `embed_dim`, or none where the file has no
    1 x 1 convolutions around the latent; `scale` and `shift`, by which (z - shift) * scale is about standard normal.
    Raises ClipgenError for what it cannot be.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        shape = config["ddconfig"]
        if shape["double_z"] is not True:
            raise ClipgenError("double_z of a KL autoencoder must be true, as it predicts a mean and a variance")
        if not shape["in_channels"] == shape["out_ch"] == 3:
            raise ClipgenError(f"a KL autoencoder must have 3 channels of pixels, got {shape['in_channels']}")
        self.encoder, self.decoder = coders_of_taming(shape)
        inner, width = shape["z_channels"], config.get("embed_dim")
        self.quant_conv = nn.Conv2d(2 * inner, 2 * width, 1) if width else nn.Identity()
        self.post_quant_conv = nn.Conv2d(width, inner, 1) if width else nn.Identity()
        self.channels: int = width or inner
        self.stride: int = 2 ** (len(shape["ch_mult"]) - 1)
        self._scale, self._shift = config["scale"], config.get("shift", 0.0)

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision (bfloat16, not float16)."""
        decoder: nn.Module = self.decoder
        return decoder

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as latents (B, C, h, w), about standard normal."""
        mean, _ = self.quant_conv(self.encoder(images * 2 - 1)).chunk(2, dim=1)
        latent: Tensor = (mean - self._shift) * self._scale
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Decode latents (B, C, h, w) to images (B, 3, H, W), about [0, 1] but not clamped."""
        drawn: Tensor = self.decoder(self.post_quant_conv(latent / self._scale + self._shift))
        return (drawn + 1) / 2


class _Block(nn.Module):
    def __init__(self, *, pools: bool = False):
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        self.pool = _pool() if pools else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _conv(inputs: int = WIDTH, outputs: int = WIDTH, *, bias: bool = True, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, stride=stride)


def _pool() -> nn.Sequential:
    """Return what sees whole pictures by the norm of its groups of channels, as in the TAESD for FLUX.2."""
    wide = 4 * WIDTH
    return nn.Sequential(
        nn.Conv2d(WIDTH, wide, 1, bias=False), nn.GroupNorm(4, wide), nn.ReLU(), nn.Conv2d(wide, WIDTH, 1, bias=False)
    )


class _Squash(nn.Module):
    def forward(self, latent: Tensor) -> Tensor:
        return REACH * torch.tanh(latent / REACH)


class TinyNetwork(nn.Module):
    """TAESD: two plain sequences of layers, with their authors' numbering.

    config: `channels` of the latent, 4 for SD and SDXL, 16 for SD3 and FLUX.1, 32 for FLUX.2; `pooled`, by default
    false, whether the layers at the size of the latent see the whole picture. Latents are about standard normal.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.channels: int = config["channels"]
        self.stride = CELL
        coarse = [_Block(pools=config.get("pooled", False)) for _ in range(6)]
        down = [_conv(bias=False, stride=2) for _ in range(3)]
        self.encoder = nn.Sequential(
            *(_conv(3), _Block()),
            *(down[0], _Block(), _Block(), _Block()),
            *(down[1], _Block(), _Block(), _Block()),
            *(down[2], *coarse[:3]),
            _conv(outputs=self.channels),
        )
        self.decoder = nn.Sequential(
            *(_Squash(), _conv(self.channels), nn.ReLU()),
            *(*coarse[3:], nn.Upsample(scale_factor=2), _conv(bias=False)),
            *(_Block(), _Block(), _Block(), nn.Upsample(scale_factor=2), _conv(bias=False)),
            *(_Block(), _Block(), _Block(), nn.Upsample(scale_factor=2), _conv(bias=False)),
            *(_Block(), _conv(outputs=3)),
        )

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        return self.decoder

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as latents (B, C, h, w), about standard normal."""
        latent: Tensor = self.encoder(images)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Decode latents (B, C, h, w) to images (B, 3, H, W), about [0, 1] but not clamped."""
        images: Tensor = self.decoder(latent)
        return images


def kl_network(config: dict[str, Any]) -> KLNetwork | TinyNetwork:
    """Build the continuous autoencoder of a config: one with a `ddconfig` is latent-diffusion's, any other TAESD."""
    return KLNetwork(config) if "ddconfig" in config else TinyNetwork(config)

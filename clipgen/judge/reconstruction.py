"""Autoencoders as autoencoders: what is left of a picture that was encoded and decoded, and which codes that took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from kornia.metrics import psnr, ssim
from PIL import Image, ImageOps
from torch import Tensor

from clipgen.generators.tokens import Autoencoder, Tokenizer
from clipgen.judge.lpips import LPIPS, SMALLEST
from clipgen.util.images import as_tensor, to_pil

LONGEST = 256
"""Longer side, in pixels, to which pictures are reduced by default: that of the pictures of ImageNet for VQGANs."""
WINDOW = 11
"""Side of SSIM's Gaussian window, of standard deviation 1.5 (Wang et al., 2004)."""

Codes = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Usage:
    """Which codes of a codebook some pictures took."""

    codes: int
    """How many different ones."""
    share: float
    """Of the codebook."""
    perplexity: float
    """exp of the entropy of the codes: how many equally frequent ones would be as hard to guess."""

    @classmethod
    def of(cls, grids: Sequence[Codes], count: int) -> Self:
        """Return the usage of some grids of codes, of `count` that there are."""
        _, times = np.unique(np.concatenate([grid.ravel() for grid in grids]), return_counts=True)
        shares = times / times.sum()
        return cls(len(times), len(times) / count, math.exp(-float((shares * np.log(shares)).sum())))


@dataclass(frozen=True)
class Reconstruction:
    """A picture, and what an autoencoder made of it."""

    original: Image.Image
    rebuilt: Image.Image
    codes: Codes | None
    """(h, w); None of an autoencoder without any."""
    psnr: float
    """In dB; infinite if the two are equal."""
    ssim: float
    lpips: float | None
    """None without its weights, or for a picture that is too small."""
    usage: Usage | None


@torch.no_grad()
def reconstruct(
    original: Image.Image, network: Autoencoder, device: torch.device, lpips: LPIPS | None = None
) -> Reconstruction:
    """Encode and decode an RGB image, of sides that the network's stride divides, and compare the two in 8 bits."""
    pixels = as_tensor(original).to(device)
    grid, usage = None, None
    if isinstance(network, Tokenizer):
        codes = network.codes_of(pixels)
        rebuilt = to_pil(network.images_of(codes)[0])
        grid = codes[0].cpu().numpy().astype(np.int32)
        usage = Usage.of([grid], network.code_count)
    else:
        rebuilt = to_pil(network.decode(network.encode(pixels)).clamp(0, 1)[0])
    before, after = as_tensor(original), as_tensor(rebuilt)
    return Reconstruction(
        original,
        rebuilt,
        grid,
        float(psnr(after, before, 1.0)),
        similarity(before, after),
        float(lpips(before, after)) if lpips and min(original.size) >= SMALLEST else None,
        usage,
    )


def similarity(one: Tensor, other: Tensor) -> float:
    """Return the SSIM of two images (1, 3, H, W) in [0, 1]: the mean over all whole windows, and over the channels.

    An image smaller than the window is continued at its edges.
    """
    whole = min(one.shape[2:]) >= WINDOW
    return float(ssim(one, other, WINDOW, padding="valid" if whole else "same").mean())


def decode(codes: Codes, network: Tokenizer, device: torch.device) -> Image.Image:
    """Return the picture of codes (h, w)."""
    with torch.no_grad():
        return to_pil(network.images_of(torch.from_numpy(codes).long()[None].to(device))[0])


def on_grid(image: Image.Image, stride: int, size: tuple[int, int] | None = None) -> Image.Image:
    """Return an image at a size, or near its own, cut to sides that `stride` divides.

    Without a size one of at most LONGEST keeps its pixels, and a larger one is reduced.
    """
    if size is not None:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    scale = min(LONGEST / max(image.size), 1.0)
    width, height = (max(int(side * scale + 1e-6) // stride, 1) * stride for side in image.size)
    if scale < 1 or width > image.width or height > image.height:
        return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))

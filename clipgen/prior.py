"""What pictures look like, of a text or at all: a denoiser, whose pull keeps guidance from making smears.

A CLIP alone is content with textures and scraps that no one would draw. A network that has learned to take noise off
drawn pictures knows better: where it would move a noisy picture to is where pictures are more likely. After plug and
play generative networks (Nguyen et al., 2017, arXiv 1612.00005); with noise that falls as in diffusion models.
A prior that was told texts while it learned knows which pictures are more likely of a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from taming.modules.diffusionmodules.model import Model
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

from clipgen import weights


class Prior(nn.Module):
    """taming's diffusion network as a denoiser that gives the clean picture itself, and so can pass no noise on.

    (Predicting noise, or a part of it, takes a wider network: Li and He, 2025, arXiv 2511.13720.)

    config: `size`, the side of the pictures it was trained on; `space_to_depth`; `spread`, the standard deviation of
    the pixels in [-1, 1]; `ddconfig`, the arguments of `taming.modules.diffusionmodules.model.Model`; `text`, the size
    of the vectors of texts, where it can be told any.
    """

    text_mean: Tensor
    text_std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.size: int = config["size"]
        self.block: int = config["space_to_depth"]
        self.spread: float = config["spread"]
        self.grain = self.block * 2 ** (len(config["ddconfig"]["ch_mult"]) - 1)
        self.model = Model(**config["ddconfig"])
        self.text: nn.Sequential | None = None
        if "text" in config:
            width = self.model.temb_ch
            self.text = nn.Sequential(nn.Linear(config["text"], width), nn.SiLU(), nn.Linear(width, width))
            self.register_buffer("text_mean", torch.zeros(config["text"]))
            self.register_buffer("text_std", torch.ones(config["text"]))

    def denoise(self, noisy: Tensor, sigma: Tensor, texts: Tensor | None = None) -> Tensor:
        """The mean of the pictures (B, 3, H, W) in [-1, 1] that noise of standard deviation sigma (B,) made noisy.

        texts (B, D): what the pictures are told to show, as vectors of a CLIP; zeros tell nothing.
        """
        with self._told(texts):
            return self._denoise(noisy, sigma)

    @contextmanager
    def _told(self, texts: Tensor | None) -> Iterator[None]:
        """Add texts to what the network is told of the noise, which reaches all of its blocks."""
        if self.text is None or texts is None:
            yield
            return
        something = texts.abs().sum(1, keepdim=True) > 0
        told = self.text((texts - self.text_mean) / self.text_std) * something
        hook = self.model.temb.dense[1].register_forward_hook(lambda _module, _inputs, moment: moment + told)
        try:
            yield
        finally:
            hook.remove()

    def _denoise(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        level = sigma.view(-1, 1, 1, 1)
        total = (level.square() + self.spread**2).sqrt()
        cells = pixel_unshuffle(noisy / total, self.block)
        clean: Tensor = pixel_shuffle(self.model(cells, 250 * sigma.log() + 500), self.block)
        return clean

    def unlikeliness(
        self, images: Tensor, sigma: Tensor, noise: Tensor, texts: Tensor | None = None, scale: float = 1.0
    ) -> Tensor:
        """How far pictures are from what the prior makes of them at a level of noise; its gradient is their pull.

        images (B, 3, H, W) in [0, 1], sigma (B,), noise (B, 3, h, w) of the size `small` gives; returns (B,), the
        mean square of what noise and denoising change. The denoised picture counts as a constant: the gradient is
        then, up to a factor, that of the likelihood of noisy pictures (DreamFusion, Poole et al., 2022, equation 3).
        Where texts (B, D) are told, `scale` goes beyond what they change (classifier-free guidance, Ho and Salimans,
        2022, arXiv 2207.12598).
        """
        shrunk = interpolate(images, noise.shape[2:], mode="bilinear", antialias=True) * 2 - 1
        with torch.no_grad():
            likelier = self._likelier(shrunk + sigma.view(-1, 1, 1, 1) * noise, sigma, texts, scale)
        return (shrunk - likelier).square().mean((1, 2, 3))

    def _likelier(self, noisy: Tensor, sigma: Tensor, texts: Tensor | None, scale: float) -> Tensor:
        if self.text is None or texts is None or scale == 1.0:
            return self.denoise(noisy, sigma, texts)
        untold = self.denoise(noisy, sigma)
        return (untold + scale * (self.denoise(noisy, sigma, texts) - untold)).clamp(-1, 1)

    def small(self, height: int, width: int) -> tuple[int, int]:
        """The height and width at which the prior looks at a picture: its own area, in the picture's shape."""
        ratio = (height / width) ** 0.5
        rows, columns = (max(round(self.size * side / self.grain), 1) * self.grain for side in (ratio, 1 / ratio))
        return rows, columns


def build_prior(checkpoint: weights.Checkpoint) -> Prior:
    """The prior of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    return weights.build(checkpoint, "prior", Prior)

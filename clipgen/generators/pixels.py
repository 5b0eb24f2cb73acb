"""Pixels as the latent, without any network: Direct Ascent Synthesis (Fort and Whitaker, 2025, arXiv 2502.07753)."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.batches import mean_of_each
from clipgen.util.randomness import generator_for

NOISE = 0.02
"""Standard deviation of the initial noise around mid-grey."""


class PixelGenerator:
    """Images (B, 3, H, W) as a sum over resolutions, so that one step can move a whole shape as well as a pixel."""

    def __init__(self, device: torch.device, batch: int, size: tuple[int, int], levels: int) -> None:
        self._image = Pyramid((batch, 3, size[1], size[0]), device, levels)
        self._start = self._image.value().detach()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._start.device, len(self._start), size, len(self._image.levels))

    def parameters(self) -> Sequence[Tensor]:
        return self._image.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._image.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        shape = self._start.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=generator_for(seed, 0, "latent")) for seed in seeds])
        self.start_from_images_(0.5 + NOISE * noise.to(self._start.device))

    def start_from_images_(self, images: Tensor) -> None:
        self._image.set_(images)
        self._start = self._image.value().detach()

    def reencode_(self) -> None:
        """Do nothing: the latent is the picture."""

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding is deterministic."""

    def decode(self) -> Tensor:
        return clamp_with_grad(self._image.value())

    def project_(self) -> None:
        """Do nothing: `decode` clamps, and keeps the gradient that pulls pixels back into range."""

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._image.value() - self._start).square())

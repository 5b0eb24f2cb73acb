"""The VQGAN generator: continuous latents, each cell drawn as its nearest code (VQGAN-CLIP, arXiv 2204.08583)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.config.presets import Size
from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.generators.networks import VQGANNetwork


DEPTH = 6
"""Resolutions that the latent is a sum of."""
CONTRAST = 0.08
"""Share of the way from the mean code to a random one at which a patch starts."""
PATCH = 16
"""Cells a side of a patch that starts at one random code."""


class VQGANGenerator:
    """Latents (B, D, h, w) in the space of the codebook.

    The gradient passes straight through the choice of the nearest code, so a latent wanders between codes until
    another is nearer. Kept inside the box that the codebook spans, it never wanders off.
    """

    def __init__(self, network: "VQGANNetwork", batch: int, size: Size, levels: int | None = None) -> None:
        codebook = network.codebook
        self._network = network
        self._low = codebook.amin(0)[None, :, None, None]
        self._high = codebook.amax(0)[None, :, None, None]
        shape = (batch, codebook.shape[1], size[1] // network.stride, size[0] // network.stride)
        self._latent = Pyramid(shape, codebook.device, levels or DEPTH)
        self._start = self._latent.value().detach()

    def parameters(self) -> Iterable[Tensor]:
        return self._latent.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._latent.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start at random codes on a coarse grid, stretched and drawn towards the mean code.

        Faint patches leave the composition to the prompt; a grain, or strong patches, would first have to be undone.
        """
        codebook, cells = self._network.codebook, self._start.shape[2:]
        coarse = [max(side // PATCH, 2) for side in cells]
        draws = [torch.randint(len(codebook), coarse, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        codes = self._network.lookup(torch.stack(draws).to(codebook.device))
        mean = codebook.mean(0)[None, :, None, None]
        self._start_from_(mean + CONTRAST * (interpolate(codes, cells, mode="bicubic") - mean))

    def start_from_images_(self, images: Tensor) -> None:
        with torch.no_grad():
            self._start_from_(self._network.encode(images))

    def restore_(self) -> None:
        with torch.no_grad():
            self._latent.set_(self._network.encode(self.decode()))
        self.project_()

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding draws nothing at random."""

    def decode(self) -> Tensor:
        codes = self._network.straight_through(self._latent.value())
        return clamp_with_grad(self._network.decode(codes))

    def project_(self) -> None:
        self._latent.clamp_(self._low, self._high)

    def init_distance(self) -> Tensor:
        return (self._latent.value() - self._start).square().mean(dim=(1, 2, 3))

    def _start_from_(self, latent: Tensor) -> None:
        self._latent.set_(latent)
        self.project_()
        self._start = self._latent.value().detach()

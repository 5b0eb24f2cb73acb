"""The VQGAN generator: continuous latents, each cell drawn as its nearest code (VQGAN-CLIP, arXiv 2204.08583)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clipgen.generators.clamp import clamp_with_grad
from clipgen.presets import Size
from clipgen.rng import generator_for

if TYPE_CHECKING:
    from clipgen.generators.networks import VQGANNetwork


class VQGANGenerator:
    """Latents (B, D, h, w) in the space of the codebook.

    The gradient passes straight through the choice of the nearest code, so a latent wanders between codes until
    another is nearer. Kept inside the box that the codebook spans, it never wanders off.
    """

    def __init__(self, network: "VQGANNetwork", batch: int, size: Size) -> None:
        codebook = network.codebook
        self._network = network
        self._low = codebook.amin(0)[None, :, None, None]
        self._high = codebook.amax(0)[None, :, None, None]
        shape = (batch, codebook.shape[1], size[1] // network.stride, size[0] // network.stride)
        self._latent = torch.zeros(shape, device=codebook.device, requires_grad=True)
        self._start = self._latent.detach().clone()

    def parameters(self) -> Iterable[Tensor]:
        return [self._latent]

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        codebook = self._network.codebook
        cells = self._latent.shape[2:]
        draws = [torch.randint(len(codebook), cells, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        self._start_from_(self._network.lookup(torch.stack(draws).to(codebook.device)))

    def start_from_images_(self, images: Tensor) -> None:
        with torch.no_grad():
            self._start_from_(self._network.encode(images))

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding draws nothing at random."""

    def decode(self) -> Tensor:
        codes = self._network.straight_through(self._latent)
        return clamp_with_grad(self._network.decode(codes))

    def project_(self) -> None:
        with torch.no_grad():
            self._latent.clamp_(self._low, self._high)

    def init_distance(self) -> Tensor:
        return (self._latent - self._start).square().mean(dim=(1, 2, 3))

    def _start_from_(self, latent: Tensor) -> None:
        with torch.no_grad():
            self._latent.copy_(latent)
            self.project_()
            self._start = self._latent.detach().clone()

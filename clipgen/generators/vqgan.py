"""The VQGAN generator: continuous latents, quantised to their nearest codes (VQGAN-CLIP, arXiv 2204.08583)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.batches import mean_of_each, picture_by_picture
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings
    from clipgen.generators.networks import VQGANNetwork

CONTRAST = 0.08
"""How far patches start from the mean code, as a fraction of the way to a random code."""
PATCH = 16
"""Side, in cells, of the patches that start near one random code."""


class VQGANGenerator:
    """Latents (B, D, h, w) in the space of the codebook.

    The gradient passes straight through the quantisation, so a latent moves freely until another code is nearer;
    `project_` keeps it among the codes: in their bounding box, or on their sphere.

    settings: their `levels` is the number of resolutions that the latent is a sum of, see `Pyramid`.
    """

    def __init__(
        self, network: "VQGANNetwork", batch: int, size: tuple[int, int], settings: "GeneratorSettings"
    ) -> None:
        self._network, self._settings, codebook = network, settings, network.codebook
        self._projection = network.projection()
        shape = (batch, codebook.shape[1], size[1] // network.stride, size[0] // network.stride)
        self._latent = Pyramid(shape, codebook.device, settings.levels)
        self._start = self._latent.value().detach()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._network, len(self._start), size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return self._latent.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._latent.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start from random codes on a coarse grid, interpolated and shrunk towards the mean code.

        Faint patches leave the composition to the prompt; grain, or strong patches, would first have to be undone.
        """
        codebook, cells = self._network.codebook, self._start.shape[2:]
        coarse = [max(side // PATCH, 2) for side in cells]
        draws = [torch.randint(len(codebook), coarse, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        codes = self._network.lookup(torch.stack(draws).to(codebook.device))
        mean = codebook.mean(0)[None, :, None, None]
        self._start_from_(mean + CONTRAST * (interpolate(codes, cells, mode="bicubic") - mean))

    def start_from_images_(self, images: Tensor) -> None:
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._network.encode, images))

    def start_from_tokens_(self, tokens: Tensor) -> None:
        self._start_from_(self._network.lookup(tokens))

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        with torch.no_grad():
            encoded = picture_by_picture(self._network.encode, images)
            before = self._latent.value() - encoded
            self._latent.set_(encoded + rest)
        self.project_()
        return before

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding is deterministic."""

    def decode(self) -> Tensor:
        codes = picture_by_picture(self._network.straight_through, self._latent.value())
        return clamp_with_grad(picture_by_picture(self._network.decode, codes))

    def project_(self) -> None:
        self._latent.project_(self._projection)

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._latent.value() - self._start).square())

    def _start_from_(self, latent: Tensor) -> None:
        self._latent.set_(latent)
        self.project_()
        self._start = self._latent.value().detach()

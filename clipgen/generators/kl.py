"""The generator of continuous autoencoders, such as Stable Diffusion's: latents that are free to move, and no codes."""

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
    from clipgen.generators.kl_networks import KLNetwork, TinyNetwork

CONTRAST = 0.3
"""Standard deviation of the patches at the start."""
PATCH = 8
"""Side of these patches in cells."""
LIMIT = 4.0
"""Latents of pictures, which are about standard normal, have next to no numbers beyond ±LIMIT."""


class KLGenerator:
    """Latents (B, C, h, w), about standard normal for pictures.

    No codebook bounds them. `project_` keeps each number within ±LIMIT; the loss `norm`, see `norm_excess`, keeps the
    whole near the length that latents of pictures have.

    settings: their `levels` is the number of resolutions that the latent is a sum of, see `Pyramid`.
    """

    def __init__(
        self,
        network: "KLNetwork | TinyNetwork",
        batch: int,
        size: tuple[int, int],
        settings: "GeneratorSettings",
    ) -> None:
        self._network, self._settings = network, settings
        shape = (batch, network.channels, size[1] // network.stride, size[0] // network.stride)
        self._latent = Pyramid(shape, next(network.parameters()).device, settings.levels)
        self._start = self._latent.value().detach()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._network, len(self._start), size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return self._latent.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._latent.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start from faint Gaussian noise on a coarse grid, interpolated: patches of soft colours around grey."""
        channels, *cells = self._start.shape[1:]
        coarse = (channels, *(max(side // PATCH, 2) for side in cells))
        draws = [torch.randn(coarse, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        noise = torch.stack(draws).to(self._start.device)
        self._start_from_(CONTRAST * interpolate(noise, cells, mode="bicubic"))

    def start_from_images_(self, images: Tensor) -> None:
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._network.encode, images))

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
        return clamp_with_grad(picture_by_picture(self._network.decode, self._latent.value()))

    def project_(self) -> None:
        self._latent.project_(lambda latent: latent.clamp(-LIMIT, LIMIT))

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._latent.value() - self._start).square())

    def norm_excess(self) -> Tensor:
        """Return by how much each latent (B,) is longer than standard normal numbers are: 0 for one that is shorter.

        It is (r^2 - ln r^2 - 1) / 2 for r = |z| / sqrt(d) above 1: minus the log-density of the length r, up to factor
        and constant, as ReNO has it (Eyring et al., 2024, arXiv 2406.04312). Shorter latents are left alone: unlike the
        noise of ReNO's, those of pictures with plain areas are short, and so are those that a run begins at.
        """
        squares = mean_of_each(self._latent.value().square()).clamp_min(1.0)
        return (squares - squares.log() - 1) / 2

    def _start_from_(self, latent: Tensor) -> None:
        self._latent.set_(latent)
        self.project_()
        self._start = self._latent.value().detach()

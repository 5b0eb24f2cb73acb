"""Pixels as the latent, without any network: Direct Ascent Synthesis (Fort and Whitaker, 2025, arXiv 2502.07753)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from clipgen.config.levels import sizes_of
from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.batches import mean_of_each
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings

NOISE = 0.02
"""Standard deviation of the initial noise around mid-grey."""
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""RGB of brightness and two colour contrasts, with the standard deviations that each has in photographs (Olah et al.,
2017, "Feature Visualization", whose code is Lucid)."""
GAIN = 3.0
"""Logits of the pixels for a latent of 1 in brightness."""
DARKEST = 0.02
"""Pixels of an init image are kept as far from 0 and from 1, where the logit is infinite."""


class PixelGenerator:
    """Images (B, 3, H, W) as a sum over resolutions, so that one step can move a whole shape as well as a pixel.

    settings: `levels` resolutions; `decorrelated` latents are logits of the pixels, in the space of COLOURS; or
    with `tanh` and other `resolutions`, as Direct Ascent Synthesis has it.
    """

    def __init__(self, device: torch.device, batch: int, size: tuple[int, int], settings: "GeneratorSettings") -> None:
        self._settings = settings
        colours = torch.tensor(COLOURS, device=device)
        self._colours = GAIN * colours / colours.norm(dim=0).max()
        shape = (batch, 3, size[1], size[0])
        sizes = sizes_of(size[1], size[0], settings.resolutions)
        self._image = Pyramid(shape, device, settings.levels, cascaded=settings.decorrelated, sizes=sizes)
        self._start = self._image.value().detach()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._start.device, len(self._start), size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return self._image.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._image.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        shape = self._start.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=generator_for(seed, 0, "latent")) for seed in seeds])
        self.start_from_images_(0.5 + NOISE * noise.to(self._start.device))

    def start_from_images_(self, images: Tensor) -> None:
        self._image.set_(self._encode(images))
        self._start = self._image.value().detach()

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        with torch.no_grad():
            before, encoded = self._image.value(), self._encode(images)
            self._image.set_(encoded + rest)
        return before - encoded

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding is deterministic."""

    def decode(self) -> Tensor:
        if self._settings.tanh:
            return 0.5 * (1 + self._image.value().tanh())
        if not self._settings.decorrelated:
            return clamp_with_grad(self._image.value())
        logits = torch.einsum("bdhw,cd->bchw", self._image.value(), self._colours)
        return logits.sigmoid().contiguous()  # its layout would depend on the batch, and with it how sums round

    def project_(self) -> None:
        """Do nothing: `decode` keeps pixels within their range."""

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._image.value() - self._start).square())

    def _encode(self, images: Tensor) -> Tensor:
        """Return the latents (B, 3, H, W) of images (B, 3, H, W) in [0, 1]."""
        if not (self._settings.decorrelated or self._settings.tanh):
            return images
        logits = images.clamp(DARKEST, 1 - DARKEST).logit()
        if self._settings.tanh:
            return 0.5 * logits  # the sigmoid of x is ½(1 + tanh(x / 2))
        return torch.einsum("bchw,dc->bdhw", logits, torch.linalg.inv(self._colours))

"""The layout of an image, blurred: where it is light and dark, and in what colours."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

CELLS = 16
"""Cells a side of the blurred pictures that are compared."""
COLOUR_SHARE = 0.5
"""How much colours count beside light and dark."""
COLOUR_VARIANCE = 0.02
"""Roughly that of blurred photographs about grey."""
LEAST_CONTRAST = 0.02
_LUMINANCE = (0.299, 0.587, 0.114)


class Layout:
    """What pictures have in common with an image (3, H, W) in [0, 1]."""

    def __init__(self, image: Tensor):
        self._blurred = blurred(image[None])
        self._light, self._colour = _split(self._blurred)

    def distance(self, images: Tensor) -> Tensor:
        """Return how far the layouts of images (B, 3, h, w) are from this one: (B,).

        Light and dark are compared relative to their mean and contrast, so that a night can be laid out as a day.
        """
        light, colour = _split(blurred(images))
        differences = (light - self._light).square() + COLOUR_SHARE / COLOUR_VARIANCE * (colour - self._colour).square()
        return differences.mean((1, 2, 3))

    def mixed_into(self, images: Tensor, share: float) -> Tensor:
        """Return images (B, 3, h, w) in [0, 1] with this share of their layout replaced by this one.

        As in iterative latent variable refinement (Choi et al., 2021, arXiv 2108.02938), but once.
        """
        change = interpolate(self._blurred - blurred(images), images.shape[2:], mode="bilinear")
        return (images + share * change).clamp(0, 1)


def blurred(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) as (B, C, CELLS, CELLS)."""
    return adaptive_avg_pool2d(images, CELLS)


def _split(layouts: Tensor) -> tuple[Tensor, Tensor]:
    """Return standardised light (B, 1, h, w) and colours (B, 3, h, w) about grey."""
    light = (layouts * layouts.new_tensor(_LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    spread = light.std((1, 2, 3), keepdim=True).clamp(min=LEAST_CONTRAST)
    return (light - light.mean((1, 2, 3), keepdim=True)) / spread, layouts - light

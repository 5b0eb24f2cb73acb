"""The loss that gives pictures the style of another: StyleCLIPDraw (Schaldenbrand et al., 2022, arXiv 2202.12362).

Its style loss is that of STROTSS (Kolkin et al., 2019, arXiv 1904.12785): the relaxed earth mover's distance of
features, their moments, and the earth mover's distance of colours. Both sample places at random; here they lie on a
grid, so that a run needs no more randomness, and each stage of the network counts alike.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from clipgen.core.contracts import Loss, Moment
from clipgen.util.images import resized

SIDE = 128
"""The shorter side at which styles are compared, in pixels: a texture counts at its size on the whole picture."""
PLACES = 32
"""Places along each axis whose features are compared."""
_YUV = ((0.299, 0.587, 0.114), (-0.147, -0.289, 0.436), (0.615, -0.515, -0.100))


class Features(Protocol):
    """A network whose features tell a style."""

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return feature maps (B, C, h, w) of images (B, 3, H, W) in [0, 1], finest first."""


def style_loss(features: Features, image: Tensor) -> Loss:
    """Return the loss that is lower the more pictures have the style of an image (1, 3, h, w) in [0, 1]."""
    with torch.no_grad():
        wanted = [_places(each) for each in features.maps(_small(image))]
        colours = _palette(_small(image))
    scales = [each.std().clamp_min(1e-6) for each in wanted]

    def distance(moment: Moment) -> Tensor:
        return torch.stack([_distance(_small(one[None])) for one in moment.images])

    def _distance(picture: Tensor) -> Tensor:
        found = [_places(each) for each in features.maps(picture)]
        shapes = [relaxed_distance(_cosines(mine, theirs)) for mine, theirs in zip(found, wanted, strict=True)]
        moments = [
            _moments(mine / scale, theirs / scale) for mine, theirs, scale in zip(found, wanted, scales, strict=True)
        ]
        palette = relaxed_distance(torch.cdist(_palette(picture), colours, compute_mode=_EXACT))
        return torch.stack(shapes).mean() + torch.stack(moments).mean() + palette

    return distance


_EXACT = "donot_use_mm_for_euclid_dist"
"""By products, distances of like colours would be lost in rounding, and have no gradient."""


def relaxed_distance(costs: Tensor) -> Tensor:
    """Return the relaxed earth mover's distance () of two sets with these costs (n, m) of moving one to the other.

    Each place goes to the nearest of the other set; the larger of the means of both directions counts.
    """
    return torch.maximum(costs.amin(1).mean(), costs.amin(0).mean())


def _small(images: Tensor) -> Tensor:
    """Return images (B, 3, h, w) with SIDE pixels along their shorter sides."""
    height, width = images.shape[2:]
    scale = SIDE / min(height, width)
    return resized(images, (round(width * scale), round(height * scale)))


def _places(maps: Tensor) -> Tensor:
    """Return the features (n, C) of places on a grid."""
    return interpolate(maps, (PLACES, PLACES), mode="bilinear", align_corners=False)[0].flatten(1).T


def _cosines(mine: Tensor, theirs: Tensor) -> Tensor:
    return 1 - normalize(mine, dim=1) @ normalize(theirs, dim=1).T


def _moments(mine: Tensor, theirs: Tensor) -> Tensor:
    """Return the mean absolute differences of the means and of the covariances of features (n, C)."""
    first = (mine.mean(0) - theirs.mean(0)).abs().mean()
    return first + (_covariance(mine) - _covariance(theirs)).abs().mean()


def _covariance(values: Tensor) -> Tensor:
    centred = values - values.mean(0)
    return centred.T @ centred / len(values)


def _palette(images: Tensor) -> Tensor:
    """Return the colours (n, 3) of places on a grid, as brightness and two colour differences."""
    return _places(images) @ images.new_tensor(_YUV).T

"""Unit vectors (..., D) as directions: interpolation along great circles, and means over templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipgen.core.contracts import Perceptor

TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven that do best together for ImageNet, of the 80 of CLIP (Radford et al., 2021, arXiv 2103.00020)."""
Template = Callable[[str], str]
"""Makes a text of a label."""
PARALLEL = 1e-6


def great_circle(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return unit vectors (..., D) on the way from `first` to `second`, which are unit vectors (..., D).

    share: of the angle between them, from 0 to 1. Opposite vectors have no shortest way; the result is then undefined.
    """
    cosine = (first * second).sum(-1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    along = (((1 - share) * angle).sin() * first + (share * angle).sin() * second) / sine.clamp_min(PARALLEL)
    return normalize(torch.where(sine > PARALLEL, along, torch.lerp(first, second, share)), dim=-1)


def whole_vectors(perceptor: Perceptor, images: Tensor) -> Tensor:
    """Return the unit vectors (N, D) of whole images (N, 3, H, W) in [0, 1]."""
    return torch.cat([perceptor.encode_images(perceptor.whole(image[None])) for image in images])


class Templated:
    """Encodes labels such as "cat" as the mean direction of templates, by default all TEMPLATES."""

    def __init__(self, perceptor: Perceptor, templates: Sequence[Template] = ()) -> None:
        self._perceptor = perceptor
        self._templates = templates or tuple(template.format for template in TEMPLATES)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return the unit vectors (N, D) of N labels."""
        each = [self._perceptor.encode_texts([template(text) for template in self._templates]) for text in texts]
        return normalize(torch.stack([vectors.mean(0) for vectors in each]), dim=1)

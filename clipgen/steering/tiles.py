"""Pictures that tile: their cutouts come from anywhere on a plane that is paved with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipgen.core.contracts import Perceptor
from clipgen.core.cutouts import AugmentationParameters
from clipgen.core.loop import Embed
from clipgen.util.randomness import generator_for


def rolled(images: Tensor, seeds: Sequence[int], step: int) -> Tensor:
    """Return images (B, 3, H, W), each moved by an offset of its seed and step; what leaves on one side comes back."""
    sides = torch.tensor(images.shape[2:])
    parts = [torch.rand(2, generator=generator_for(seed, step, "roll")) for seed in seeds]
    offsets = [(part * sides).long().tolist() for part in parts]
    return torch.stack([image.roll(offset, (1, 2)) for image, offset in zip(images, offsets, strict=True)])


def rolling(embed: Embed) -> Embed:
    """Return an `embed` that shows perceptors rolled pictures, so that edges lie inside some cutouts."""

    def of_rolled(
        images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], with_maps: bool
    ) -> tuple[Tensor, ...]:
        return embed(rolled(images, parameters.seeds, parameters.step), parameters, perceptors, with_maps)

    return of_rolled

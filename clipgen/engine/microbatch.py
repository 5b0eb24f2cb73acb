"""A step in parts, for when it does not fit into memory as a whole; the gradient is the same up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from clipgen.config.settings import CutoutSettings
from clipgen.core.contracts import Generator, Perceptor
from clipgen.core.cutouts import AugmentationParameters
from clipgen.core.loop import Embed, embed
from clipgen.engine.memory import MicroBatches
from clipgen.engine.peer_cutouts import peer_embedding


def decoding(batches: MicroBatches) -> Callable[[Generator], Tensor]:
    """Return the function that decodes; with `decode_twice`, it is recomputed for the gradient."""
    if batches.decode_twice:
        return lambda generator: checkpoint(generator.decode, use_reentrant=False)
    return lambda generator: generator.decode()


def embedding(batches: MicroBatches, settings: CutoutSettings | None = None) -> Embed:
    """Return the function that embeds cutouts in parts, each recomputed for the gradient, so that one is in memory.

    settings: of which those matter that ask for the cutouts of another program.
    """
    if settings and settings.groups:
        return peer_embedding(settings, batches.cutouts_at_once)

    def embed_in_parts(
        images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], with_maps: bool
    ) -> tuple[Tensor, ...]:
        size = batches.cutouts_at_once
        if size >= parameters.drawn:
            return embed(images, parameters, perceptors, with_maps)
        parts = [
            checkpoint(embed, images, parameters.part(k, k + size), perceptors, with_maps, use_reentrant=False)
            for k in range(0, parameters.drawn, size)
        ]
        return tuple(torch.cat(seen, 1) for seen in zip(*parts, strict=True))

    return embed_in_parts

"""The table of image generators; their contract is in `clipgen.core.contracts`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from clipgen.errors import unknown_value

if TYPE_CHECKING:
    import torch
    from torch import nn

    from clipgen.core.contracts import Generator


@dataclass(frozen=True)
class GeneratorRow:
    """Where a generator lives."""

    module: str
    class_name: str
    summary: str
    has_network: bool = True


GENERATORS: dict[str, GeneratorRow] = {
    "vqgan": GeneratorRow("clipgen.generators.vqgan", "VQGANGenerator", "VQGAN: continuous latents on a codebook grid"),
    "dvae": GeneratorRow("clipgen.generators.dvae", "DVAEGenerator", "DALL-E's dVAE: logits over a picture vocabulary"),
    "pixels": GeneratorRow(
        "clipgen.generators.pixels", "PixelGenerator", "pixels: no network at all", has_network=False
    ),
}


def create(
    backend: str, network: nn.Module, device: torch.device, batch: int, size: tuple[int, int], levels: int
) -> Generator:
    """Make the named generator with latents for `batch` pictures of `size` (width, height), not yet started.

    levels: how many resolutions the latent is a sum of.
    """
    if backend not in GENERATORS:
        raise unknown_value("--backend", backend, GENERATORS)
    row = GENERATORS[backend]
    make = getattr(import_module(row.module), row.class_name)
    return cast("Generator", make(network if row.has_network else device, batch, size, levels))

"""The table of image generators, which satisfy `clipgen.core.contracts.Generator`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from clipgen.errors import UsageError, unknown_value

if TYPE_CHECKING:
    import torch
    from torch import nn

    from clipgen.config.settings import GeneratorSettings
    from clipgen.core.contracts import Generator


@dataclass(frozen=True)
class GeneratorRow:
    """Where a generator is implemented."""

    module: str
    class_name: str
    summary: str
    has_network: bool = True


GENERATORS: dict[str, GeneratorRow] = {
    "vqgan": GeneratorRow("clipgen.generators.vqgan", "VQGANGenerator", "VQGAN: continuous latents and a codebook"),
    "dvae": GeneratorRow("clipgen.generators.dvae", "DVAEGenerator", "DALL-E's dVAE: logits over a codebook"),
    "kl": GeneratorRow(
        "clipgen.generators.kl", "KLGenerator", "continuous autoencoder of Stable Diffusion: latents without codes"
    ),
    "titok": GeneratorRow(
        "clipgen.generators.titok", "TiTokGenerator", "TiTok: a short sequence of tokens for 256x256 pixels"
    ),
    "pixels": GeneratorRow(
        "clipgen.generators.pixels", "PixelGenerator", "pixels: no network at all", has_network=False
    ),
    "strokes": GeneratorRow(
        "clipgen.generators.strokes", "StrokeGenerator", "strokes: CLIPDraw's curves, also as SVG", has_network=False
    ),
}

LATENTS: dict[str, dict[str, GeneratorRow]] = {
    "": GENERATORS,
    "sampled": {
        "vqgan": GeneratorRow("clipgen.generators.sampled", "SampledCodes", "codes sampled by logits"),
        "dvae": GeneratorRow("clipgen.generators.sampled", "SampledPixels", "codes and pixels sampled by logits"),
    },
}
"""By what is optimised: the generators by backend; "" for the usual latents."""


def create(
    backend: str,
    network: nn.Module,
    device: torch.device,
    batch: int,
    size: tuple[int, int],
    settings: GeneratorSettings,
) -> Generator:
    """Create the generator of a backend with latents for `batch` pictures of `size` (width, height), not yet started.

    settings: of which a generator uses what concerns its latent. Raises UsageError for an unknown backend.
    """
    if backend not in GENERATORS:
        raise unknown_value("--backend", backend, GENERATORS)
    if backend not in LATENTS[settings.latent]:
        raise UsageError(f"backend {backend} has no {settings.latent} latent")
    row = LATENTS[settings.latent][backend]
    make = getattr(import_module(row.module), row.class_name)
    return cast("Generator", make(network if row.has_network else device, batch, size, settings))

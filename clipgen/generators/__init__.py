"""The contract of image generators and the table of those that exist. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from clipgen.errors import unknown_value

if TYPE_CHECKING:
    from torch import Tensor, nn

    from clipgen.config.presets import Size


class Generator(Protocol):
    """Holds the latents of B pictures; the optimiser moves `parameters()`, each picture stays its own."""

    def parameters(self) -> Iterable[Tensor]:
        """Return the tensors to optimise, each with the pictures on axis 0."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that starting and optimising has changed, by name: copied into another generator, it is this."""

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start each picture at a random latent that its seed decides."""

    def start_from_images_(self, images: Tensor) -> None:
        """Start at the latents of images (B, 3, H, W)."""

    def restore_(self) -> None:
        """Make the latents what the encoder makes of the pictures as they are; they still started where they did."""

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Prepare for decoding after `step` of `total` updates: sets schedules and makes the draws of (seed, step)."""

    def decode(self) -> Tensor:
        """Draw the pictures, (B, 3, H, W) RGB in [0, 1]; at the last step they are final, free of any noise.

        A pixel that was clamped keeps the gradient that pulls it back into range.
        """

    def project_(self) -> None:
        """Move the latents back into their legal range, after an update."""

    def init_distance(self) -> Tensor:
        """Return (B,) mean squared distances of the latents from where they started."""


@dataclass(frozen=True)
class GeneratorRow:
    """Where a generator lives; `Preset.generators` has its weights and their stride."""

    module: str
    class_name: str
    summary: str


GENERATORS: dict[str, GeneratorRow] = {
    "vqgan": GeneratorRow("clipgen.generators.vqgan", "VQGANGenerator", "VQGAN: continuous latents on a codebook grid"),
    "dvae": GeneratorRow("clipgen.generators.dvae", "DVAEGenerator", "DALL-E's dVAE: logits over a picture vocabulary"),
}


def create(backend: str, network: nn.Module, batch: int, size: Size, levels: int | None = None) -> Generator:
    """Make the named generator with latents for `batch` pictures of `size` (width, height), not yet started.

    levels: resolutions that the latent is a sum of, in place of as many as the generator takes by itself.
    """
    if backend not in GENERATORS:
        raise unknown_value("--backend", backend, GENERATORS)
    row = GENERATORS[backend]
    return cast(Generator, getattr(import_module(row.module), row.class_name)(network, batch, size, levels))

"""The contracts of the parts of a run. Torch-free, so that anything may be checked against them.

B pictures are made together. Images are RGB in [0, 1], shaped (B, 3, H, W); cutouts are (B·n, 3, S, S), picture-major;
embeddings are unit vectors. What one picture loses, weighs or scores never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


class Generator(Protocol):
    """Holds the latents of B pictures; the optimiser moves `parameters()`."""

    def parameters(self) -> Sequence[Tensor]:
        """Return the tensors to optimise, each (B, ...)."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that a run changes, each (B, ...), by name: copied into another generator, it is this one."""

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start each picture at a random latent that its seed decides."""

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Prepare to decode after `step` of `total` updates: set schedules, draw what (seed, step) decides."""

    def decode(self) -> Tensor:
        """Return the images (B, 3, H, W) in [0, 1]; after the last step they are final, free of any noise.

        A pixel that was clamped keeps the gradient that pulls it back into range.
        """

    def project_(self) -> None:
        """Move the latents back into their legal range, after an update."""


@runtime_checkable
class Encoder(Protocol):
    """A generator that can start from images."""

    def start_from_images_(self, images: Tensor) -> None:
        """Start at the latents of images (B, 3, H, W) in [0, 1]."""

    def reencode_(self) -> None:
        """Make the latents what the encoder makes of the images as they are now; where they started stays."""

    def distance_to_start(self) -> Tensor:
        """Return (B,) mean squared distances of the latents from where they started."""


@runtime_checkable
class Growable(Protocol):
    """A generator that can be made for another size."""

    def at_size(self, size: tuple[int, int]) -> Self:
        """Return another of this kind, for pictures of `size` (width, height), not yet started."""


class Perceptor(Protocol):
    """Embeds texts and images in one space; resizing and normalising are its own affair."""

    size: int
    """Pixels a side of the cutouts that it takes."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (N, D)."""

    def encode_images(self, cutouts: Tensor) -> Tensor:
        """Return unit vectors (N, D) of cutouts (N, 3, size, size), RGB in [0, 1]."""


@runtime_checkable
class FeatureMaps(Protocol):
    """A perceptor that also shows what it sees where."""

    def encode_with_maps(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `encode_images` does, and the feature maps (N, C, h, w) behind it."""


@dataclass(frozen=True)
class Moment:
    """What losses are computed from: some of the pictures at one step, as the perceptors see their cutouts."""

    progress: float
    """Share of the steps that are done, in [0, 1]."""
    rows: slice
    """Which of the B pictures of the run these are, b of them."""
    images: Tensor
    """(b, 3, H, W)"""
    vectors: Mapping[int, Tensor]
    """By the number of each perceptor that guides now: the embeddings (b, n, D) of n cutouts."""
    maps: Mapping[int, Tensor]
    """Likewise: its feature maps (b, n, C, h, w), where a loss needs them."""
    generator: Generator


class Loss(Protocol):
    """Something to make small."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return (b,), one number for each picture of the moment."""


class Proposal(Protocol):
    """Where a run begins, and what it adds to the loss: for example what an unCLIP draws of the prompt."""

    def images(self) -> Mapping[int, Tensor]:
        """Return, by the number of the picture, the image (3, h, w) in [0, 1], of any size, that its latent starts at.

        A picture without one starts at noise, or at its init image.
        """

    def losses(self) -> Mapping[str, Loss]:
        """Return what it adds to the loss, by name; these see feature maps."""

    def target_weights(self, weights: Tensor) -> Tensor:
        """Return how much the targets still count by themselves, of the weights (B, K) that they were given."""

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return images (B, 3, h, w) at `size` (width, height), for pictures that started small."""


@dataclass(frozen=True, eq=False)
class Step:
    """One picture after `index` updates; index 0 is the start, index `total` the final picture.

    Everything is detached and stays on the device of the run: reading a number or the image waits for the device, so a
    sink reads only what it shows.
    """

    index: int
    total: int
    loss: Tensor
    """() what the optimiser minimises."""
    score: Tensor
    """() mean cosine between the cutouts and the texts that pull, as the guiding perceptors see it."""
    terms: Mapping[str, Tensor]
    """Each () part of the loss by name."""
    draw: Callable[[], Tensor]
    """Makes `image`."""
    cutouts_at_once: int = 0
    """Fewer than there are where memory was short."""

    @cached_property
    def image(self) -> Tensor:
        """(3, H, W) RGB in [0, 1], all of it finite; made when it is first looked at."""
        return self.draw()


class Outcome(Enum):
    """How a run ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """Stopped by the user; the last step that was reported is what it had reached."""
    DIVERGED = "diverged"
    """The numbers went bad; the last step that was reported has the last picture that is worth keeping."""
    FAILED = "failed"
    """Nothing of the run is worth keeping."""


class Sink(Protocol):
    """Listens to the run of one picture."""

    def on_step(self, step: Step) -> None:
        """Take index 0, 1, ... in turn, to total or to where the user stopped the run; the last is to be kept."""

    def close(self, outcome: Outcome) -> None:
        """Take the end, exactly once, however the run ended."""

"""The contracts between the parts of a run. Torch-free, so that anything can be checked against them.

B pictures are optimised together. Images are RGB in [0, 1], shaped (B, 3, H, W); cutouts are (B·n, 3, S, S),
picture-major. A picture's losses and score never depend on its neighbours in the batch.
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
    """Holds the latents of B pictures; the optimiser updates `parameters()`."""

    def parameters(self) -> Sequence[Tensor]:
        """Return the tensors to optimise, each (B, ...)."""

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a run changes, each (B, ...), by name: enough to copy it into another generator."""

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start each picture at a random latent that depends only on its seed."""

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Prepare to decode after `step` of `total` updates: set schedules, and draw noise from (seed, step)."""

    def decode(self) -> Tensor:
        """Return the images (B, 3, H, W) in [0, 1]; after the last step decoding is deterministic, without noise.

        A clamped pixel keeps the gradient that pulls it back into range.
        """

    def project_(self) -> None:
        """Project the latents onto their valid range, after an update."""


@runtime_checkable
class Encoder(Protocol):
    """A generator that can start from images."""

    def start_from_images_(self, images: Tensor) -> None:
        """Start at the latents of images (B, 3, H, W) in [0, 1]."""

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        """Continue at the latents of images (B, 3, H, W), plus `rest`; returns those before, less those of images."""

    def distance_to_start(self) -> Tensor:
        """Return the mean squared distances (B,) of the latents from where they started."""


@runtime_checkable
class Growable(Protocol):
    """A generator that can be rebuilt for another size."""

    def at_size(self, size: tuple[int, int]) -> Self:
        """Return a generator of the same kind for pictures of `size` (width, height), not yet started."""


class Perceptor(Protocol):
    """Encodes texts and images so that they can be compared; it normalises its own input."""

    size: int
    """Side of the cutouts that it takes, in pixels."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return the targets (N, D) of N texts: a CLIP's unit vectors, or which classes a classifier is to see."""

    def whole(self, images: Tensor) -> Tensor:
        """Resize whole images (N, 3, H, W) in [0, 1], of any aspect ratio, to cutouts (N, 3, size, size)."""

    def encode_images(self, cutouts: Tensor) -> Tensor:
        """Return the vectors (N, D) of cutouts (N, 3, size, size), RGB in [0, 1]: unit vectors, or logits."""

    def distances(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return how far (b, n, K) vectors (b, n, D) of n cutouts are from K targets (b, K, D); to be minimised."""

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return how well (b, n, K) they match, at most 1: a cosine, or a probability."""


@runtime_checkable
class FeatureMaps(Protocol):
    """A perceptor that can also return its spatial feature maps."""

    def encode_with_maps(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the unit vectors (N, D) of `encode_images`, and the feature maps (N, C, h, w) before pooling."""


@dataclass(frozen=True)
class Moment:
    """The input of the losses: some of the pictures at one step, and the embeddings of their cutouts."""

    progress: float
    """Fraction of the steps done, in [0, 1]."""
    rows: slice
    """Which of the B pictures of the run these are; there are b of them."""
    images: Tensor
    """(b, 3, H, W) in [0, 1]."""
    vectors: Mapping[int, Tensor]
    """By index of each perceptor that guides at this step: the vectors (b, n, D) of n cutouts."""
    maps: Mapping[int, Tensor]
    """By the same indices: feature maps (b, n, C, h, w), if a loss needs them."""
    generator: Generator


class Loss(Protocol):
    """A quantity to minimise."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return one value for each picture of the moment, (b,)."""


class Proposal(Protocol):
    """Where a run begins and what it adds to the loss; for example, pictures and features sampled by an unCLIP."""

    def images(self) -> Mapping[int, Tensor]:
        """Return, by index of the picture, the image (3, h, w) in [0, 1], of any size, from which its latent starts.

        A picture without one starts from noise, or from its init image.
        """

    def losses(self) -> Mapping[str, Loss]:
        """Return the losses that it adds, by name; they receive feature maps."""

    def target_weights(self, weights: Tensor) -> Tensor:
        """Return the weights (B, K) of the targets in the loss, given their weights (B, K) in the prompts."""

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return images (B, 3, h, w) in [0, 1] at `size` (width, height), for pictures that started small."""


@dataclass(frozen=True, eq=False)
class Step:
    """One picture after `index` updates; index 0 is the start, index `total` the final picture.

    Everything is detached and stays on the device of the run. Reading a number or the image waits for the device, so a
    sink should read only what it shows.
    """

    index: int
    total: int
    loss: Tensor
    """() the value that the optimiser minimises."""
    score: Tensor
    """() mean similarity of the cutouts and the texts of positive weight, by the guiding perceptors."""
    terms: Mapping[str, Tensor]
    """By name: each () weighted part of the loss."""
    draw: Callable[[], Tensor]
    """Computes `image`."""
    cutouts_at_once: int = 0
    """Cutouts of a picture that were processed together; fewer than all if memory was short."""

    @cached_property
    def image(self) -> Tensor:
        """(3, H, W) RGB in [0, 1], the last finite one if values diverged; computed when first read."""
        return self.draw()


class Outcome(Enum):
    """How a run ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """Stopped by the user; the last reported step holds the picture so far."""
    DIVERGED = "diverged"
    """Losses or gradients stayed non-finite; the last reported step holds the last usable picture."""
    FAILED = "failed"
    """The run has no usable picture."""


class Sink(Protocol):
    """Observes the run of one picture. One that fails is left out from then on, and costs neither run nor picture."""

    def on_step(self, step: Step) -> None:
        """Receive step 0, 1, ... in order, up to `total` or to where the user stopped; the last one is the result."""

    def close(self, outcome: Outcome) -> None:
        """Receive the outcome, exactly once, however the run ended; raises ClipgenError if a file was not written."""

"""What a run reports, and the contract of those that listen. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Step:
    """The state of a run after `index` updates; index 0 is the start, index `total` the final picture.

    Everything is detached and stays on the device of the run: reading a number waits for the device, so a sink
    reads only what it shows. Numbers are means over the pictures of the run.
    """

    index: int
    total: int
    loss: Tensor
    """() what the optimiser minimises."""
    score: Tensor
    """() mean cosine between the views and the texts that pull, as the guiding perceptors see it."""
    terms: Mapping[str, Tensor]
    """Each () part of the loss by name."""
    image: Tensor
    """(B, 3, H, W) RGB in [0, 1], all of it finite."""
    views_at_once: int = 0
    """Of each picture: fewer than there are cutouts where memory ran out."""


class Outcome(Enum):
    """How a run ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """Stopped by the user; the last step that was reported is what it had reached."""
    DIVERGED = "diverged"
    """The numbers went bad; the last step that was reported has the last pictures that are worth keeping."""
    FAILED = "failed"
    """Nothing of the run is worth keeping."""


class Sink(Protocol):
    """Listens to one run."""

    def on_step(self, step: Step) -> None:
        """Take index 0, 1, ... in turn, to total or to where the user stopped the run; the last is to be kept."""

    def close(self, outcome: Outcome) -> None:
        """Take the end, exactly once, however the run ended."""

"""The images that a run is given, as tensors in [0, 1] on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Given:
    """The images of B pictures that are made together."""

    init: Tensor | None = None
    """(B, 3, H, W), at full size, if the pictures start from any."""
    mask: Tensor | None = None
    """(B, 1, H, W): what may change is above a half."""
    begun: Tensor | None = None
    """(B, 3, H, W): where latents begin, if not at the init images."""
    overlay: Tensor | None = None
    """(1, 4, H, W) RGBA: what is laid over all pictures every few steps."""
    tokens: Tensor | None = None
    """(1, h, w): the codes that the latents of all pictures begin at."""
    targets: tuple[Tensor, ...] = ()
    """For each target that is a file, (1, 3, h, w), or (1, 1, h, w) for the mask of a region; the same for all."""

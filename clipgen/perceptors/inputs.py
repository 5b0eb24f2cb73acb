"""The input of perceptors: what all of them check and do alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.errors import ClipgenError
from clipgen.util.text import quoted


def check_normalisation(owner: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise ClipgenError unless these are three finite numbers each, the latter above 0; `owner` is "a CLIP"."""
    if not (len(mean) == len(std) == 3 and all(math.isfinite(x) for x in mean) and all(0 < x < math.inf for x in std)):
        raise ClipgenError(f"{owner}'s mean and std must be three numbers each, got {quoted(mean)} and {quoted(std)}")


def as_cutouts(images: Tensor, size: int) -> Tensor:
    """Resize whole images (N, 3, H, W), of any aspect ratio, to cutouts (N, 3, size, size)."""
    return interpolate(images, (size, size), mode="bilinear", antialias=True)

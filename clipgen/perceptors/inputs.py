"""The input of perceptors: what all of them check and do alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.errors import ClipgenError
from clipgen.util.text import quoted
from clipgen.weights.clips import PREPROCESSING

_KNOWN: Mapping[str, tuple[object, ...]] = {
    "interpolation": ("bicubic", "bilinear", "random"),  # the last is for training, and bicubic else
    "resize_mode": ("shortest", "squash", "longest"),
    "fill_color": tuple(range(256)),
}
"""What open_clip accepts."""


def check_normalisation(owner: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise ClipgenError unless these are three finite numbers each, the latter above 0; `owner` is "a CLIP"."""
    if not (len(mean) == len(std) == 3 and all(math.isfinite(x) for x in mean) and all(0 < x < math.inf for x in std)):
        raise ClipgenError(f"{owner}'s mean and std must be three numbers each, got {quoted(mean)} and {quoted(std)}")


def as_cutouts(images: Tensor, size: int) -> Tensor:
    """Resize whole images (N, 3, H, W), of any aspect ratio, to cutouts (N, 3, size, size)."""
    return interpolate(images, (size, size), mode="bilinear", antialias=True)


def preparation(size: int, config: Mapping[str, Any]) -> Callable[[Image.Image], Tensor]:
    """Return open_clip's way from a whole picture to RGB (3, size, size) in [0, 1], which is not normalised yet.

    config: may have the keys of PREPROCESSING, which hold without them. Raises ClipgenError for values that open_clip
    does not know.
    """
    said = {name: config.get(name, usual) for name, usual in PREPROCESSING.items()}
    for name, value in said.items():
        if isinstance(value, bool) or value not in _KNOWN[name]:
            raise ClipgenError(f"a CLIP's {name} cannot be {quoted(value)}")
    *steps, _normalisation = image_transform_v2(PreprocessCfg(size=size, **said), is_train=False).transforms

    def prepare(picture: Image.Image) -> Tensor:
        made: Any = picture
        for step in steps:
            made = step(made)
        prepared: Tensor = made
        return prepared

    return prepare

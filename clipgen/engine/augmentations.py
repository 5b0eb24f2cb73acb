"""Kornia's augmentations with parameters drawn from a generator: each row of KORNIA makes one of AUGMENTATIONS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from kornia import augmentation as kornia
from kornia.geometry.transform import warp_perspective
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from clipgen.config.augmentations import ALTERNATING, BORDER, GREY, REFLECTION, AugmentationSettings

_DRAWS = frozenset({torch.rand, torch.randn, torch.randint, torch.randperm, torch.bernoulli})
Parameters = Mapping[str, Tensor]
"""What Kornia draws for one augmentation of n cutouts."""


class DrawingFrom(TorchFunctionMode):
    """Inside the block, this thread draws from a generator; torch's own, which all threads share, stays as it is."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWS and given.get("generator") is None:
            given["generator"] = self._generator
        return func(*args, **given)


@dataclass(frozen=True)
class Surroundings:
    """What an augmentation depends on beside its settings."""

    side: int
    """Of the cutouts that a perceptor sees, in pixels."""
    aspect: float
    """Width of the picture over its height."""
    step: int
    grey: float
    """In [0, 1]: the grey beyond the edges in this step."""


def _perspective(row: AugmentationSettings, around: Surroundings) -> Any:
    """Make Kornia's RandomPerspective, with a choice of what is seen beyond the edges."""
    made = kornia.RandomPerspective(row.amounts[0], p=row.probability)
    border, fill = _border(row, around)
    corners = made.flags["align_corners"]
    made.apply_transform = partial(_warped, border=border, fill=fill, corners=corners)
    return made


def _warped(images: Tensor, *_unused: object, transform: Tensor, border: str, fill: Tensor, corners: bool) -> Tensor:
    size = images.shape[2], images.shape[3]
    return warp_perspective(
        images, transform, size, align_corners=corners, padding_mode=border, fill_value=fill.to(images)
    )


def _affine(row: AugmentationSettings, around: Surroundings) -> Any:
    degrees, across, down, shear = row.amounts
    edge = _edge(row, around)
    return kornia.RandomAffine(degrees, (across, down), shear=shear, p=row.probability, **edge)


def _shrunk(row: AugmentationSettings, around: Surroundings) -> nn.Module:
    """Make what shrinks a whole picture, in its own shape, until it fits into the middle square, then cuts that out."""
    square, least = row.amounts
    if around.aspect == 1:
        scale, shift = (square, square), ((1 - square) / 2, (1 - square) / 2)
    else:
        share = min(around.aspect, 1 / around.aspect)
        scale = least * share, share
        shift = (0.0, (1 - share) / 2) if around.aspect > 1 else ((1 - share) / 2, 0.0)
    edge = _edge(row, around)
    return nn.Sequential(
        kornia.RandomAffine(0.0, shift, scale, p=row.probability, **edge),
        kornia.CenterCrop(around.side, cropping_mode="resample", p=1.0),
    )


def _edge(row: AugmentationSettings, around: Surroundings) -> dict[str, Any]:
    """Return what Kornia's affine augmentation shows beyond the edges."""
    border, fill = _border(row, around)
    return {"padding_mode": border, **({"fill_value": fill} if border == "fill" else {})}


def _border(row: AugmentationSettings, around: Surroundings) -> tuple[str, Tensor]:
    """Return Kornia's name for a border, and the colour that it may fill it with."""
    alternating = BORDER if around.step % 2 else REFLECTION
    name = {GREY: "fill", ALTERNATING: alternating}.get(row.border, row.border)
    return name, torch.full((3,), around.grey)


KORNIA: dict[str, Callable[[AugmentationSettings, Surroundings], Any]] = {
    "affine": _affine,
    "perspective": _perspective,
    "jitter": lambda row, _: kornia.ColorJitter(*row.amounts, p=row.probability),
    "erasing": lambda row, _: kornia.RandomErasing(
        row.amounts[:2], row.amounts[2:], same_on_batch=True, p=row.probability
    ),
    "resized-crop": lambda row, around: kornia.RandomResizedCrop(
        (around.side, around.side), row.amounts[:2], row.amounts[2:], p=row.probability, cropping_mode="resample"
    ),
    "mirror": lambda row, _: kornia.RandomHorizontalFlip(p=row.probability),
    "shrunk": _shrunk,
}
"""By kind: makes the augmentation."""
_CROPPED = (kornia.RandomResizedCrop, kornia.CenterCrop)
"""Those whose output has the size of the cutouts; all others keep that of their input."""


def chain_of(rows: Sequence[AugmentationSettings], around: Surroundings) -> list[Any]:
    """Return the augmentations of Kornia for a chain of settings, in order."""
    made = [KORNIA[row.kind](row, around) for row in rows]
    return [one for each in made for one in (each if isinstance(each, nn.Sequential) else [each])]


def draw_chain(chain: Sequence[Any], shape: tuple[int, int, int, int], side: int) -> tuple[Parameters, ...]:
    """Draw the parameters of augmentations for cutouts of this shape (n, 3, h, w), inside `DrawingFrom`."""
    drawn = []
    for each in chain:
        drawn.append(each.forward_parameters(torch.Size(shape)))
        shape = (*shape[:2], side, side) if isinstance(each, _CROPPED) else shape
    return tuple(drawn)


def augmented(cutouts: Tensor, chain: Sequence[Any], drawn: Sequence[Parameters]) -> Tensor:
    """Return cutouts (n, 3, h, w) after augmentations with the parameters that were drawn for them."""
    for each, parameters in zip(chain, drawn, strict=True):
        cutouts = each(cutouts, params=dict(parameters))
    return cutouts

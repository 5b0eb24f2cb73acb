"""The cutouts of other programs: pooled pictures or crops, in groups, each through a chain of augmentations.

Everything is drawn from the seed of the picture and the step, so that no picture depends on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from clipgen.config.augmentations import CROPS, POOLED, SHAPED, WINDOWS, CutoutGroup
from clipgen.config.settings import CutoutSettings
from clipgen.core.contracts import Perceptor
from clipgen.core.cutouts import AugmentationParameters
from clipgen.core.loop import Embed
from clipgen.engine.augmentations import DrawingFrom, Parameters, Surroundings, augmented, chain_of, draw_chain
from clipgen.generators.clamp import clamp_with_grad
from clipgen.util.randomness import generator_for

WINDOW = 7 / 8
"""Side of a window as a fraction of the shorter side of the picture."""
LOBES = 2
"""Of the Lanczos kernel that crops are shrunk by."""
Crop = tuple[int, int, int]
"""Side, left and top, in pixels."""


@dataclass(frozen=True)
class DrawnGroup:
    """What was drawn for the n cutouts of a group."""

    count: int
    around: Surroundings
    crops: tuple[Crop, ...]
    """Empty for whole pictures."""
    chain: tuple[Parameters, ...]
    """For each augmentation of Kornia in turn."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn for the cutouts of one picture at one step."""

    groups: tuple[DrawnGroup, ...]
    """One for each group of the settings; for one without cutouts nothing is drawn."""
    noise: Tensor
    """(n, 1, 1, 1) standard deviations."""
    noise_field: Tensor
    """(n, 3, side, side), of standard deviation 1; a single number, of no use, without noise."""


def draw(
    seed: int, step: int, count: int, size: tuple[int, int], side: int, settings: CutoutSettings, device: torch.device
) -> Drawn:
    """Draw what makes `count` cutouts of this side of a picture of `size` (width, height)."""
    generator = generator_for(seed, step, "views")
    with DrawingFrom(generator):
        grey = float(torch.rand(()))
        around = Surroundings(side, size[0] / size[1], step, grey)
        groups, left = [], count
        for place, group in enumerate(settings.groups):
            taken = left if place == len(settings.groups) - 1 else min(int(group.share * count), left)
            groups.append(_draw_group(group, taken, size, around))
            left -= taken
        noise = settings.noise * torch.rand(count, 1, 1, 1)
    shape = (
        (count, 3, side, side) if settings.noise else ()
    )  # millions of numbers, which recipes without noise need not
    field = torch.randn(shape, generator=generator_for(seed, step, "noise", device), device=device)
    return Drawn(tuple(groups), noise.to(device), field)


def _draw_group(group: CutoutGroup, count: int, size: tuple[int, int], around: Surroundings) -> DrawnGroup:
    if not count:
        return DrawnGroup(0, around, (), ())
    sides = _sides(group.cutter, size, around.side)
    crops = tuple(_crop(size, *sides, group.power) for _ in range(count)) if sides else ()
    height, width = _shape(around) if group.cutter == SHAPED else (around.side, around.side)
    drawn = draw_chain(chain_of(group.chain, around), (count, 3, height, width), around.side)
    return DrawnGroup(count, around, crops, drawn)


def _sides(cutter: str, size: tuple[int, int], side: int) -> tuple[int, int] | None:
    """Return the smallest and the largest side of crops; None for whole pictures.

    Crops are at least as large as the cutouts, if the picture is; windows all have one size.
    """
    most, window = min(size), round(WINDOW * min(size))
    return {CROPS: (min(most, side), most), WINDOWS: (window, window)}.get(cutter)


def _crop(size: tuple[int, int], least: int, most: int, power: float) -> Crop:
    """Draw a square of a side in this range."""
    chosen = int(torch.rand(()) ** power * (most - least) + least)
    left, top = (int(torch.randint(0, length - chosen + 1, ())) for length in size)
    return chosen, left, top


def cutouts_of(image: Tensor, drawn: Drawn, side: int, settings: CutoutSettings) -> Tensor:
    """Return the cutouts (n, 3, side, side) of a picture (1, 3, H, W) in [0, 1]; noise can take them out of [0, 1]."""
    pairs = zip(settings.groups, drawn.groups, strict=True)
    parts = [
        augmented(CUTTERS[group.cutter](image, own, side), chain_of(group.chain, own.around), own.chain)
        for group, own in pairs
        if own.count
    ]
    cutouts = torch.cat(parts)
    if settings.noise:
        cutouts = cutouts + drawn.noise * drawn.noise_field
    return rescaled(cutouts) if settings.rescaled else cutouts


def rescaled(cutouts: Tensor) -> Tensor:
    """Return cutouts of which the darkest value is 0 and the brightest 1."""
    above = cutouts - cutouts.min()
    return above / above.max().clamp_min(torch.finfo(above.dtype).tiny)


def _pooled(image: Tensor, drawn: DrawnGroup, side: int) -> Tensor:
    """Return the whole picture, squashed to a square, once for each cutout."""
    pooled = (F.adaptive_avg_pool2d(image, side) + F.adaptive_max_pool2d(image, side)) / 2
    return pooled.repeat(drawn.count, 1, 1, 1)


def _shaped(image: Tensor, drawn: DrawnGroup, side: int) -> Tensor:
    """Return the same, stretched to the shape of the picture."""
    pooled = _pooled(image, drawn, side)
    shape = _shape(drawn.around)
    return pooled if shape == (side, side) else F.interpolate(pooled, shape, mode="bilinear", align_corners=False)


def _shape(around: Surroundings) -> tuple[int, int]:
    """Return height and width of a picture whose shorter side is that of the cutouts."""
    return int(around.side / min(around.aspect, 1)), int(around.side * max(around.aspect, 1))


def _crops(image: Tensor, drawn: DrawnGroup, side: int) -> Tensor:
    parts = [image[:, :, top : top + size, left : left + size] for size, left, top in drawn.crops]
    return clamp_with_grad(torch.cat([resampled(part, side) for part in parts]))


CUTTERS: dict[str, Callable[[Tensor, DrawnGroup, int], Tensor]] = {
    POOLED: _pooled,
    SHAPED: _shaped,
    CROPS: _crops,
    WINDOWS: _crops,
}
"""By name: makes the cutouts of a group (n, 3, h, w) from a picture (1, 3, H, W)."""


def resampled(images: Tensor, side: int) -> Tensor:
    """Return square images (B, 3, S, S) at another side: through a Lanczos low-pass if it is smaller, then bicubic."""
    before = images.shape[3]
    if side == before:
        return images
    if side < before:
        images = _filtered(images, lanczos(side / before).to(images))
    return F.interpolate(images, (side, side), mode="bicubic", align_corners=True)


def lanczos(ratio: float) -> Tensor:
    """Return the Lanczos kernel (2k + 1,), of sum 1, for a picture that shrinks to this fraction of its size."""
    reach = math.ceil(LOBES / ratio + 1) - 2
    places = ratio * torch.arange(-reach, reach + 1)
    values = torch.where(places.abs() < LOBES, torch.sinc(places) * torch.sinc(places / LOBES), 0.0)
    return values / values.sum()


def _filtered(images: Tensor, kernel: Tensor) -> Tensor:
    """Return images (B, 3, H, W) filtered along both axes, mirrored at their edges."""
    pad, flat = len(kernel) // 2, images.flatten(0, 1)[:, None]
    flat = F.conv2d(F.pad(flat, (0, 0, pad, pad), "reflect"), kernel[None, None, :, None])
    flat = F.conv2d(F.pad(flat, (pad, pad, 0, 0), "reflect"), kernel[None, None, None, :])
    return flat.view(images.shape)


def peer_embedding(settings: CutoutSettings, at_once: int) -> Embed:
    """Return an `embed` of these cutouts; perceptors see so many of each picture at once, recomputed if not all."""

    def embed(
        images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], _with_maps: bool
    ) -> tuple[Tensor, ...]:
        sides = {each.size for each in perceptors}
        cutouts = {side: _cutouts(images, parameters, side, settings) for side in sides}
        return tuple(_seen(each, cutouts[each.size], at_once) for each in perceptors)

    return embed


def _cutouts(images: Tensor, parameters: AugmentationParameters, side: int, settings: CutoutSettings) -> Tensor:
    """Return the cutouts (B, n, 3, side, side) of images (B, 3, H, W); of a part of them, those within all."""
    size, device = (images.shape[3], images.shape[2]), images.device
    here = slice(parameters.first, parameters.first + len(parameters.noise) // len(parameters.seeds))
    found = []
    for image, seed in zip(torch.split(images, 1), parameters.seeds, strict=True):
        drawn = draw(seed, parameters.step, parameters.drawn, size, side, settings, device)
        found.append(cutouts_of(image, drawn, side, settings)[here])
    return torch.stack(found)


def _seen(perceptor: Perceptor, cutouts: Tensor, at_once: int) -> Tensor:
    """Return the vectors (B, n, D) of cutouts (B, n, 3, side, side)."""
    parts = torch.split(cutouts, at_once, 1)
    if len(parts) == 1:
        return perceptor.encode_images(cutouts.flatten(0, 1)).view(*cutouts.shape[:2], -1)
    seen = [checkpoint(perceptor.encode_images, part.flatten(0, 1), use_reentrant=False) for part in parts]
    return torch.cat([one.view(*part.shape[:2], -1) for one, part in zip(seen, parts, strict=True)], 1)

"""Losses beside that of the prompt; most measure the picture alone, images (B, 3, H, W) in [0, 1], one value each."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import GROUP
from clipgen.core.contracts import Loss, Moment
from clipgen.core.losses import LOSSES, Targets
from clipgen.errors import UsageError
from clipgen.steering.vectors import whole_vectors
from clipgen.util.batches import mean_of_each
from clipgen.util.images import resized

Measure = Callable[[Tensor], Tensor]
"""From images (B, 3, H, W) to losses (B,)."""

MARGIN = 0.1  # of the shorter side
NEAR = 0.05  # how far from black and white colours may be before `colour_range` minds


def total_variation(images: Tensor) -> Tensor:
    """Return the mean absolute differences of neighbouring pixels (Rudin, Osher and Fatemi, 1992)."""
    return _of_differences(images, torch.abs)


def smoothness(images: Tensor) -> Tensor:
    """Return the mean squared differences of neighbouring pixels, which spread an edge over several."""
    return _of_differences(images, torch.square)


def _of_differences(images: Tensor, size: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean size (B,) of the differences of neighbouring pixels, added up over the axes."""
    axes = [mean_of_each(size(images.diff(dim=axis))) for axis in (3, 2) if images.shape[axis] > 1]
    return torch.stack([images.new_zeros(len(images)), *axes]).sum(0)


def contrast(images: Tensor) -> Tensor:
    """Return the mean squared distance from grey."""
    return mean_of_each((images - 0.5).square())


def saturation(images: Tensor) -> Tensor:
    """Return the mean squared difference between the channels and their mean; 0 for greys."""
    return mean_of_each((images - images.mean(1, keepdim=True)).square())


def colour_range(images: Tensor) -> Tensor:
    """Return by how much channels are nearer to 0 or 1 than NEAR: the mean square, in units of NEAR."""
    excess = ((images - 0.5).abs() - (0.5 - NEAR)).clamp_min(0) / NEAR
    return mean_of_each(excess.square()) * NEAR


def palette(colours: Tensor) -> Measure:
    """Return the mean squared distance of pixels from the nearest of these colours (K, 3)."""

    def measure(images: Tensor) -> Tensor:
        each = [(images - colour.to(images)[None, :, None, None]).square().sum(1) for colour in colours]
        return mean_of_each(torch.stack(each).min(0).values)

    return measure


def symmetry(axes: tuple[int, ...]) -> Measure:
    """Return the mean squared difference from the mirror image along each of these axes."""
    return lambda images: torch.stack([mean_of_each((images - images.flip(axis)).square()) for axis in axes]).sum(0)


def edges(colour: Tensor) -> Measure:
    """Return the mean squared difference of a margin from a colour (3,)."""

    def measure(images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        wide = max(round(MARGIN * min(height, width)), 1)
        inside = torch.zeros(height, width, device=images.device)
        inside[wide:-wide, wide:-wide] = 1
        squares = (images - colour.to(images)[None, :, None, None]).square().mean(1) * (1 - inside)
        return squares.sum((1, 2)) / (1 - inside).sum().clamp_min(1)

    return measure


def seam(images: Tensor) -> Tensor:
    """Return how much more pixels differ across opposite edges than beside them; 0 for pictures that tile."""
    jumps = [_jump(images, axis) for axis in (2, 3) if images.shape[axis] > 2]
    return torch.stack([images.new_zeros(len(images)), *jumps]).sum(0)


def _jump(images: Tensor, axis: int) -> Tensor:
    first, second, last_but_one, last = (images.select(axis, place) for place in (0, 1, -2, -1))
    straight = (last + (last - last_but_one) / 2) - (first - (second - first) / 2)
    return mean_of_each((first - last).square() + straight.square()) / 2


def _colours(text: str) -> Tensor:
    """Return (K, 3) in [0, 1] of "#rrggbb,..."."""
    return torch.tensor([list(bytes.fromhex(name.removeprefix("#"))) for name in text.split(",")]) / 255


_AXES = {"left-right": (3,), "top-bottom": (2,), "both": (2, 3)}

PICTURE_LOSSES: dict[str, Callable[[str], Measure]] = {
    "total-variation": lambda _detail: total_variation,
    "smoothness": lambda _detail: smoothness,
    "contrast": lambda _detail: contrast,
    "saturation": lambda _detail: saturation,
    "range": lambda _detail: colour_range,
    "palette": lambda detail: palette(_colours(detail)),
    "symmetry": lambda detail: symmetry(_AXES[detail]),
    "edges": lambda detail: edges(_colours(detail)[0]),
    "seam": lambda _detail: seam,
}
"""By name: makes the measure from the detail of a plan's loss."""


def make_loss(row: LossSettings, targets: Targets, images: Tensor | None) -> Loss:
    """Build a loss of a run with these targets and init images (B, 3, H, W). Raises UsageError if it lacks these."""
    if row.name in LOSSES:
        return LOSSES[row.name](targets, images)
    if row.name == "anchor":
        return LOSSES["init"](targets, images)  # the run moves the start that this measures from
    if row.name == "norm":
        return _excess_of_norm
    if row.name == "init-pixels":
        return _distance_of_pixels(images)
    if row.name == "init-embedding":
        return _distance_of_embeddings(targets, images)
    if row.name not in PICTURE_LOSSES:
        return _own_loss(row)
    measure = PICTURE_LOSSES[row.name](row.detail)
    return lambda moment: measure(moment.images)


def _own_loss(row: LossSettings) -> Loss:
    """Return the loss of an installed package: its entry point makes one from the detail that was typed."""
    [entry, *_] = entry_points(group=GROUP, name=row.name)
    try:
        made: Loss = entry.load()(row.detail)
    except UsageError:
        raise
    except Exception as error:  # whatever it is, it is the package's
        raise UsageError(
            f"--loss {row.name} of {entry.value} cannot be used: {type(error).__name__}: {error}"
        ) from error

    def checked(moment: Moment) -> Tensor:
        value = made(moment)
        if value.shape != (len(moment.images),):
            raise UsageError(f"--loss {row.name} must return a number for each picture, got shape {tuple(value.shape)}")
        return value

    return checked


@runtime_checkable
class HasNorm(Protocol):
    """A generator whose latents have a usual length."""

    def norm_excess(self) -> Tensor:
        """Return by how much each latent (B,) is longer."""


def _excess_of_norm(moment: Moment) -> Tensor:
    if not isinstance(moment.generator, HasNorm):
        raise UsageError("the loss norm goes by latents that are about standard normal, as those of --backend kl are")
    return moment.generator.norm_excess()[moment.rows]


def _distance_of_embeddings(targets: Targets, images: Tensor | None) -> Loss:
    if images is None:
        raise UsageError("the loss init-embedding holds a picture to its init image, and there is none")
    able = [k for k, each in enumerate(targets.perceptors) if getattr(each, "takes_images", True)]
    if not able:
        raise UsageError("--loss init-embedding needs a CLIP that guides; add --clip NAME")
    with torch.no_grad():
        vectors = {k: whole_vectors(targets.perceptors[k], images)[:, None] for k in able}

    def distance(moment: Moment) -> Tensor:
        found = {
            k: targets.perceptors[k].distances(seen, vectors[k][moment.rows]).mean((1, 2))
            for k, seen in moment.vectors.items()
            if k in vectors
        }
        return targets.mean(found) if found else moment.images.new_zeros(len(moment.images))

    return distance


def _distance_of_pixels(images: Tensor | None) -> Loss:
    if images is None:
        raise UsageError("the loss init-pixels holds a picture to its init image, and there is none")
    return lambda moment: mean_of_each((moment.images - resized(images[moment.rows], _size(moment.images))).square())


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[3], images.shape[2]

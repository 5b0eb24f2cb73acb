"""Edits of a part of a picture: what is outside the mask stays as it was, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, pad

from clipgen.config.edits import AROUND
from clipgen.config.plan import Plan, spell
from clipgen.core.contracts import Generator, Loss, Perceptor, Proposal
from clipgen.core.cutouts import AugmentationParameters
from clipgen.core.loop import Embed
from clipgen.errors import UsageError
from clipgen.steering.given import Given

MARGIN = 0.25
"""How much wider than the mask its window is, on each side, as a fraction of the mask."""
SHARE_OF_WINDOW = 0.5
"""The fraction of the cutouts that are taken from the window."""
MOSTLY = 0.5
"""Coarser levels of a latent move only where the mask covers this much of a cell, so that they move little outside."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True)
class Edit:
    """What may change in B pictures, and what they are otherwise."""

    init: Tensor
    """(B, 3, H, W) in [0, 1]."""
    soft: Tensor
    """(B, 1, H, W) in [0, 1]: how much of the new picture shows; 0 outside the mask."""

    @cached_property
    def box(self) -> Box:
        """The window around the mask."""
        return window(self.soft.amax((0, 1)) > 0)

    @property
    def shown(self) -> Tensor:
        """The init images in the window, (B, 3, h, w)."""
        return cropped(self.init, self.box)

    def composite(self, images: Tensor) -> Tensor:
        """Return images (B, 3, H, W) inside the mask and the init images outside."""
        return torch.where(self.soft > 0, torch.lerp(self.init, images, self.soft), self.init)

    def composing(self, decode: Callable[[Generator], Tensor]) -> Callable[[Generator], Tensor]:
        """Return a function that decodes, and restores what is outside the mask."""
        return lambda generator: self.composite(decode(generator))

    def leaning(self, embed: Embed, share: float) -> Embed:
        """Return an `embed` that takes this share of the cutouts from the window around the mask."""

        def lean(
            images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], with_maps: bool
        ) -> tuple[Tensor, ...]:
            count = len(parameters.noise) // len(parameters.seeds)
            near = round(share * count)
            parts = [embed(images, parameters.part(0, count - near), perceptors, with_maps)] if near < count else []
            if near:
                parts.append(
                    embed(cropped(images, self.box), parameters.part(count - near, count), perceptors, with_maps)
                )
            return tuple(torch.cat(seen, 1) for seen in zip(*parts, strict=True))

        return lean

    def proposing(self, proposal: Proposal) -> Proposal:
        """Return a proposal for the window, whose losses are about the window alone."""
        return _ForWindow(proposal, self.box)

    def hold_(self, generator: Generator) -> None:
        """Keep the gradients from the cells of the latent that no mask touches."""
        finest = max(level.shape[2] * level.shape[3] for level in generator.parameters())
        for level in generator.parameters():
            cells = level.shape[2:]
            least = 0.0 if cells[0] * cells[1] == finest else MOSTLY
            covered = (adaptive_avg_pool2d((self.soft > 0).float(), (cells[0], cells[1])) > least).to(level)
            level.register_hook(covered.mul)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _ForWindow:
    proposal: Proposal
    box: Box

    def images(self) -> Mapping[int, Tensor]:
        return {}  # an edit begins at its init image

    def losses(self) -> Mapping[str, Loss]:
        return {name: self._inside(loss) for name, loss in self.proposal.losses().items()}

    def _inside(self, loss: Loss) -> Loss:
        return lambda moment: loss(replace(moment, images=cropped(moment.images, self.box)))

    def target_weights(self, weights: Tensor) -> Tensor:
        return self.proposal.target_weights(weights)

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        return self.proposal.enlarge(images, size)


def edit_of_plan(plan: Plan, given: Given) -> Edit | None:
    """Return the edit that a plan asks for; None if the whole picture may change. Raises UsageError without a mask."""
    if not plan.edit:
        return None
    if given.init is None or given.mask is None:
        raise UsageError("a plan that edits an image must come with it and with its mask")
    if not (given.mask >= 0.5).any():
        raise UsageError(
            f"at --size {spell(plan.size)} nothing of the mask is left: it is too thin for it, or cut off; use "
            "a larger --size, or one in the shape of the image"
        )
    return edit_of(given.init, given.mask, plan.edit[0].feather)


def erased(plan: Plan, given: Given) -> Given:
    """Return the images with the colours around the mask inside it, if the plan has it so."""
    if given.init is None or given.mask is None or plan.edit[0].inside != AROUND:
        return given
    return replace(given, init=filled(given.init, (given.mask >= 0.5).float()))


def edit_of(init: Tensor, mask: Tensor, feather: float) -> Edit:
    """Return the edit of init images (B, 3, H, W) inside masks (B, 1, H, W), with a soft edge inside.

    feather: its width as a fraction of the shorter side.
    """
    return Edit(init, feathered(mask >= 0.5, round(feather * min(mask.shape[2:]))))


def feathered(chosen: Tensor, width: int) -> Tensor:
    """Return a soft mask (B, 1, H, W): 0 where nothing is chosen, and within `width` pixels of there up to 1."""
    hard = chosen.float()
    if width < 1:
        return hard
    blurred = avg_pool2d(pad(hard, [width] * 4, mode="replicate"), 2 * width + 1, stride=1)
    return ((2 * blurred - 1).clamp(0, 1) + 1 / (width + 1)).clamp(max=1) * hard


def window(chosen: Tensor) -> Box:
    """Return the part of a picture around what is chosen (H, W), with the picture's aspect ratio."""
    height, width = chosen.shape
    rows, columns = chosen.any(1).nonzero()[:, 0], chosen.any(0).nonzero()[:, 0]
    top, bottom, left, right = (int(end) for end in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    share = min(1.0, (1 + 2 * MARGIN) * max((bottom - top) / height, (right - left) / width))
    tall, wide = max(round(share * height), 1), max(round(share * width), 1)
    x = min(max((left + right - wide) // 2, 0), width - wide)
    y = min(max((top + bottom - tall) // 2, 0), height - tall)
    return x, y, x + wide, y + tall


def cropped(images: Tensor, box: Box) -> Tensor:
    """Return a part of images (B, C, H, W)."""
    left, top, right, bottom = box
    return images[:, :, top:bottom, left:right]


def filled(images: Tensor, mask: Tensor) -> Tensor:
    """Return images (B, 3, H, W) whose masked pixels, (B, 1, H, W) in [0, 1], are filled in smoothly from around them.

    Push and pull (Gortler et al., 1996, "The Lumigraph"): holes get the colours of the nearest coarser level.
    """
    return _pulled(images, 1 - mask)


def _pulled(images: Tensor, known: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if min(height, width) < 2:
        mean = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return torch.lerp(mean.expand_as(images), images, known)
    half = -(-height // 2), -(-width // 2)
    share = adaptive_avg_pool2d(known, half)
    colours = adaptive_avg_pool2d(images * known, half) / share.clamp_min(1e-6)
    coarse = _pulled(colours, (2 * share).clamp(max=1))
    smooth = interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return torch.lerp(smooth, images, known)

"""Texts for parts of a picture: a perceptor sees the part alone, and its gradient stays there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.readings import read
from clipgen.config.targets import PLACES, TargetSettings
from clipgen.core.contracts import Moment
from clipgen.core.cutouts import draw_parameters
from clipgen.core.loop import embed
from clipgen.core.losses import Targets
from clipgen.errors import UsageError
from clipgen.steering.masks import Box, cropped
from clipgen.steering.targets import Encoded
from clipgen.util.images import resized
from clipgen.util.text import quoted

GREY = 0.5
"""What a perceptor sees in place of what is outside the mask of a region."""
MIN_CUTOUTS = 4
"""A region gets half as many cutouts as the picture, and at least these."""


@dataclass(frozen=True)
class Region:
    """The loss of a text that a part of the picture is to show."""

    plan: Plan
    seeds: Sequence[int]
    shown: Encoded
    """What the part is to show."""
    row: TargetSettings
    mask: Tensor | None
    """(1, 1, H, W) in [0, 1], unless the region is one of PLACES."""
    number: int
    """Of the region, so that each draws cutouts of its own."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return the distances (b,) of the region; 0 while no perceptor guides that takes its text."""
        guiding = [k for k in moment.vectors if k in self.shown.vectors]
        if not guiding:
            return moment.images.new_zeros(len(moment.images))
        part = self._part(moment.images)
        perceptors = [self.shown.targets.perceptors[k] for k in guiding]
        step = round(moment.progress * self.plan.steps) + (self.number + 1) * (self.plan.steps + 1)
        count = max(self.plan.cutouts_at(moment.progress) // 2, MIN_CUTOUTS)
        size = part.shape[3], part.shape[2]
        parameters = draw_parameters(self.seeds[moment.rows], step, count, size, self.plan.augmentations)
        seen = embed(part, parameters, perceptors, False)
        return self.shown.distance(dict(zip(guiding, seen, strict=True)))

    def _part(self, images: Tensor) -> Tensor:
        """Return the region of images (b, 3, H, W), (b, 3, h, w)."""
        height, width = images.shape[2:]
        if self.mask is None:
            box = [part * side for part, side in zip(PLACES[self.row.detail], (width, height) * 2, strict=True)]
            return cropped(images, _rounded(box))
        mask = resized(self.mask, (width, height))
        return cropped(torch.lerp(torch.full_like(images, GREY), images, mask), around(mask[0, 0] >= 0.5))


def region(
    row: TargetSettings, mask: Tensor | None, plan: Plan, seeds: Sequence[int], targets: Targets, number: int
) -> Region:
    """Return the loss of a region. Raises UsageError if no guiding perceptor knows what it is to show."""
    taken = read(row.text, [each.weights for each in plan.perceptors]).taken
    with torch.no_grad():
        pairs = enumerate(zip(targets.perceptors, taken, strict=False))
        vectors = {k: perceptor.encode_texts([text]) for k, (perceptor, text) in pairs if text}
    if not vectors:
        raise UsageError(f"--region {row.detail}: the guiding models know nothing of {quoted(row.text)}")
    return Region(plan, seeds, Encoded(targets, vectors, row.stop), row, mask, number)


def around(chosen: Tensor) -> Box:
    """Return the smallest box around what is chosen (H, W)."""
    rows, columns = chosen.any(1).nonzero()[:, 0], chosen.any(0).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _rounded(box: Sequence[float]) -> Box:
    left, top, right, bottom = (round(side) for side in box)
    return left, top, max(right, left + 1), max(bottom, top + 1)

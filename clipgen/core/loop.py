"""The loop: decode the latents, cut out, embed, compare with the prompt, move the latents down the gradient.

This is VQGAN+CLIP (Crowson et al., 2022, arXiv 2204.08583) for B pictures at a time, whatever the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from clipgen.config.schedules import Schedule
from clipgen.config.settings import CutoutSettings, PerceptorSettings
from clipgen.core.contracts import FeatureMaps, Generator, Moment, Perceptor
from clipgen.core.cutouts import AugmentationParameters, draw_parameters, make_cutouts
from clipgen.core.losses import Objective
from clipgen.core.optim import LatentOptimizer
from clipgen.util.batches import rows_together


@dataclass(frozen=True)
class Guide:
    """A perceptor and when it guides."""

    perceptor: Perceptor
    settings: PerceptorSettings


@dataclass(frozen=True)
class CutoutPlan:
    """How the perceptors see a picture."""

    count: int
    """Cutouts a step."""
    size: tuple[int, int]
    """Width and height of the pictures."""
    settings: CutoutSettings


Embed = Callable[[Tensor, AugmentationParameters, Sequence[Perceptor], bool], tuple[Tensor, ...]]


def embed(
    images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], with_maps: bool
) -> tuple[Tensor, ...]:
    """Return the embeddings (B, n, D) of the cutouts of images (B, 3, H, W) by each perceptor.

    With maps there follow the feature maps (B, n, C, h, w) of each.
    """
    cutouts = {size: make_cutouts(images, parameters, size) for size in {each.size for each in perceptors}}
    if with_maps:
        pairs = [cast(FeatureMaps, each).encode_with_maps(cutouts[each.size]) for each in perceptors]
        seen = (*(vectors for vectors, _ in pairs), *(maps for _, maps in pairs))
    else:
        seen = tuple(each.encode_images(cutouts[each.size]) for each in perceptors)
    return tuple(each.view(len(images), -1, *each.shape[1:]) for each in seen)


@dataclass(frozen=True)
class Measured:
    """B pictures at one moment, and how far they are from what was asked for."""

    images: Tensor
    """(B, 3, H, W)"""
    losses: Tensor
    """(B,)"""
    scores: Tensor
    """(B,)"""
    terms: dict[str, Tensor]
    """Each (B,)."""


@dataclass
class Loop:
    """B pictures on their way, one step at a time."""

    generator: Generator
    optimizer: LatentOptimizer
    objective: Objective
    guides: Sequence[Guide]
    cutouts: CutoutPlan
    lr_schedule: Schedule
    seeds: Sequence[int]
    total: int
    """Steps in all."""
    done: int = 0
    decode: Callable[[Generator], Tensor] = field(default=lambda generator: generator.decode())
    embed: Embed = field(default=embed)

    @property
    def progress(self) -> float:
        """The share of the steps that are done."""
        return self.done / self.total

    def step(self) -> Measured:
        """Make one step, and return what was found before it."""
        measured = self.find_gradients()
        self.update()
        return measured

    def find_gradients(self) -> Measured:
        """Decode the latents as they are, compare the images with what was asked for, and find the way down."""
        self.generator.set_step(self.done, self.total, self.seeds)
        measured = self.measure(self.decode(self.generator))
        self.optimizer.gather(measured.losses)
        return measured

    def update(self) -> None:
        """Move the latents down the gradients that were found."""
        self.optimizer.step(self.lr_schedule.at(self.progress))
        self.generator.project_()
        self.done += 1

    def measure(self, images: Tensor) -> Measured:
        """Compare the images (B, 3, H, W) with what was asked for."""
        parts = [self._compare(images[rows], rows) for rows in rows_together(images)]
        scores, terms = [score for score, _ in parts], [each for _, each in parts]
        joined = {name: torch.cat([each[name] for each in terms]) for name in terms[0]}
        return Measured(images.detach(), torch.stack(list(joined.values())).sum(0), torch.cat(scores), joined)

    def _compare(self, images: Tensor, rows: slice) -> tuple[Tensor, dict[str, Tensor]]:
        """Return score and terms, each (b,), of some of the pictures."""
        now = [k for k, guide in enumerate(self.guides) if guide.settings.guides(self.progress)]
        perceptors = [self.guides[k].perceptor for k in now]
        plan = self.cutouts
        parameters = draw_parameters(self.seeds[rows], self.done, plan.count, plan.size, plan.settings)
        seen = self.embed(images, parameters, perceptors, self.objective.needs_maps)
        moment = Moment(
            progress=self.progress,
            rows=rows,
            images=images,
            vectors=dict(zip(now, seen, strict=False)),
            maps=dict(zip(now, seen[len(now) :], strict=False)),
            generator=self.generator,
        )
        return self.objective.score(moment), self.objective(moment)

"""The loop: decode the latents, take cutouts, embed them, compare with the prompt, follow the gradient.

This is VQGAN-CLIP (Crowson et al., 2022, arXiv 2204.08583) for B pictures at a time, with any generator.
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
    """A guiding perceptor, and when it guides."""

    perceptor: Perceptor
    settings: PerceptorSettings


@dataclass(frozen=True)
class CutoutPlan:
    """How many cutouts to take, and how."""

    count: int
    """Cutouts of each picture in each step."""
    size: tuple[int, int]
    """Width and height of the pictures."""
    settings: CutoutSettings


Embed = Callable[[Tensor, AugmentationParameters, Sequence[Perceptor], bool], tuple[Tensor, ...]]


def embed(
    images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], with_maps: bool
) -> tuple[Tensor, ...]:
    """Return the embeddings (B, n, D), by each perceptor, of the cutouts of images (B, 3, H, W) in [0, 1].

    with_maps: append the feature maps (B, n, C, h, w) of each perceptor, all of which must then be `FeatureMaps`.
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
    """B pictures at one step, with their losses and scores."""

    images: Tensor
    """(B, 3, H, W), detached."""
    losses: Tensor
    """(B,) sums of the terms."""
    scores: Tensor
    """(B,) mean cosines with the texts of positive weight."""
    terms: dict[str, Tensor]
    """By name: each (B,), weighted."""


@dataclass
class Loop:
    """The optimisation of B pictures, one step at a time."""

    generator: Generator
    optimizer: LatentOptimizer
    objective: Objective
    guides: Sequence[Guide]
    cutouts: CutoutPlan
    lr_schedule: Schedule
    seeds: Sequence[int]
    total: int
    """Number of steps in all."""
    done: int = 0
    decode: Callable[[Generator], Tensor] = field(default=lambda generator: generator.decode())
    embed: Embed = field(default=embed)

    @property
    def progress(self) -> float:
        """The fraction of the steps done, in [0, 1]."""
        return self.done / self.total

    def step(self) -> Measured:
        """Make one step; returns what was measured before the update."""
        measured = self.find_gradients()
        self.update()
        return measured

    def find_gradients(self) -> Measured:
        """Decode the latents, measure the images, and compute the gradients; returns what was measured."""
        self.generator.set_step(self.done, self.total, self.seeds)
        measured = self.measure(self.decode(self.generator))
        self.optimizer.gather(measured.losses)
        return measured

    def update(self) -> None:
        """Move the latents along the gradients found last, and project them onto their valid range."""
        self.optimizer.step(self.lr_schedule.at(self.progress))
        self.generator.project_()
        self.done += 1

    def measure(self, images: Tensor) -> Measured:
        """Return the losses, scores and terms of images (B, 3, H, W) in [0, 1]."""
        parts = [self._compare(images[rows], rows) for rows in rows_together(images)]
        scores, terms = [score for score, _ in parts], [each for _, each in parts]
        joined = {name: torch.cat([each[name] for each in terms]) for name in terms[0]}
        return Measured(images.detach(), torch.stack(list(joined.values())).sum(0), torch.cat(scores), joined)

    def _compare(self, images: Tensor, rows: slice) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the score and the terms, each (b,), of some of the pictures."""
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

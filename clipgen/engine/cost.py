"""The cost of a step in memory and time, measured on a small picture and a few cutouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from clipgen import generators
from clipgen.config.plan import Plan
from clipgen.core.contracts import Perceptor
from clipgen.core.cutouts import draw_parameters
from clipgen.engine.forecast import Cost, Part
from clipgen.engine.memory import MemoryCost, MicroBatches, kept_bytes, room
from clipgen.engine.microbatch import embedding
from clipgen.engine.models import Models
from clipgen.util.devices import wait_for

CELLS = 8
"""Side of the small picture in latent cells, if the full picture has as many."""
MIN_SIDE = 64
"""Minimum side of the small picture in pixels, for generators whose cells are pixels."""
CUTOUTS = 4
"""Maximum number of cutouts that are timed together."""


class CostEstimate:
    """Estimates the cost of a plan from measurements on a small picture."""

    def __init__(self, plan: Plan, models: Models) -> None:
        self._plan, self._models = plan, models
        side = max(CELLS * plan.generator.stride, MIN_SIDE if plan.generator.stride == 1 else 0)
        width, height = (min(full, side) for full in plan.size)
        self._size = width, height
        self._generator = generators.create(plan.backend, models.network, models.device, 1, self._size, plan.generator)
        self._generator.start_from_noise_([0])
        self._generator.set_step(0, 1, [0])

    def memory(self, pictures: int) -> MemoryCost:
        """Return the bytes that a step keeps for the gradient of this many pictures of full size."""
        last = [guide.perceptor for guide in self._models.guides if guide.settings.guides(1.0)]
        networks = [self._models.network, *last]
        weights = [p for each in networks if isinstance(each, torch.nn.Module) for p in each.parameters()]
        decoder = kept_bytes(lambda: [self._generator.decode()], weights)
        cutout = kept_bytes(lambda: self._see(1, last), weights)
        return MemoryCost(int(decoder * pictures * self._scale()), pictures * cutout)

    def pictures_that_fit(self, most: int) -> int:
        """Return how many pictures, from 1 to `most`, fit into memory in lockstep at full speed."""
        free, whole = room(self._models.device), MicroBatches(self._plan.cutouts)
        each = self.memory(1).bytes(whole)
        return max(min(most, free // max(each, 1)), 1)

    def measured(self) -> Cost:
        """Return what the run of one picture costs on this machine, which takes a moment to measure."""
        count = self._plan.cutouts
        together = min(count, CUTOUTS)
        decoder = self._timed(lambda: (self._generator.decode(),)) * self._scale()
        spans: dict[tuple[float, float], list[Perceptor]] = {}
        for guide in self._models.guides:
            spans.setdefault((guide.settings.since, guide.settings.until), []).append(guide.perceptor)
        passes = {span: self._timed(partial(self._see, together, seen)) / together for span, seen in spans.items()}
        small = self._plan.generator.small_until
        parts: list[Part] = []
        for end in sorted({end for end in (small, 1.0, *(until for _, until in spans)) if 0 < end <= 1}):
            begin = parts[-1].until if parts else 0.0
            cutout = sum(seconds for (since, until), seconds in passes.items() if since <= begin < until)
            parts.append(Part(end, decoder * (0.25 if end <= small else 1.0) + cutout * count))
        return Cost(tuple(parts), max(passes.values()))

    def _scale(self) -> float:
        """Return the ratio of the pixels of the full picture to those of the small one."""
        width, height = self._plan.size
        return width * height / (self._size[0] * self._size[1])

    def _see(self, cutouts: int, perceptors: Sequence[Perceptor]) -> tuple[Tensor, ...]:
        picture = torch.zeros(1, 3, self._size[1], self._size[0], device=self._models.device, requires_grad=True)
        parameters = draw_parameters([0], 0, cutouts, self._size, self._plan.augmentations)
        embed = embedding(MicroBatches(cutouts), self._plan.augmentations)
        return embed(picture, parameters, perceptors, False)

    def _timed(self, compute: Callable[[], tuple[Tensor, ...]]) -> float:
        """Return the seconds for the results and their gradient; the first of two runs is a warm-up."""
        seconds = 0.0
        for _ in range(2):
            self._wait()
            start = time.perf_counter()
            total = torch.stack([result.sum() for result in compute()]).sum()
            torch.autograd.backward(total)
            self._wait()
            seconds = time.perf_counter() - start
        return seconds

    def _wait(self) -> None:
        wait_for(self._models.device)

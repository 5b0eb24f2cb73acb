"""What a step costs, measured on a small picture and a few views of it: the memory that it keeps, the time it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from clipgen import generators
from clipgen.config import presets, resolving
from clipgen.config.job import Job
from clipgen.core.cutouts import draw_views
from clipgen.core.guidance import ScheduledPerceptor, see
from clipgen.engine.memory import Need, kept_bytes
from clipgen.generators.networks import Network
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.unclip.imagination import Imaginer

CELLS = 8
"""Latent cells a side of the small picture, where the full one has as many."""
VIEWS = 4
"""Views of it at most whose time is taken together."""


@dataclass(frozen=True)
class Models:
    """The networks of one preset and backend, frozen, on one device; any number of runs may use them."""

    network: Network
    perceptors: tuple[ScheduledPerceptor, ...]
    device: torch.device
    imaginer: Imaginer | None = None


class Sample:
    """A small picture of a resolved job."""

    def __init__(self, job: Job, models: Models) -> None:
        preset = resolving.models_of(job)
        defaults = preset.generators[job.backend]
        self._models, self._views = models, preset.views
        self._full, self._steps, self._count = cast(tuple[presets.Size, int, int], (job.size, job.steps, job.cutouts))
        width, height = (min(side, CELLS * defaults.stride) for side in self._full)
        self._size = width, height
        self._mean_size = 1 - 0.75 * defaults.small_until
        self._generator = generators.create(job.backend, models.network, 1, self._size, defaults.levels)
        self._generator.start_from_noise_([0])
        self._generator.set_step(0, 1, [0])

    def need(self, pictures: int) -> Need:
        """Return what a step keeps for the gradient of so many pictures of full size."""
        weights = [*self._models.network.parameters(), *(p for each in self._perceptors() for p in each.parameters())]
        decoder = kept_bytes(lambda: [self._generator.decode()], weights)
        view = kept_bytes(lambda: self._look(1), weights)
        return Need(int(decoder * pictures * self._scale()), pictures * view)

    def seconds(self) -> float:
        """Return about how long a run of one picture takes, priors not counted."""
        views = min(self._count, VIEWS)
        decoder = self._timed(lambda: (self._generator.decode(),)) * self._scale() * self._mean_size
        return self._steps * (decoder + self._timed(lambda: self._look(views)) * self._count / views)

    def _scale(self) -> float:
        """How many times as many pixels the full picture has."""
        return self._full[0] * self._full[1] / (self._size[0] * self._size[1])

    def _perceptors(self) -> list[CLIPPerceptor]:
        return [each.perceptor for each in self._models.perceptors]

    def _look(self, views: int) -> tuple[Tensor, ...]:
        picture = torch.zeros(1, 3, self._size[1], self._size[0], device=self._models.device, requires_grad=True)
        return see(picture, draw_views([0], 0, views, self._size, self._views), self._perceptors())

    def _timed(self, compute: Callable[[], tuple[Tensor, ...]]) -> float:
        """Seconds for the results and their gradient; the second time counts, as the first one warms up."""
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
        if self._models.device.type == "cuda":
            torch.cuda.synchronize(self._models.device)

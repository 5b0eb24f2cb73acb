"""Training a VQGAN or a dVAE on pictures of one's own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from clipgen.generators.networks import NETWORKS
from clipgen.perceptors.style import load_style_features
from clipgen.training.architectures import dvae_config, vqgan_config
from clipgen.training.crops import Draw, StyleDistance, as_batch, edge_distance, shifted
from clipgen.training.dvae import COOLED, DVAETrainer
from clipgen.training.loop import Losses, Plan
from clipgen.training.reconstruction import Network, quality, reconstruct
from clipgen.training.settings import MEDIUM
from clipgen.training.task import MAX_CHECKED, Bench, Task
from clipgen.training.vqgan import VQGANCourse, VQGANTrainer
from clipgen.util.files import replacing

PART = 32
"""Pictures that are reconstructed at once."""
SHOWN = 8
"""Pairs of pictures on a sheet."""
CONTINUOUS, MAX_CONTINUOUS = 0.07, 400
"""Share of the steps, and their largest number, that a VQGAN learns without codes."""
LONG = 2000
"""Steps from which on a VQGAN has a critic: it needs time to help more than it harms."""


def write_sheet(rows: Sequence[np.ndarray], path: Path) -> dict[str, Any]:
    """Write rows of pictures, each (N, S, S, 3) uint8, and return an entry for the log; a full disk costs only that."""
    sheet = np.concatenate([np.concatenate(list(row), 1) for row in rows])
    try:
        with replacing(path) as partial_file:
            Image.fromarray(sheet).save(partial_file)
    except OSError as error:  # the training is worth more
        return {"sheet": f"not written: {error.strerror}"}
    return {"sheet": path.name}


class AutoencoderTask(Task):
    """What VQGAN and dVAE share: their data, their measures, their samples."""

    def __init__(self, bench: Bench, plan: Plan):
        self.bench, self.plan = bench, plan
        settings, start = bench.settings, bench.start
        self.config = start.config if start else self._config(settings.size, bench.side)
        self.trainer = self._trainer(partial(shifted, bench.training.pictures, settings.flip), self._distance())
        if start:
            self.trainer.start_from(start.tensors)
        self.module = self.trainer.network

    @abstractmethod
    def _config(self, size: str, side: int) -> dict[str, Any]: ...

    @abstractmethod
    def _trainer(self, draw: Draw, features: StyleDistance | None) -> VQGANTrainer | DVAETrainer: ...

    def _distance(self) -> StyleDistance | None:
        """Return the distance of features for pictures that are large enough to have some."""
        return StyleDistance(load_style_features(self.bench.device)) if self.bench.settings.size == MEDIUM else None

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step."""
        return self.trainer.losses_at(step)

    @torch.no_grad()
    def held_out_loss(self, module: nn.Module) -> float:
        """Return the mean L1 distance of pixels and of edges between pictures and their reconstructions."""
        network = cast(Network, module)
        pictures = self.bench.held_out.pictures[:MAX_CHECKED]
        total = 0.0
        for begin in range(0, len(pictures), PART):
            images = as_batch(pictures[begin : begin + PART]).to(self.bench.device)
            drawn = network.images_of(network.codes_of(images))
            total += float(l1_loss(drawn, images) + edge_distance(drawn, images)) * len(images)
        return total / len(pictures)

    def measured(self, module: nn.Module) -> dict[str, Any]:
        """Return PSNR, SSIM and the use of the codes on held-out pictures."""
        return quality(cast(Network, module), self.bench.held_out.pictures)

    def show(self, module: nn.Module, path: Path) -> dict[str, Any]:
        """Write a sheet: pictures above, what the network makes of them below."""
        source = self.bench.held_out if len(self.bench.held_out) else self.bench.training
        pictures = np.array(source.pictures[:SHOWN])
        return write_sheet((pictures, reconstruct(cast(Network, module), pictures, self.bench.side)), path)

    def network(self, module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the config and the tensors of the weight file, without what only the training needs."""
        kept = NETWORKS[self.bench.settings.kind](self.config).state_dict().keys()
        return self.config, {name: module.state_dict()[name] for name in kept}


class VQGANTask(AutoencoderTask):
    """A VQGAN; it has a critic if there is time for one."""

    def _config(self, size: str, side: int) -> dict[str, Any]:
        return vqgan_config(size, side)

    def _trainer(self, draw: Draw, features: StyleDistance | None) -> VQGANTrainer:
        long = self.plan.steps >= LONG
        continuous = min(round(CONTINUOUS * self.plan.steps), MAX_CONTINUOUS)
        course = VQGANCourse(continuous, critic_from=0.6 if long else 1.0, fooling_from=0.65 if long else 1.0)
        self.counts_from = course.fooling_from if long else CONTINUOUS
        return VQGANTrainer(self.config, self.plan, draw, features, self.bench.device, course)


class DVAETask(AutoencoderTask):
    """A dVAE; what it makes of its likeliest codes counts once the temperature is low."""

    counts_from = COOLED

    def _config(self, size: str, side: int) -> dict[str, Any]:
        return dvae_config(size, side)

    def _trainer(self, draw: Draw, features: StyleDistance | None) -> DVAETrainer:
        return DVAETrainer(self.config, self.plan, draw, features, self.bench.device)

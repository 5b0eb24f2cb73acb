"""The parts that every training on captioned pictures is made of."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clipgen.training.loop import Losses
from clipgen.training.pictures import CaptionedSet
from clipgen.training.progress import Report
from clipgen.training.settings import Settings
from clipgen.weights.checkpoint import Checkpoint

MAX_CHECKED = 256
"""Held-out pictures of which the loss is taken while the training lasts."""
SAMPLED = 512
"""Pictures whose pixels enter a fingerprint."""


@dataclass(frozen=True)
class Bench:
    """What a task works with."""

    settings: Settings
    training: CaptionedSet
    held_out: CaptionedSet
    """May be empty."""
    device: torch.device
    report: Report
    start: Checkpoint | None = None
    """What to fine-tune."""

    @property
    def side(self) -> int:
        """The side of the pictures in pixels."""
        return int(self.training.pictures.shape[1])


class Task(ABC):
    """A network that learns, with all that depends on its kind."""

    module: nn.Module
    """What the loop trains; running averages are copies of it."""
    counts_from: float = 0.0
    """The share of the steps after which losses on held-out pictures can be compared."""

    @abstractmethod
    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step, which depend on the seed and the step only; "loss" is minimised."""

    @abstractmethod
    def held_out_loss(self, module: nn.Module) -> float:
        """Return the loss of a copy of the module on up to MAX_CHECKED held-out pictures, of which there is one."""

    @abstractmethod
    def measured(self, module: nn.Module) -> dict[str, Any]:
        """Return what the copy of the module reaches on all held-out pictures, of which there is at least one."""

    @abstractmethod
    def show(self, module: nn.Module, path: Path) -> dict[str, Any]:
        """Write a sheet of samples to the path, if there is something to see, and return an entry for the log."""

    @abstractmethod
    def network(self, module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the config and the tensors of the weight file."""


def fingerprint(pictures: CaptionedSet) -> str:
    """Return a short hash of the names, the captions, and the pixels of SAMPLED pictures or all."""
    digest = hashlib.blake2b(digest_size=8)
    for name, captions in zip(pictures.names, pictures.captions, strict=True):
        digest.update(json.dumps([name, captions]).encode())
    for index in np.linspace(0, len(pictures) - 1, min(SAMPLED, len(pictures))).round().astype(int):
        digest.update(np.ascontiguousarray(pictures.pictures[index]).tobytes())
    return digest.hexdigest()

"""The recipe of a starter model as a record, and where it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from clipgen import weights
from clipgen.errors import WeightsMissingError
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.train.data import drawn_set
from clipgen.training.loop import Plan
from clipgen.training.progress import Report
from clipgen.weights.registry import STARTER

CLIP_SEED, LARGE_SEED = 1, 2
"""Of the sets of drawn pictures: CLIPs and the unCLIP learn from the first, autoencoders from the second."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: its plan, and what it learns from."""

    summary: str
    plan: Plan
    pictures: int
    start: str | None = None
    """The weights to start at: those that ship, or those that another recipe left in the same folder of runs."""
    needs: tuple[str, ...] = ()
    """Other such weights that the training uses."""
    radius: tuple[float, float] = (0.0, 0.0)
    """L2 norm of adversarial perturbations, at first and from half of the steps on."""
    negatives: tuple[str, int] = ("pixels", 0)
    """What adversarial negatives are made of, "pixels" or "latents", and how many join a batch."""
    bits: int = 16
    """Of each number, as the weights are stored."""


@dataclass(frozen=True)
class Bench:
    """Where a recipe runs: its folder of runs, its device, and what reports its progress."""

    runs: Path
    device: torch.device
    report: Report

    @property
    def data(self) -> Path:
        """Folder of drawn pictures."""
        return self.runs / "data"

    def drawn(self, count: int, size: int, seed: int, relation: str | None = None) -> np.ndarray:
        """Return a set of drawn pictures, see `drawn_set`."""
        return drawn_set(self.data, count, size, seed, relation=relation, report=self.report)

    def trained(self, name: str) -> weights.Checkpoint:
        """Return weights that ship, or that an earlier recipe left here.

        Raises WeightsMissingError, which names the command that makes them.
        """
        if name.startswith(STARTER):
            return weights.read(weights.find(name))
        path = self.runs / f"{name}.safetensors"
        if not path.exists():
            raise WeightsMissingError(f"{path} is missing: run `clipgen train {name} --runs {self.runs}` first")
        return weights.read(path)


def guides_of(names: Sequence[str], bench: Bench) -> list[CLIPPerceptor]:
    """Return perceptors that do not learn."""
    return [build_perceptor(bench.trained(name)).eval().to(bench.device) for name in names]

"""What a recipe of a starter model is, and where it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from clipgen import weights
from clipgen.errors import WeightsMissingError
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.train.loop import Plan, Report
from clipgen.weights.registry import STARTER

CLIP_SEED, LARGE_SEED = 1, 2
"""Of the sets of drawn pictures: what looks, reads and imagines learns from the first, autoencoders from the second."""


@dataclass(frozen=True)
class Recipe:
    """A row: its plan, and what else it needs."""

    summary: str
    plan: Plan
    pictures: int
    start: str | None = None
    """The weights it goes on from: those that ship, or those that another recipe left in the same folder of runs."""
    needs: tuple[str, ...] = ()
    """Other such weights that it learns by."""
    radius: tuple[float, float] = (0.0, 0.0)
    """Of the adversary, at first and from half of the steps on."""
    dreams: tuple[str, int] = ("pixels", 0)
    """What the guide dreams on, and how many dreams join a batch."""
    bits: int = 16
    """In which its weights are stored."""


@dataclass(frozen=True)
class Bench:
    """Where a recipe runs: its folder of runs, device, and who hears of its progress."""

    runs: Path
    device: torch.device
    report: Report

    @property
    def data(self) -> Path:
        """The folder of drawn pictures."""
        return self.runs / "data"

    def trained(self, name: str) -> weights.Checkpoint:
        """Weights that ship, or that an earlier recipe left here.

        Raises WeightsMissingError, naming the command that makes them.
        """
        if name.startswith(STARTER):
            return weights.read(weights.find(name))
        path = self.runs / f"{name}.safetensors"
        if not path.exists():
            raise WeightsMissingError(f"{path} is missing: run `clipgen train {name} --runs {self.runs}` first")
        return weights.read(path)


def guides_of(names: Sequence[str], bench: Bench) -> list[CLIPPerceptor]:
    """Perceptors that look and do not learn."""
    return [build_perceptor(bench.trained(name)).eval().to(bench.device) for name in names]

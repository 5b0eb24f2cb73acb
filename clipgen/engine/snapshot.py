"""Everything that the run of one picture needs to continue as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from clipgen.core.loop import Loop
from clipgen.errors import UsageError

GENERATOR, OPTIMIZER = "generator.", "optimizer."


@dataclass(frozen=True)
class Snapshot:
    """One picture after some updates; random draws need no state, as they follow from (seed, step)."""

    done: int
    """Number of updates made."""
    grown: bool
    """Whether the picture has its full size."""
    lr: float
    """Its base learning rate, which is lower after a recovery."""
    tensors: dict[str, Tensor] = field(repr=False)
    """Copies of the latent and of the optimiser's moments, each (1, ...), and its step count."""


def tensors_of(loop: Loop) -> dict[str, Tensor]:
    """Return everything that the steps so far have changed, each (B, ...), not copied."""
    generator = {GENERATOR + name: tensor for name, tensor in loop.generator.tensors().items()}
    return generator | {OPTIMIZER + name: tensor for name, tensor in loop.optimizer.tensors().items()}


def copy_rows(tensors: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    """Return copies of some rows of tensors (B, ...)."""
    return {name: tensor[rows].detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()
def restore_(loop: Loop, row: int, tensors: Mapping[str, Tensor]) -> None:
    """Restore one picture from copied tensors (1, ...); raises UsageError if they do not fit this run.

    Without those of the optimiser, its moments start from zero.
    """
    shapes = {name: (1, *tensor.shape[1:]) for name, tensor in tensors_of(loop).items()}
    latent = {name: shape for name, shape in shapes.items() if name.startswith(GENERATOR)}
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} not in (shapes, latent):
        raise UsageError("the saved state does not belong to this plan and these models; start again")
    for name, tensor in loop.generator.tensors().items():
        tensor[row] = tensors[GENERATOR + name][0]
    kept = {name.removeprefix(OPTIMIZER): t[0] for name, t in tensors.items() if name.startswith(OPTIMIZER)}
    if kept:
        loop.optimizer.load_(kept, row)

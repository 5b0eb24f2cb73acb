"""Memory: how much a step needs, how much is free, and how to use less at the cost of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from clipgen.engine.cgroups import free_in_groups
from clipgen.util.devices import free_memory

SLACK = 1.3
"""Factor for what a step holds beside the tensors kept for the gradient."""


@dataclass(frozen=True)
class MicroBatches:
    """How much of a step is in memory at a time; the results are the same up to rounding.

    Activations that are not kept are recomputed for the gradient (Chen et al., 2016, arXiv 1604.06174).
    """

    cutouts_at_once: int
    """Cutouts of each picture that the perceptors process together."""
    decode_twice: bool = False
    """Whether the decoder's activations are dropped while the perceptors run, and recomputed."""

    def smaller(self) -> MicroBatches | None:
        """Return the next micro-batches that need less memory; None if there are none."""
        if self.cutouts_at_once > 1:
            return replace(self, cutouts_at_once=(self.cutouts_at_once + 1) // 2)
        return None if self.decode_twice else replace(self, decode_twice=True)


@dataclass(frozen=True)
class MemoryCost:
    """Bytes that a step keeps for its gradient."""

    decoder: int
    cutout: int
    """For one cutout of each picture, in all perceptors."""

    def bytes(self, batches: MicroBatches) -> int:
        """Return the peak number of bytes with these micro-batches, slack included."""
        cutouts = batches.cutouts_at_once * self.cutout
        return int(SLACK * (max(self.decoder, cutouts) if batches.decode_twice else self.decoder + cutouts))

    def fitting(self, batches: MicroBatches, room: int) -> MicroBatches | None:
        """Return the largest micro-batches, up to these, whose step fits into `room` bytes; None if none does."""
        fit: MicroBatches | None = batches
        while fit and self.bytes(fit) > room:
            fit = fit.smaller()
        return fit


def kept_bytes(compute: Callable[[], Sequence[Tensor]], weights: Iterable[Tensor]) -> int:
    """Return the bytes that a computation keeps for its gradient, without the weights; each storage counts once."""
    known = {weight.untyped_storage().data_ptr() for weight in weights}
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold the graph that holds it, for ever

    with torch.enable_grad(), saved_tensors_hooks(count, lambda tensor: tensor):
        kept = compute()
    del kept  # held until here, so that no address was reused
    return sum(size for place, size in storages.items() if place not in known)


def room(device: torch.device) -> int:
    """Return the free bytes on a device, within the limits of the container and of the process."""
    on_device = free_memory(device)
    if on_device is not None and device.type != "mps":
        return on_device
    free = psutil.virtual_memory().available
    in_groups = free_in_groups()
    here = min(free, _free_in_process(free), free if in_groups is None else in_groups)
    return here if on_device is None else min(here, on_device)  # Apple's GPUs share the machine's memory


def _free_in_process(free: int) -> int:
    if not hasattr(psutil, "RLIMIT_AS"):  # not on Linux
        return free
    process = psutil.Process()
    limit, _ = process.rlimit(psutil.RLIMIT_AS)
    return free if limit == psutil.RLIM_INFINITY else max(limit - process.memory_info().vms, 0)


_SAID = ("can't allocate memory", "MPS backend out of memory")
"""What torch says, in a RuntimeError, on the CPU and on Apple's GPUs."""


def is_memory_error(error: BaseException) -> bool:
    """Whether an error means that the machine or the GPU ran out of memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(part in str(error) for part in _SAID)

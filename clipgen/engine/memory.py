"""How much memory a step needs, how much there is, and doing with less at the price of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

SLACK = 1.3
"""Room for what a step holds beside what is kept for the gradient."""
CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")
"""Limit and use of the memory of a container."""


@dataclass(frozen=True)
class MicroBatches:
    """How much of a step is in memory at a time; the results are the same but for rounding.

    What is not kept is computed again for the gradient (Chen et al., 2016, arXiv 1604.06174).
    """

    cutouts_at_once: int
    """Cutouts of each picture that the perceptors see together."""
    decode_twice: bool = False
    """Whether nothing of the decoder is kept while the perceptors see the cutouts."""

    def smaller(self) -> MicroBatches | None:
        """Return what needs less memory; None if nothing does."""
        if self.cutouts_at_once > 1:
            return replace(self, cutouts_at_once=(self.cutouts_at_once + 1) // 2)
        return None if self.decode_twice else replace(self, decode_twice=True)


@dataclass(frozen=True)
class MemoryCost:
    """Bytes that a step keeps for its gradient."""

    decoder: int
    cutout: int
    """Of one cutout, by all perceptors that see it."""

    def bytes(self, batches: MicroBatches) -> int:
        """Return the most that is needed at a time."""
        cutouts = batches.cutouts_at_once * self.cutout
        return int(SLACK * (max(self.decoder, cutouts) if batches.decode_twice else self.decoder + cutouts))

    def fitting(self, batches: MicroBatches, room: int) -> MicroBatches | None:
        """Return the largest micro-batches, from these on, with which a step fits; None if none are small enough."""
        fit: MicroBatches | None = batches
        while fit and self.bytes(fit) > room:
            fit = fit.smaller()
        return fit


def kept_bytes(compute: Callable[[], Sequence[Tensor]], weights: Iterable[Tensor]) -> int:
    """Return how many bytes a computation keeps for its gradient beside the weights, each storage counted once."""
    known = {weight.untyped_storage().data_ptr() for weight in weights}
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(count, lambda tensor: tensor):
        kept = compute()
    del kept  # until here, so that no storage was used twice
    return sum(size for place, size in storages.items() if place not in known)


def room(device: torch.device) -> int:
    """Return how many bytes are free on a device, within the limits of the container and of the process."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = psutil.virtual_memory().available
    return min(free, _free_in_container(free), _free_in_process(free))


def _free_in_container(free: int) -> int:
    try:
        limit, used = (int(Path(path).read_text(encoding="ascii")) for path in CGROUP)
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return max(limit - used, 0)


def _free_in_process(free: int) -> int:
    if not hasattr(psutil, "RLIMIT_AS"):  # not on Linux
        return free
    process = psutil.Process()
    limit, _ = process.rlimit(psutil.RLIMIT_AS)
    return free if limit == psutil.RLIM_INFINITY else max(limit - process.memory_info().vms, 0)


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of the GPU is full."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)

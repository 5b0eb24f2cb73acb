"""Where the time of a step goes, how much of it is matrix products, and the memory that it adds."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from clipgen.core.contracts import Generator, Perceptor
from clipgen.core.cutouts import AugmentationParameters, make_cutouts
from clipgen.core.loop import Loop
from clipgen.util.devices import wait_for

DECODER, CUTOUTS, FORWARD, BACKWARD, REST = "decoder", "cutouts", "CLIP forward", "CLIP backward", "rest"
PARTS = (DECODER, CUTOUTS, FORWARD, BACKWARD, REST)
MATRIX_OPERATORS = ("conv", "mm", "attention", "linear")
"""Parts of the names of torch's operators that multiply matrices."""


class Stopwatch:
    """Measures the shares of one step of a loop, forward and backward, by the moments at which tensors are there."""

    def __init__(self, loop: Loop, device: torch.device) -> None:
        self._loop, self._device = loop, device
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._last = 0.0

    def shares(self) -> dict[str, float]:
        """Make a step and return the fraction of its time by part; they sum to 1."""
        decode, embed = self._loop.decode, self._loop.embed
        self._loop.decode, self._loop.embed = self._decoded, self._embedded
        try:
            self._seconds = dict.fromkeys(PARTS, 0.0)
            self._start()
            self._loop.find_gradients()
            self._mark(DECODER)
            self._loop.update()
            self._mark(REST)
        finally:
            self._loop.decode, self._loop.embed = decode, embed
        total = sum(self._seconds.values())
        return {name: seconds / total for name, seconds in self._seconds.items()}

    def _start(self) -> None:
        wait_for(self._device)
        self._last = time.perf_counter()

    def _mark(self, part: str) -> None:
        """Count the time since the last mark for a part."""
        before = self._last
        self._start()
        self._seconds[part] += self._last - before

    def _decoded(self, generator: Generator) -> Tensor:
        self._mark(REST)
        images = generator.decode()
        self._mark(DECODER)
        images.register_hook(lambda _gradient: self._mark(CUTOUTS))  # type: ignore[no-untyped-call]
        return images

    def _embedded(
        self, images: Tensor, parameters: AugmentationParameters, perceptors: Sequence[Perceptor], _with_maps: bool
    ) -> tuple[Tensor, ...]:
        self._mark(REST)
        seen: list[Tensor] = []
        for perceptor in perceptors:
            cutouts = make_cutouts(images, parameters, perceptor.size)
            cutouts.register_hook(lambda _gradient: self._mark(BACKWARD))  # type: ignore[no-untyped-call]
            self._mark(CUTOUTS)
            seen.append(perceptor.encode_images(cutouts).view(len(images), parameters.drawn, -1))
            self._mark(FORWARD)
        return tuple(seen)


class MemoryMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Measures the most bytes of tensors that were created inside the block and are alive at the same time.

    Allocators keep freed memory for later, so that the size of a process says little about a step.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        before = {_key(tensor) for tensor in _tensors((args, given))}
        made = func(*args, **given)
        for tensor in _tensors(made):
            if (key := _key(tensor)) not in before and key not in self._alive:
                self._count(tensor.untyped_storage(), key)
        return made

    def _count(self, storage: torch.UntypedStorage, key: int) -> None:
        size = storage.nbytes()
        self._alive.add(key)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._now -= size


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return how many floating-point operations a second a device makes in products of large square matrices."""
    side = 8192 if device.type == "cuda" else 1024
    factor = torch.ones(side, side, dtype=dtype, device=device)
    best = 0.0
    for _ in range(4):  # the first one warms up
        wait_for(device)
        begun = time.perf_counter()
        factor @ factor
        wait_for(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - begun))
    return best


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def matrix_products(step: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Make two steps; return the `share` of time in convolutions, matrix products and attention, and its `rate`.

    The rate is in floating-point operations a second, during that share.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would report on stderr what it does
    with FlopCounterMode(display=False) as counter:
        step()
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with torch.profiler.profile(activities=kinds) as profile:
        step()
        wait_for(device)
    rows: list[Any] = list(profile.key_averages())
    spent = [
        (str(row.key), row.self_device_time_total if device.type == "cuda" else row.self_cpu_time_total) for row in rows
    ]
    matrix = sum(time for name, time in spent if any(part in name for part in MATRIX_OPERATORS))
    total = sum(time for _, time in spent)
    return {
        "share": matrix / total if total else 0.0,
        "rate": counter.get_total_flops() / (matrix / 1e6) if matrix else 0.0,
    }

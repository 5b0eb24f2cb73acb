"""Doing with less memory, at the price of time: what is kept for the gradient is made again instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Thrift:
    """How a step spares memory; its results are the same but for rounding.

    What is not kept is computed again for the gradient (Chen et al., 2016, arXiv 1604.06174).
    """

    views_at_once: int
    """Of each picture, that the perceptors look at together."""
    decode_twice: bool = False
    """Whether nothing of the decoder is kept."""

    def next(self) -> Thrift | None:
        """Return what spares more; None if nothing does."""
        if self.views_at_once > 1:
            return replace(self, views_at_once=(self.views_at_once + 1) // 2)
        return None if self.decode_twice else replace(self, decode_twice=True)


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of the GPU is full."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)

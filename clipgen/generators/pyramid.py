"""A latent as a sum over resolutions, so that one step of the optimiser can move a whole shape and not only its cells.

Direct Ascent Synthesis (Fort and Whitaker, 2025, arXiv 2502.07753) does so with pixels; here it is done with latents.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.util.batches import rows_together


class Pyramid:
    """A latent (B, D, h, w) and coarser ones, each of half the size of the one before, stretched and added to it."""

    def __init__(self, shape: Sequence[int], device: torch.device, depth: int) -> None:
        batch, width, *cells = shape
        sizes = [[max(-(-side // 2**level), 1) for side in cells] for level in range(depth)]
        self.levels = [torch.zeros(batch, width, *size, device=device, requires_grad=True) for size in sizes]

    def value(self) -> Tensor:
        """Return the sum (B, D, h, w).

        Picture by picture on a CPU, where a sum is rounded in an order that depends on the place in memory.
        """
        rows = rows_together(self.levels[0])
        if len(rows) == 1:
            return self._sum(self.levels)
        parts = zip(*(torch.split(level, 1) for level in self.levels), strict=True)
        return torch.cat([self._sum(levels) for levels in parts])

    def _sum(self, levels: Sequence[Tensor]) -> Tensor:
        base, *coarse = levels
        stretched = [interpolate(level, base.shape[2:], mode="bilinear") for level in coarse]
        return torch.stack([base, *stretched]).sum(0)

    @torch.no_grad()
    def set_(self, value: Tensor) -> None:
        """Make the sum equal to `value`."""
        for level in self.levels:
            level.zero_()
        self.levels[0].copy_(value)

    @torch.no_grad()
    def clamp_(self, low: Tensor, high: Tensor) -> None:
        """Bring the sum into a range."""
        value = self.value()
        self.levels[0].add_(value.clamp(low, high) - value)

"""A latent as a sum over resolutions, so that one step of the optimiser can move a whole shape and not only its cells.

Direct Ascent Synthesis (Fort and Whitaker, 2025, arXiv 2502.07753) does this with pixels; here it is done with latents.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class Pyramid:
    """A latent (B, D, h, w) as the sum of `depth` levels, each half the size of the one before, interpolated.

    cascaded: each level is enlarged to the next finer one, smoothly, and added to it; far faster with many levels.
    sizes: height and width of other levels, from (h, w) down, which are then enlarged smoothly, too.
    """

    def __init__(
        self,
        shape: Sequence[int],
        device: torch.device,
        depth: int,
        *,
        cascaded: bool = False,
        sizes: Sequence[tuple[int, int]] = (),
    ) -> None:
        batch, width, *cells = shape
        self._cascaded, self._mode = cascaded, "bicubic" if sizes else "bilinear"
        sizes = sizes or [(max(-(-cells[0] // 2**k), 1), max(-(-cells[1] // 2**k), 1)) for k in range(depth)]
        self.levels = [torch.zeros(batch, width, *size, device=device, requires_grad=True) for size in sizes]

    def value(self) -> Tensor:
        """Return the sum (B, D, h, w) in its own memory, differentiable in the levels."""
        # One after the other: a sum over a stack rounds in an order that depends on the memory layout, so that a
        # picture would come out differently in a batch than on its own.
        base, *coarse = self.levels
        if self._cascaded:
            return self._cascade()
        total = base.clone()
        for level in coarse:
            total = total + interpolate(level, base.shape[2:], mode=self._mode)
        return total

    def _cascade(self) -> Tensor:
        coarsest, *finer = reversed(self.levels)
        total = coarsest.clone()
        for level in finer:
            total = interpolate(total, level.shape[2:], mode="bicubic") + level
        return total

    @torch.no_grad()
    def set_(self, value: Tensor) -> None:
        """Make the sum equal to `value` (B, D, h, w)."""
        for level in self.levels:
            level.zero_()
        self.levels[0].copy_(value)

    @torch.no_grad()
    def project_(self, projection: Callable[[Tensor], Tensor]) -> None:
        """Replace the sum (B, D, h, w) by its projection, of the same shape."""
        value = self.value()
        self.levels[0].add_(projection(value) - value)

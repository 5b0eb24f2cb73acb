"""Computing a batch of pictures such that each comes out as it would alone."""

from collections.abc import Callable

import torch
from torch import Tensor


def rows_together(batch: Tensor) -> list[slice]:
    """Return which rows of a batch to compute together: all of them on a GPU, one at a time on a CPU.

    On a CPU a batch is no faster than its pictures one by one, and only so does each come out as it would alone, to the
    last bit: matrix products of other shapes are rounded differently.
    """
    if batch.device.type != "cpu":
        return [slice(0, len(batch))]
    return [slice(row, row + 1) for row in range(len(batch))]


def picture_by_picture(compute: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Return `compute(batch)` for a batch (B, ...) of pictures, computed as `rows_together` says."""
    rows = rows_together(batch)
    if len(rows) == 1:
        return compute(batch)
    return torch.cat([compute(one) for one in torch.split(batch, 1)])


def mean_of_each(values: Tensor) -> Tensor:
    """Return the mean (B,) of each row of values (B, ...)."""
    return torch.stack([row.mean() for row in values])

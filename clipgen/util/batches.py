"""Batched computation that gives each picture the same result as on its own."""

from collections.abc import Callable

import torch
from torch import Tensor


def rows_together(batch: Tensor) -> list[slice]:
    """Return the groups of rows of a batch (B, ...) to compute together: all on a GPU, one at a time on a CPU.

    On a CPU a larger batch is no faster, and matrix products of other shapes round differently: only one row at a time
    gives each picture, to the last bit, the result that it has on its own.
    """
    if batch.device.type != "cpu":
        return [slice(0, len(batch))]
    return [slice(row, row + 1) for row in range(len(batch))]


def picture_by_picture(compute: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Return `compute(batch)` for a batch (B, ...), computed in the groups of `rows_together`.

    compute: maps (b, ...) to (b, ...), each row independently of the others.
    """
    rows = rows_together(batch)
    if len(rows) == 1:
        return compute(batch)
    return torch.cat([compute(one) for one in torch.split(batch, 1)])


def mean_of_each(values: Tensor) -> Tensor:
    """Return the mean (B,) of each row of values (B, ...), in a rounding that does not depend on the batch."""
    return torch.stack([row.mean() for row in values])

"""Which positions may attend to which: the attention masks of DALL-E's transformer (Ramesh et al., 2021, appendix B.1).

A sequence is T text tokens and then the codes of a grid of `rows` x `columns`, row by row. Text attends to the text so
far; a code attends to all of the text and, of the codes so far and itself, to those that its layer's pattern has.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from clipgen.errors import unknown_value

KERNEL = 11
"""Side of the window of `convolutional`."""


def full(back: Tensor, _columns: int) -> Tensor:
    """All codes so far."""
    return back >= 0


def row(back: Tensor, columns: int) -> Tensor:
    """The last codes in raster order, up to the one above: so many as a row has, and the code itself."""
    return (back >= 0) & (back <= columns)


def column(back: Tensor, columns: int) -> Tensor:
    """The codes above in the same column."""
    return (back >= 0) & (back % columns == 0)


def convolutional(back: Tensor, columns: int) -> Tensor:
    """The upper half of a window of KERNEL codes a side, which goes on at the other edge of the grid.

    As in the paper the window wraps around: a code near an edge sees the ends of neighbouring rows.
    """
    reach = KERNEL // 2
    in_a_row = [(back - up * columns).abs() <= reach for up in range(reach + 1)]
    return (back >= 0) & torch.stack(in_a_row).any(0)


PATTERNS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "full": full,
    "row": row,
    "column": column,
    "convolutional": convolutional,
}
"""By name: whether a code attends to the one that is `back` codes before it, in a grid of so many columns."""


def attention_mask(pattern: str, text: int, rows: int, columns: int) -> Tensor:
    """Return (L, L) boolean, L = text + rows · columns: whether a position (row) attends to another (column).

    pattern: one of PATTERNS. Raises UsageError for another.
    """
    if pattern not in PATTERNS:
        raise unknown_value("the attention of a prior", pattern, PATTERNS)
    index = torch.arange(rows * columns)
    mask = torch.ones(text + len(index), text + len(index), dtype=torch.bool).tril()
    mask[text:, text:] = PATTERNS[pattern](index[:, None] - index, columns)
    return mask

"""Pairs of pictures of someone who wears something, and of the same without it.

What is worn is a small part of few pictures, so that it is hardly learned beside all the others. Recipes of the unCLIP
learn from such pairs, too, and errors count more where the two pictures differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from clipgen.starter.grammar import Truth
from clipgen.starter.train.data import drawn_set, truths
from clipgen.training.progress import Report, silent

WORN = 2  # pictures of anything for each pair
CHANGED = 30  # of 255: above rounding
MOST = 0.3  # share of the cells from which the style, not what is worn, makes the difference


@dataclass(frozen=True)
class WearPairs:
    """Pictures (N, S, S, 3) uint8 of someone who wears something, and the same pictures without it."""

    dressed: np.ndarray
    bare: np.ndarray
    shown: list[Truth]
    """What the dressed ones show."""

    @property
    def undressed(self) -> list[Truth]:
        """What the bare ones show."""
        return [replace(truth, relation=None, other=None, other_colour=None) for truth in self.shown]


def wear_pairs(folder: Path, count: int, size: int, seed: int, report: Report = silent) -> WearPairs:
    """Return so many pairs, drawn as `drawn_set` does."""
    dressed, bare = (
        drawn_set(folder, count, size, seed, relation="wearing", bare=bare, report=report) for bare in (False, True)
    )
    return WearPairs(dressed, bare, truths(seed, count, relation="wearing"))


def changed_cells(dressed: np.ndarray, bare: np.ndarray, side: int) -> Tensor:
    """Return (2 N, 1, side, side): 1 in the cells where pictures (N, S, S, 3) uint8 differ, then their mirror images.

    All 0 for a pair whose style makes everything different.
    """
    differ = np.abs(dressed.astype(np.int16) - bare).max(3) > CHANGED
    cells = adaptive_max_pool2d(torch.from_numpy(differ).float()[:, None], side)
    cells *= cells.mean((1, 2, 3), keepdim=True) < MOST
    return torch.cat([cells, cells.flip(3)])


def probabilities(mix: Sequence[float], parts: Sequence[Tensor]) -> np.ndarray:
    """Return how often to learn from each picture of parts (V, N, D), so that each part has its share of `mix`."""
    counts = [part.shape[1] for part in parts]
    return np.repeat(np.array(mix) / counts, counts)


def join_mirrored(*parts: Tensor) -> Tensor:
    """Return parts (2 N, ...), each of pictures and then of their mirror images, as one such tensor."""
    return torch.cat([part.view(2, -1, *part.shape[1:]) for part in parts], 1).flatten(0, 1)

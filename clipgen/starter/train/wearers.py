"""Whoever wears something, a second time without it.

What is worn is a small part of few pictures, so that it is hardly learned with all the others. Recipes that imagine
also learn from pictures in which someone wears something, and errors count more where these differ from the same
pictures without it.
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

WORN = 2  # for each picture of someone who wears something so many of anything
CHANGED = 30  # of 255: more than rounding
MOST = 0.3  # of a picture's cells, where something is worn


@dataclass(frozen=True)
class Wearers:
    """Pictures (N, S, S, 3) uint8 of someone who wears something, and the same pictures without it."""

    dressed: np.ndarray
    bare: np.ndarray
    shown: list[Truth]
    """By the dressed ones."""

    @property
    def undressed(self) -> list[Truth]:
        """What the bare ones show."""
        return [replace(truth, relation=None, other=None, other_colour=None) for truth in self.shown]


def wearers(folder: Path, count: int, size: int, seed: int) -> Wearers:
    """So many, drawn as `drawn_set` does."""
    dressed, bare = (drawn_set(folder, count, size, seed, relation="wearing", bare=bare) for bare in (False, True))
    return Wearers(dressed, bare, truths(seed, count, relation="wearing"))


def changed(dressed: np.ndarray, bare: np.ndarray, side: int) -> Tensor:
    """Where pictures (N, S, S, 3) uint8 differ, and then their mirror images: 1 in cells (2 N, 1, side, side), else 0.

    Nowhere for a pair whose style makes everything different.
    """
    differ = np.abs(dressed.astype(np.int16) - bare).max(3) > CHANGED
    cells = adaptive_max_pool2d(torch.from_numpy(differ).float()[:, None], side)
    cells *= cells.mean((1, 2, 3), keepdim=True) < MOST
    return torch.cat([cells, cells.flip(3)])


def shares(mix: Sequence[float], parts: Sequence[Tensor]) -> np.ndarray:
    """How often each of what parts (V, N, D) have captions of is learned from, so that each part has its share (N,)."""
    counts = [part.shape[1] for part in parts]
    return np.repeat(np.array(mix) / counts, counts)


def joined(*parts: Tensor) -> Tensor:
    """Parts (2 N, ...), each of pictures and then their mirror images, as one such tensor."""
    return torch.cat([part.view(2, -1, *part.shape[1:]) for part in parts], 1).flatten(0, 1)

"""How different the pictures of one prompt are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def pairwise_distance(vectors: Tensor) -> float:
    """Return the mean cosine distance, 1 less the cosine, over all pairs of N unit vectors (N, D); N is at least 2."""
    cosines = vectors @ vectors.T
    first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
    return float((1 - cosines[first, second]).mean())


def diversity(vectors: Tensor, groups: Sequence[Hashable]) -> list[float]:
    """Return the mean pairwise distance of each group of two vectors or more, in the order in which groups begin.

    vectors: (N, D), of unit length. groups: the group of each of them, such as its prompt.
    """
    members: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    return [pairwise_distance(vectors[places]) for places in members.values() if len(places) > 1]

"""Whether a picture's own prompt is nearer to it than the other prompts of a file, and how sure that is."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence

from torch import Tensor

from clipgen.judge.intervals import Interval, mean_interval, share_interval


def ranks(scores: Tensor, own: Sequence[int]) -> list[int]:
    """Return the rank, from 1, of the own text of each of N pictures among P texts.

    scores: (N, P), of each picture for each text. own: the index of the text of each picture.
    """
    mine = scores[range(len(own)), list(own)]
    found: list[int] = (1 + (scores > mine[:, None]).sum(1)).tolist()
    return found


def recall(ranked: Sequence[int], place: int, groups: Sequence[Hashable]) -> Interval:
    """Return the share of ranks within `place`, R@k; pictures of one group, such as a prompt, are not independent."""
    hits = [float(rank <= place) for rank in ranked]
    if len(set(groups)) == len(hits):
        return share_interval(int(sum(hits)), len(hits))
    return mean_by_group(hits, groups)


def mean_by_group(values: Sequence[float], groups: Sequence[Hashable]) -> Interval:
    """Return the mean over groups of their means, whose interval is that of independent groups."""
    members: dict[Hashable, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        members.setdefault(group, []).append(value)
    return mean_interval([statistics.fmean(row) for row in members.values()])

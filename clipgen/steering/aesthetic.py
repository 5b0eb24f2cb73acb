"""The loss that pulls up how people would rate a picture."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from clipgen.core.contracts import Loss, Moment

BEST = 10.0
"""The end of the scale of ratings."""


class Rater(Protocol):
    """Predicts ratings from a CLIP's vectors."""

    def scores(self, vectors: Tensor) -> Tensor:
        """Return the ratings (...) of unit vectors (..., D)."""


def aesthetic_loss(rater: Rater, guide: int) -> Loss:
    """Return the loss that is lower the higher cutouts are rated: their mean distance from BEST, on a scale of 1.

    guide: index of the CLIP whose vectors are rated. A cutout that is rated BEST pulls no more, as what lies beyond the
    ratings of people means nothing; while that CLIP does not guide, the loss is 0.
    """

    def distance(moment: Moment) -> Tensor:
        if guide not in moment.vectors:
            return moment.images.new_zeros(len(moment.images))
        missing = (BEST - rater.scores(moment.vectors[guide])).clamp_min(0) / BEST
        return missing.mean(1)

    return distance

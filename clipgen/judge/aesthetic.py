"""How much people would like pictures, by LAION's aesthetic predictor: a judge of quality, which reads no text."""

from __future__ import annotations

import torch
from torch import Tensor

from clipgen.perceptors.aesthetic import AestheticHead, load_head


@torch.no_grad()
def scores(vectors: Tensor, head: AestheticHead | None = None) -> Tensor:
    """Return the ratings (N,) of pictures, mostly from 1 to 10.

    vectors: (N, 768), the unit vectors that OpenAI's CLIP ViT-L/14 has of whole pictures, as `judge.score.embed`
    returns them. head: the predictor, if it is loaded already. Raises WeightsMissingError if it is not here.
    """
    return (head or load_head(vectors.device)).scores(vectors)

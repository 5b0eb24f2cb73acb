"""LAION's aesthetic predictor: how much people would like a picture, from the vector that CLIP ViT-L/14 has of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from clipgen.errors import ClipgenError
from clipgen.weights.heads import AESTHETIC
from clipgen.weights.loader import load

HIDDEN = (1024, 128, 64, 16)
DROPOUT = (0.2, 0.2, 0.1)


class AestheticHead(nn.Module):
    """Five linear layers with nothing but dropout between them: once trained, one affine map of the vector.

    Trained by C. Schuhmann on ratings from 1 to 10 of AVA, of logos, and of pictures by diffusion models
    (github.com/christophschuhmann/improved-aesthetic-predictor). config: `width`, of the vectors.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        sides = (config["width"], *HIDDEN, 1)
        parts: list[nn.Module] = []
        for place, (wide, narrow) in enumerate(pairwise(sides)):
            parts.append(nn.Linear(wide, narrow))
            parts += [nn.Dropout(share) for share in DROPOUT[place : place + 1]]
        self.layers = nn.Sequential(*parts)
        self.width: int = config["width"]

    def scores(self, vectors: Tensor) -> Tensor:
        """Return the ratings (...) of unit vectors (..., width), mostly from 1 to 10; ClipgenError for others."""
        if vectors.shape[-1] != self.width:
            raise ClipgenError(
                f"the aesthetic predictor takes vectors of {self.width} numbers, OpenAI's ViT-L-14's, got "
                f"{vectors.shape[-1]}"
            )
        rated: Tensor = self.layers(vectors.float())
        return rated[..., 0]


def aesthetic_network(config: dict[str, Any]) -> AestheticHead:
    """Build the untrained head of a config."""
    return AestheticHead(config)


def load_head(device: torch.device | str = "cpu") -> AestheticHead:
    """Load the predictor. Raises WeightsMissingError with the command that gets it if it is not here."""
    checkpoint = load(AESTHETIC)
    with torch.device("meta"):  # where no random numbers are drawn for weights that are replaced
        head = AestheticHead(checkpoint.config)
    head.load_state_dict(checkpoint.tensors, assign=True)
    return head.eval().requires_grad_(False).to(device)

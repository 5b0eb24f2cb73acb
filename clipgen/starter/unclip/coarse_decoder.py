"""A coarse decoder: the mean of all pictures that have given features, small and without edges.

`clipgen.starter.unclip.decoder` adds the detail.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from clipgen.weights.checkpoint import Checkpoint, build

PATCH, DETAIL = 4, 4  # positions along each side of a cell, pixels along each side of a position


class CoarseDecoder(nn.Module):
    """From the features of a picture's cells (see `clipgen.starter.unclip.prior`) to a small square picture.

    config: `cells`, along each side; `kept`, features of a cell; `width`, `depth` and `heads` of the transformer over
    the cells; `channels` of the convolutions that follow. The attributes have the names of the tensors in the weight
    files that ship.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = config
        self.cells, kept, width, channels = (config[name] for name in ("cells", "kept", "width", "channels"))
        for name, start in (("mean", torch.zeros), ("std", torch.ones)):
            self.register_buffer(name, start(self.cells**2 * kept))
        self.size: int = self.cells * PATCH * DETAIL
        self.enter = nn.Linear(kept, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.cells**2, width))
        layer = nn.TransformerEncoderLayer(
            width, config["heads"], 4 * width, 0.0, gelu, batch_first=True, norm_first=True
        )
        self.relate = nn.TransformerEncoder(layer, config["depth"], enable_nested_tensor=False)
        self.spread = nn.Linear(width, channels * PATCH**2)
        self.join = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(4))
        self.leave = nn.Sequential(nn.Conv2d(channels, 3 * DETAIL**2, 3, padding=1), nn.PixelShuffle(DETAIL))

    def forward(self, features: Tensor) -> Tensor:
        """Return pictures (B, 3, S, S) of features (B, E), about within [0, 1]."""
        tokens = ((features - self.mean) / self.std).view(len(features), self.cells**2, -1)
        tokens = self.relate(self.enter(tokens) + self.places).transpose(1, 2)
        cells = tokens.unflatten(2, (self.cells, self.cells)).permute(0, 2, 3, 1)
        image = self.spread(cells).permute(0, 3, 1, 2)
        image = nn.functional.pixel_shuffle(image, PATCH)
        for first, second in zip(self.join[::2], self.join[1::2], strict=True):
            image = image + second(gelu(first(gelu(image))))
        picture: Tensor = self.leave(image) + 0.5
        return picture


def build_coarse_decoder(checkpoint: Checkpoint) -> CoarseDecoder:
    """Return the coarse decoder of a checkpoint with its weights; ClipgenError if the checkpoint is of another kind."""
    return build(checkpoint, "sketcher", CoarseDecoder)

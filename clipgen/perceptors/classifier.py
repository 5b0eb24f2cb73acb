"""A classifier as a perceptor: images and texts are embedded in the space of its classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipgen.errors import unknown_value


class ClassifierPerceptor(nn.Module):
    """A frozen classifier and the names of its classes.

    network: maps normalised images (N, 3, size, size) to logits (N, C). mean, std: of the normalisation, per channel.
    An embedding holds the square root of each class probability, so that it is a unit vector and the cosine of two
    embeddings is the Bhattacharyya coefficient of the two distributions.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, classes: Sequence[str], size: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = [name.lower() for name in classes]
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (N, C), equal in all classes whose names are in the text and 0 elsewhere.

        Raises UsageError for a text that names no class.
        """
        return torch.stack([self._named(text) for text in texts]).to(self.mean.device)

    def encode_images(self, cutouts: Tensor) -> Tensor:
        """Return unit vectors (N, C) of cutouts (N, 3, size, size), RGB in [0, 1]."""
        logits: Tensor = self.network((cutouts - self.mean) / self.std)
        # The exponential of half the log-probability has a finite gradient at 0, unlike the square root.
        return normalize((logits.log_softmax(1) / 2).exp(), dim=1)

    def _named(self, text: str) -> Tensor:
        words = f" {text.lower()} "
        known = torch.tensor([f" {name} " in words for name in self.classes]).float()
        if not known.any():
            raise unknown_value("the prompt, for a classifier,", text, self.classes)
        return normalize(known, dim=0)

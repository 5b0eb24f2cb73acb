"""Perceptors as judges: a CLIP scores a picture by a cosine, a classifier by a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.readings import CLASSIFIER, read
from clipgen.judge.score import embed
from clipgen.util.images import to_tensor


@dataclass(frozen=True)
class Judge:
    """A perceptor, frozen and on its device, with the name of its weights."""

    name: str
    perceptor: Any
    device: str | torch.device = "cpu"

    @property
    def is_classifier(self) -> bool:
        """Whether its scores are probabilities of the things that a text names."""
        return self.name.startswith(CLASSIFIER)

    @property
    def unit(self) -> str:
        """What its scores are."""
        return "probability" if self.is_classifier else "cosine"

    def taken(self, text: str) -> str:
        """Return what it takes of a text: a CLIP the whole, a classifier the things that it knows; "" for nothing."""
        return read(text, [self.name]).taken[0]

    @torch.no_grad()
    def vectors(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return the vectors (N, D) of N whole pictures: unit vectors, or logits."""
        if not self.is_classifier:
            return embed(pictures, self.perceptor)
        images = (to_tensor(each, each.size).to(self.device) for each in pictures)
        return torch.cat([self.perceptor.encode_images(self.perceptor.whole(image)) for image in images])

    @torch.no_grad()
    def vectors_of_views(self, views: Tensor) -> Tensor:
        """Return the vectors (N, D) of views (N, 3, size, size), RGB in [0, 1]."""
        vectors: Tensor = self.perceptor.encode_images(views.to(self.device))
        return vectors

    @torch.no_grad()
    def matrix(self, vectors: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the scores (N, P) of vectors (N, D) for each of P texts, of which it takes something."""
        targets = self.perceptor.encode_texts([self.taken(text) for text in texts])
        scores: Tensor = self.perceptor.similarities(vectors[None], targets[None])[0]
        return scores

    def scores(self, vectors: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the score (N,) of each of N vectors (N, D) for the text of the same place."""
        different = list(dict.fromkeys(texts))
        places = torch.tensor([different.index(text) for text in texts], device=vectors.device)
        return self.matrix(vectors, different).gather(1, places[:, None])[:, 0]

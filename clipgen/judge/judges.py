"""Perceptors as judges: a CLIP scores a picture by a cosine, a classifier by a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.readings import CLASSIFIER, read
from clipgen.judge.score import embed

TOGETHER = 32
"""How many texts are encoded at once."""


@dataclass(frozen=True)
class Judge:
    """A perceptor, frozen and on its device, with the name of its weights."""

    name: str
    perceptor: Any
    device: str | torch.device = "cpu"
    _known: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    """The targets of texts that were asked about before."""

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

    def vectors(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return the vectors (N, D) of N whole pictures: unit vectors, or logits."""
        return embed(pictures, self.perceptor)

    @torch.no_grad()
    def vectors_of_views(self, views: Tensor) -> Tensor:
        """Return the vectors (N, D) of views (N, 3, size, size), RGB in [0, 1]."""
        vectors: Tensor = self.perceptor.encode_images(views.to(self.device))
        return vectors

    @torch.no_grad()
    def matrix(self, vectors: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the scores (N, P) of vectors (N, D) for each of P texts, of which it takes something."""
        scores: Tensor = self.perceptor.similarities(vectors[None], self._targets(texts)[None])[0]
        return scores

    def _targets(self, texts: Sequence[str]) -> Tensor:
        """Return the targets (P, D) of P texts."""
        asked = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(asked), TOGETHER):
            group = asked[start : start + TOGETHER]
            targets = self.perceptor.encode_texts([self.taken(text) for text in group])
            self._known.update(zip(group, targets, strict=True))
        return torch.stack([self._known[text] for text in texts])

    def scores(self, vectors: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the score (N,) of each of N vectors (N, D) for the text of the same place."""
        different = list(dict.fromkeys(texts))
        places = torch.tensor([different.index(text) for text in texts], device=vectors.device)
        return self.matrix(vectors, different).gather(1, places[:, None])[:, 0]

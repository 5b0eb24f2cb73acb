"""How well pictures match texts with weights, by one perceptor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipgen.core.contracts import Perceptor


def weighted_similarity(images: Tensor, perceptor: Perceptor, texts: Sequence[tuple[str, float]]) -> Tensor:
    """Return the similarity (N,) of whole images (N, 3, H, W) to texts, whose weights are scaled to magnitudes of 1."""
    weights = torch.tensor([weight for _, weight in texts], device=images.device)
    weights = weights / weights.abs().sum().clamp(min=1e-6)
    seen, targets = (
        perceptor.encode_images(perceptor.whole(images)),
        perceptor.encode_texts([text for text, _ in texts]),
    )
    return perceptor.similarities(seen[None], targets[None])[0] @ weights

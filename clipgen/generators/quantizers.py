"""The codebooks of VQGANs: which code stands for an encoder's features, and where among the codes a latent may be.

A latent (B, D, h, w) that is optimised always takes the code that is nearest to each cell, so that every code can be
reached. What differs is how the network was trained to choose: `latent` turns its features into such a latent.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import normalize

Projection = Callable[[Tensor], Tensor]
"""Brings latents (B, D, h, w) back among the codes."""


class Codebook(nn.Module):
    """Holds the codes under taming's key, `quantize.embedding.weight`."""

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(codes, width)

    @property
    def codes(self) -> Tensor:
        """The codes (K, D)."""
        return self.embedding.weight

    def latent(self, features: Tensor) -> Tensor:
        """Return encoder features (B, D, h, w) unchanged: they are already in the space of the codes."""
        return features

    def projection(self) -> Projection:
        """Return the clamp to the bounding box of the codes, as VQGAN-CLIP has it."""
        return _into_box(self.codes)


class DotCodebook(Codebook):
    """Takes the code of the largest dot product with the features (IBQ, arXiv 2412.02692)."""

    def latent(self, features: Tensor) -> Tensor:
        """Map encoder features (B, D, h, w) to their codes, as the length of features says nothing about a place."""
        chosen: Tensor = self.embedding((features.permute(0, 2, 3, 1) @ self.codes.T).argmax(-1))
        return chosen.permute(0, 3, 1, 2)


class CosineCodebook(Codebook):
    """Compares directions alone: codes and latents lie on the unit sphere (LlamaGen, arXiv 2406.06525)."""

    @property
    def codes(self) -> Tensor:
        """The codes (K, D), of length 1: the nearest has the largest cosine."""
        return normalize(self.embedding.weight, dim=1)

    def latent(self, features: Tensor) -> Tensor:
        """Return encoder features (B, D, h, w) with cells of length 1."""
        return normalize(features, dim=1)

    def projection(self) -> Projection:
        """Return what gives every cell the length 1."""
        return self.latent


class GumbelCodebook(nn.Module):
    """Holds the codes under the keys of taming's GumbelVQ: `quantize.embed`, and `quantize.proj` for their logits."""

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.proj = nn.Conv2d(width, codes, 1)
        self.embed = nn.Embedding(codes, width)

    @property
    def codes(self) -> Tensor:
        """The codes (K, D)."""
        return self.embed.weight

    def latent(self, features: Tensor) -> Tensor:
        """Map encoder features (B, D, h, w) to the likeliest codes, (B, D, h, w).

        taming samples a code instead, even outside training.
        """
        codes: Tensor = self.embed(self.proj(features).argmax(1))
        return codes.permute(0, 3, 1, 2)

    def projection(self) -> Projection:
        """Return the clamp to the bounding box of the codes."""
        return _into_box(self.codes)


def _into_box(codes: Tensor) -> Projection:
    low, high = (bound(0)[None, :, None, None] for bound in (codes.amin, codes.amax))
    return lambda latent: latent.clamp(low, high)


QUANTIZERS: dict[str, type[Codebook] | type[GumbelCodebook]] = {
    "nearest": Codebook,
    "gumbel": GumbelCodebook,
    "dot": DotCodebook,
    "cosine": CosineCodebook,
}
"""By the `quantizer` of a VQGAN's config."""

"""The networks of the unCLIP, and what conditions them.

The prior draws features of the texts, the coarse decoder makes small pictures without edges of these, the decoder adds
the detail, and the upsampler doubles the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from clipgen.core.contracts import FeatureMaps, Perceptor
from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.unclip.coarse_decoder import CoarseDecoder
from clipgen.starter.unclip.decoder import Decoder
from clipgen.starter.unclip.prior import Prior
from clipgen.starter.unclip.sampler import Method, Start


class UnclipPerceptor(Perceptor, FeatureMaps, Protocol):
    """What the unCLIP needs of a perceptor."""

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """Return (N, 1 + T, D), of each text its unit vector and then the states of its tokens, zeros after the end."""

    def whole(self, images: Tensor) -> Tensor:
        """Return whole images (N, 3, H, W) as cutouts (N, 3, size, size)."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The texts of one picture."""

    states: Sequence[Tensor]
    """For each perceptor, (K, 1 + T, D): what `UnclipPerceptor.text_states` returns."""
    weights: Tensor
    """(K,), those above 0 of sum 1."""

    @cached_property
    def joined(self) -> Tensor:
        """(K, 1 + T, D) with the states of all perceptors side by side, which the prior takes."""
        return torch.cat(list(self.states), 2)

    @property
    def vectors(self) -> Tensor:
        """(K, D) with the vectors of all perceptors side by side, which the decoders take."""
        return self.joined[:, 0]


@dataclass(frozen=True, eq=False)
class Unclip:
    """The networks."""

    prior: Prior
    coarse_decoder: CoarseDecoder
    decoder: Decoder
    upsampler: Decoder
    """Takes decoded pictures where the decoder takes coarse ones."""
    autoencoder: VQGANNetwork
    """Its latents are what both draw."""

    @property
    def fits(self) -> bool:
        """Whether each network takes what the one before it makes."""
        prior, first, second = self.prior, self.decoder, self.upsampler
        features = [(each.cells**2, each.config["kept"]) for each in (self.coarse_decoder, first, second)]
        latents = [(each.config["text"], each.config["latent"]) for each in (first, second)]
        return (
            features == [(prior.cells, prior.kept)] * 3
            and latents == [(prior.config["text"], self.autoencoder.codebook.shape[1])] * 2
            and self.coarse_decoder.size == first.block * first.shape[-1]
            and self.autoencoder.stride * first.shape[-1] == second.block * second.shape[-1]
        )

    def decode(
        self,
        features: Tensor,
        coarse: Tensor,
        texts: Tensor,
        weights: Tensor,
        noise: Tensor,
        method: Method,
        start: Start | None = None,
    ) -> Tensor:
        """Return pictures (B, 3, S, S) in [0, 1] of what `Decoder.sample` draws."""
        return self._image(self.decoder.sample(features, coarse, texts, weights, noise, method, start))

    def upsample(
        self, features: Tensor, decoded: Tensor, texts: Tensor, weights: Tensor, noise: Tensor, method: Method
    ) -> Tensor:
        """Return decoded pictures (B, 3, S, S) with finer detail at twice the size: (B, 3, 2 S, 2 S) in [0, 1].

        As in cascaded diffusion models (Ho et al., 2021, arXiv 2106.15282).
        """
        return self._image(self.upsampler.sample(features, decoded, texts, weights, noise, method))

    def _image(self, latents: Tensor) -> Tensor:
        return self.autoencoder.decode(self.autoencoder.lookup(self.autoencoder.nearest(latents))).clamp(0, 1)

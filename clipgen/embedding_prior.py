"""What picture a text has in mind: a diffusion prior from a text's vector to the vectors of a picture of it.

A CLIP is most pleased by pictures that overdo what it looks for: no true picture comes as near to its text as the
scraps that guidance finds. The vectors of true pictures lie elsewhere, and there are many for a text. Drawn from them,
one is a place that guidance can reach only by a picture that could be true. After DALL-E 2 (Ramesh et al., 2022, arXiv
2204.06125, section 2.1), where a decoder makes a picture of the vector; here guidance does, and a robust CLIP's vectors
say enough for it (Engstrom et al., 2019, arXiv 1906.00945).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, silu

from clipgen import weights

FREQUENCIES = 16
NOISE = (20.0, 0.02)
"""Standard deviation of the noise that sampling begins and ends at, of numbers of about unit variance."""
STEPS = 48
DOUBT_NOISE = (0.5, 0.7, 1.0, 1.4)
"""Through which vectors are doubted: at about their spread, what lies between those of true pictures is told best."""


@dataclass(frozen=True)
class Start:
    """Where imagining starts in place of pure noise."""

    vectors: Tensor
    """(B, E) of pictures."""
    noise: float
    """Its standard deviation, of the noise that they are seen through."""


class EmbeddingPrior(nn.Module):
    """A denoiser of the vectors of pictures as several perceptors see them, side by side, told of the text.

    config: `parts`, the length of each perceptor's vectors; `text`, that of the texts' vectors, which are the first
    perceptor's; `width` and `depth` of the network.
    """

    mean: Tensor
    std: Tensor
    text_mean: Tensor
    text_std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.parts: list[int] = config["parts"]
        total, text, width = sum(self.parts), config["text"], config["width"]
        for name, size in (("mean", total), ("text_mean", text)):
            self.register_buffer(name, torch.zeros(size))
        for name, size in (("std", total), ("text_std", text)):
            self.register_buffer(name, torch.ones(size))
        self.told = nn.Linear(text + 1 + 2 * FREQUENCIES, width)
        self.enter = nn.Linear(total, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config["depth"]))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, total))

    def denoise(self, noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        """The mean of the vectors (B, E), standardised, that noise of standard deviation sigma (B,) made noisy.

        texts (B, D): what they are told to show; zeros tell nothing. Preconditioned as in EDM (Karras et al., 2022,
        table 1) for data of unit variance.
        """
        level = sigma[:, None]
        total = (level.square() + 1).sqrt()
        something = (texts.abs().sum(1, keepdim=True) > 0).to(texts)
        told = torch.cat([(texts - self.text_mean) / self.text_std * something, something, _waves(sigma)], 1)
        told = silu(self.told(told))
        features = self.enter(noisy / total)
        for block in self.blocks:
            features = block(features, told)
        clean: Tensor = noisy / total.square() + self.leave(features) * level / total
        return clean

    @torch.no_grad()
    def imagine(
        self, texts: Tensor, shares: Tensor, noise: Tensor, scale: float = 1.0, start: Start | None = None
    ) -> Tensor:
        """Draw vectors of pictures that show all of texts (K, D): (B, E), of which each perceptor's is a unit vector.

        shares (K,), those above 0 of sum 1: how much each text says; below 0 it is imagined away (conjunction and
        negation of Liu et al., 2022, arXiv 2206.01714).
        noise (B, E), standard normal, decides which pictures. By the deterministic sampler of EDM, with Heun's method;
        `scale` goes beyond what the texts change (classifier-free guidance). With a `start` they keep to the picture
        there (SDEdit, Meng et al., 2022, arXiv 2108.01073).
        """

        def slope(noisy: Tensor, level: float) -> Tensor:
            return (noisy - self._clean(noisy, level, texts, shares, scale)) / level

        first, last = (start.noise if start else NOISE[0]), NOISE[1]
        levels = [first * (last / first) ** (k / (STEPS - 1)) for k in range(STEPS)]
        vectors = noise * first + (self._standard(start.vectors) if start else 0.0)
        for level, following in zip(levels, [*levels[1:], 0.0], strict=True):
            down = slope(vectors, level)
            ahead = vectors + (following - level) * down
            if following:
                ahead = vectors + (following - level) * (down + slope(ahead, following)) / 2
            vectors = ahead
        return torch.cat([normalize(part, dim=1) for part in self.split(vectors * self.std + self.mean)], 1)

    @torch.no_grad()
    def doubt(self, vectors: Tensor, texts: Tensor, shares: Tensor, noise: Tensor) -> Tensor:
        """How far vectors (B, E) are from being those of a true picture of the texts: (B,).

        It is how badly they are made out again through noise (N, E), standard normal, the same for all, at each of
        `DOUBT_NOISE`: the part of a bound on their likelihood that tells them apart (Song et al., 2021, "Maximum
        Likelihood Training of Score-Based Diffusion Models", arXiv 2101.09258). Texts and shares as for `imagine`.
        """
        clean, doubts = self._standard(vectors), torch.zeros(len(vectors)).to(vectors)
        for level in DOUBT_NOISE:
            for each in noise:
                error = self._clean(clean + level * each, level, texts, shares) - clean
                doubts += error.square().mean(1) / level**2
        return doubts

    def _clean(self, noisy: Tensor, level: float, texts: Tensor, shares: Tensor, scale: float = 1.0) -> Tensor:
        """Denoise (B, E) at one level of noise, told of all texts at once."""
        sigma = torch.full((len(noisy),), level).to(noisy)
        untold, *told = (
            self.denoise(noisy, sigma, text.expand(len(noisy), -1)) for text in [torch.zeros_like(texts[0]), *texts]
        )
        return untold + scale * torch.einsum("kbe,k->be", torch.stack(told) - untold, shares)

    def split(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Vectors (B, E) as each perceptor's part of them (B, part)."""
        return torch.split(vectors, self.parts, dim=1)

    def _standard(self, vectors: Tensor) -> Tensor:
        """Vectors (B, E) in units of their spread among pictures."""
        return (vectors - self.mean) / self.std


class _Block(nn.Module):
    """Two linear layers beside an identity, told what all are told."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.told = nn.Linear(width, 2 * width)
        self.path = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, features: Tensor, told: Tensor) -> Tensor:
        """(B, width) to the same shape."""
        gain, shift = self.told(told).chunk(2, dim=1)
        joined: Tensor = features + self.path(self.norm(features) * (1 + gain) + shift)
        return joined


def _waves(sigma: Tensor) -> Tensor:
    """The noise (B,) as sines and cosines of its logarithm (B, 2 * FREQUENCIES)."""
    rates = torch.logspace(-1, 1, FREQUENCIES).to(sigma) * math.pi
    angles = sigma.log()[:, None] * rates / 2
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def build_embedding_prior(checkpoint: weights.Checkpoint) -> EmbeddingPrior:
    """The prior of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    return weights.build(checkpoint, "embedding-prior", EmbeddingPrior)

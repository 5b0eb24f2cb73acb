"""What picture a text has in mind: a diffusion prior from a text to the features of a picture of it.

A CLIP is most pleased by pictures that overdo what it looks for: no true picture comes as near to its text as the
scraps that guidance finds. What CLIPs see in true pictures, cell by cell, lies elsewhere, and there is much for a text.
Drawn from it, features are a place that guidance can reach only by a picture that could be true. After DALL-E 2 (Ramesh
et al., 2022, arXiv 2204.06125, section 2.1), with features that still know where things are in place of vectors; where
that has a decoder, guidance makes the picture, and robust CLIPs' features say enough for it (Engstrom et al., 2019,
arXiv 1906.00945).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention, silu

from clipgen import weights
from clipgen.starter.unclip import sampler as diffusion
from clipgen.util.randomness import generator_for

FREQUENCIES = 16
NOISE = (20.0, 0.02)
"""Standard deviation of the noise that sampling begins and ends at, of numbers of about unit variance."""
STEPS = 12
EVIDENCE_NOISE = (1.0, 2.0, 4.0, 8.0) * 4
"""Standard deviations of the noise, in units of the features' spread, that `evidence` looks through; one draw of noise
says little."""


@dataclass(frozen=True)
class Start:
    """Where imagining starts in place of pure noise."""

    features: Tensor
    """(E,) of a picture."""
    noise: float
    """The standard deviation, in units of the features' spread, of the noise that they are seen through."""


class FeaturePrior(nn.Module):
    """A denoiser of what several perceptors see in the cells of a picture, told of the text.

    In each cell their features are joined and shortened to those along which pictures differ most (principal
    components); those of all cells, row by row, are the picture's features.

    config: `cells`, how many the perceptors see; `channels`, the length of each perceptor's features of a cell; `kept`,
    what the joined ones are shortened to; `text`, the length of all perceptors' vectors of a text, side by side;
    `width`, `depth` and `heads` of the transformer.
    """

    centre: Tensor
    basis: Tensor
    mean: Tensor
    std: Tensor
    text_mean: Tensor
    text_std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = config
        self.cells: int = config["cells"]
        self.kept: int = config["kept"]
        channels, text, width = sum(config["channels"]), config["text"], config["width"]
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("basis", torch.eye(channels, self.kept))
        for name, size in (("mean", self.cells * self.kept), ("text_mean", text)):
            self.register_buffer(name, torch.zeros(size))
        for name, size in (("std", self.cells * self.kept), ("text_std", text)):
            self.register_buffer(name, torch.ones(size))
        self.told = nn.Sequential(nn.Linear(text + 1 + 2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, _Block.MODULATIONS * width)
        self.enter = nn.Linear(self.kept, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.cells, width))
        self.read = nn.Linear(text, width)
        self.readings = nn.ModuleList(_Reading(width, config["heads"]) for _ in range(config["depth"] // 2))
        self.blocks = nn.ModuleList(_Block(width, config["heads"]) for _ in range(config["depth"]))
        self.leave = nn.Linear(width, self.kept)
        for fresh in (self.modulation, self.leave):
            nn.init.zeros_(fresh.weight)

    @property
    def length(self) -> int:
        """How many features (E) a picture has."""
        return self.cells * self.kept

    def shorten(self, maps: Sequence[Tensor]) -> Tensor:
        """Each perceptor's feature maps (N, C, h, w) as the features (N, E)."""
        joined = torch.cat([each.flatten(2) for each in maps], 1).transpose(1, 2)
        return ((joined - self.centre) @ self.basis).flatten(1)

    def distance(self, views: Tensor, aims: Tensor) -> Tensor:
        """How far features of views (B, n, E) are from aims (B, E): (B, n), in units of the pictures' spread."""
        return (views - aims[:, None]).square().mean(2) / self.std.square().mean()

    def denoise(self, noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        """The mean of the features (B, E), standardised, that noise of standard deviation sigma (B,) made noisy.

        texts (B, 1 + T, D): what they are told to show, as `CLIPPerceptor.text_states` has it; zeros tell nothing. A
        text's vector says what there is, and its tokens what belongs to what. Preconditioned as in EDM (Karras et al.,
        2022, table 1) for data of unit variance; one modulation for all blocks, and tokens that cells attend to, as in
        PixArt-alpha (Chen et al., 2023, arXiv 2310.00426, section 2.3), there inside every block.
        """
        level = sigma[:, None]
        total = (level.square() + 1).sqrt()
        told = torch.cat([diffusion.said(texts[:, 0], self.text_mean, self.text_std), _waves(sigma)], 1)
        modulation = self.modulation(silu(self.told(told)))
        rows = layer_norm(self.read(texts), self.places.shape[1:])
        seen = texts.abs().sum(2) > 0
        seen[:, 0] = True
        cells = self.enter((noisy / total).view(-1, self.cells, self.kept)) + self.places
        for number, block in enumerate(self.blocks):
            if number % 2:
                cells = self.readings[number // 2](cells, rows, seen)
            cells = block(cells, modulation)
        change = self.leave(layer_norm(cells, cells.shape[-1:])).flatten(1)
        return diffusion.clean(noisy, level, change)

    def error(self, data: Tensor, noise: Tensor, sigma: Tensor, texts: Tensor, heed: Tensor | None = None) -> Tensor:
        """Mean squared error (B,) of features (B, E), standardised, denoised of sigma (B,) times noise (B, E).

        texts as for `denoise`; heed (B, cells): how much errors in each cell count, if not 1. Weighted as in EDM
        (table 1), so that every level of noise counts alike: to know nothing of the features is an error of 1.
        """
        cleaned = self.denoise(data + sigma[:, None] * noise, sigma, texts).float()
        wrong = (cleaned - data).square().view(len(data), self.cells, self.kept).mean(2)
        return (wrong if heed is None else wrong * heed).mean(1) * (1 + 1 / sigma.square())

    @torch.no_grad()
    def imagine(
        self, texts: Tensor, shares: Tensor, noise: Tensor, scale: float = 1.0, start: Start | None = None
    ) -> Tensor:
        """Draw features (B, E) of pictures that show all of texts (K, 1 + T, D).

        shares (K,) and scale as `sampler.told` has them; noise (B, E), standard normal, decides which
        pictures. With a `start` they keep to the picture there (SDEdit, Meng et al., 2022, arXiv 2108.01073).
        """
        first = start.noise if start else NOISE[0]
        begin = noise * first + (self._standard(start.features) if start else 0.0)
        denoise = diffusion.told(self.denoise, texts, shares, scale)
        features = diffusion.sample(denoise, begin, diffusion.noise_levels(first, NOISE[1], STEPS))
        return features * self.std + self.mean

    @torch.no_grad()
    def evidence(self, features: Tensor, texts: Tensor, shares: Tensor) -> Tensor:
        """How much features (B, E) speak for texts (K, 1 + T, D), by their shares (K,), below 0 against one: (B,).

        How much better they are denoised when told a text than when told nothing, a measure of how much likelier it
        makes them in which all levels of noise count alike (diffusion classifiers: Li et al., 2023, arXiv 2303.16203).
        Noise is added and taken away, so that much of what one draw of it happens to say cancels (antithetic variates).
        """
        data = self._standard(features)
        total = torch.zeros_like(data[:, 0])
        said = (torch.zeros_like(texts[0]), *texts)
        for number, sigma in enumerate(EVIDENCE_NOISE):
            draw = torch.randn(self.length, generator=generator_for(0, number, "evidence")).to(data)
            level = torch.full((len(data),), sigma).to(data)
            for noise in (draw, -draw):
                untold, *told = (self.error(data, noise, level, text.expand(len(data), -1, -1)) for text in said)
                total += (untold[:, None] - torch.stack(told, 1)) @ shares / 2
        return total / len(EVIDENCE_NOISE)

    def _standard(self, features: Tensor) -> Tensor:
        """Features (B, E) in units of their spread among pictures."""
        return (features - self.mean) / self.std


class _Block(nn.Module):
    """A transformer block, told what all are told by shifts, gains and how much it adds (Peebles and Xie, 2023)."""

    MODULATIONS = 6

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.own = nn.Parameter(torch.zeros(self.MODULATIONS, width))
        nn.init.constant_(self.own[2], 0.3)
        nn.init.constant_(self.own[5], 0.3)
        self.attend, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, cells: Tensor, modulation: Tensor) -> Tensor:
        """Cells (B, N, width), told by (B, 6 width), to the same shape."""
        batch, count, width = cells.shape
        told = modulation.view(batch, self.MODULATIONS, 1, width) + self.own[:, None]
        shift, gain, share, inner_shift, inner_gain, inner_share = told.unbind(1)
        seen = layer_norm(cells, (width,)) * (1 + gain) + shift
        queries, keys, values = self.attend(seen).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(queries, keys, values).transpose(1, 2).reshape(batch, count, width)
        cells = cells + share * self.join(mixed)
        seen = layer_norm(cells, (width,)) * (1 + inner_gain) + inner_shift
        joined: Tensor = cells + inner_share * self.narrow(gelu(self.widen(seen), approximate="tanh"))
        return joined


class _Reading(nn.Module):
    """Cells attend to the rows of a text."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ask, self.answer, self.join = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)

    def forward(self, cells: Tensor, rows: Tensor, seen: Tensor) -> Tensor:
        """Cells (B, N, width) and rows (B, R, width), those of which are seen (B, R), to the shape of the cells."""
        queries = self.ask(layer_norm(cells, cells.shape[-1:])).unflatten(2, (self.heads, -1)).transpose(1, 2)
        keys, values = self.answer(rows).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(queries, keys, values, seen[:, None, None])
        joined: Tensor = cells + self.join(found.transpose(1, 2).flatten(2))
        return joined


def _waves(sigma: Tensor) -> Tensor:
    """The noise (B,) as sines and cosines of its logarithm (B, 2 * FREQUENCIES)."""
    rates = torch.logspace(-1, 1, FREQUENCIES).to(sigma) * math.pi
    angles = sigma.log()[:, None] * rates / 2
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def build_feature_prior(checkpoint: weights.Checkpoint) -> FeaturePrior:
    """The prior of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    return weights.build(checkpoint, "feature-prior", FeaturePrior)

"""The diffusion prior: from texts to the features that perceptors see in pictures of them.

The prior of DALL-E 2 (Ramesh et al., 2022, arXiv 2204.06125, section 2.1), for feature maps in place of embeddings, as
these keep what is where. CLIP gives its best scores to pictures that exaggerate what it looks for: guidance finds
patterns that are nearer to a text than any true picture. Features of true pictures lie elsewhere, and a text has many.
Guided to features that the prior has drawn, a picture can only become one that could be true; the features of robust
CLIPs say enough for that (Engstrom et al., 2019, arXiv 1906.00945).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention, silu

from clipgen.starter.unclip import sampler
from clipgen.util.randomness import generator_for
from clipgen.weights.checkpoint import Checkpoint, build

FREQUENCIES = 16
NOISE = (20.0, 0.02)
"""Standard deviations of the noise that sampling begins and ends at, for data of about unit variance."""
STEPS = 12
CLASSIFIER_NOISE = (1.0, 2.0, 4.0, 8.0) * 4
"""Standard deviations of the noise, in units of the features' spread, at which `classifier_score` compares; a single
draw of noise says little."""


class Prior(nn.Module):
    """A denoiser of what several perceptors see in the cells of a picture, conditioned on texts.

    In each cell the perceptors' feature maps are joined and reduced to the directions along which pictures differ most
    (principal components); those of all cells, row by row, are the picture's features.

    config: `cells`, how many the perceptors' maps have; `channels`, those of each perceptor's map; `kept`, features of
    a cell; `text`, the length of a text's vectors, those of all perceptors side by side; `width`, `depth` and `heads`
    of the transformer. The attributes have the names of the tensors in the weight files that ship.
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
        self.readings = nn.ModuleList(_CrossAttention(width, config["heads"]) for _ in range(config["depth"] // 2))
        self.blocks = nn.ModuleList(_Block(width, config["heads"]) for _ in range(config["depth"]))
        self.leave = nn.Linear(width, self.kept)
        for fresh in (self.modulation, self.leave):
            nn.init.zeros_(fresh.weight)

    @property
    def length(self) -> int:
        """How many features (E) a picture has."""
        return self.cells * self.kept

    def shorten(self, maps: Sequence[Tensor]) -> Tensor:
        """Return features (N, E) of the feature maps (N, C, h, w) of each perceptor."""
        joined = torch.cat([each.flatten(2) for each in maps], 1).transpose(1, 2)
        return ((joined - self.centre) @ self.basis).flatten(1)

    def distance(self, cutouts: Tensor, targets: Tensor) -> Tensor:
        """Return mean squared distances (B, n), in units of the pictures' spread.

        Between the features of cutouts (B, n, E) and those of their picture's target (B, E).
        """
        return (cutouts - targets[:, None]).square().mean(2) / self.std.square().mean()

    def denoise(self, noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        """Return the mean of what standardised features (B, E) may be without noise of standard deviation sigma (B,).

        texts (B, 1 + T, D), of each its vector and then the states of its tokens, as `Perceptor.text_states` returns
        them; zeros stand for no text, and for no token. The vector says what there is, the tokens what belongs to what.
        Preconditioned as in EDM (Karras et al., 2022, table 1) for data of unit variance. One modulation for all
        blocks, and cross-attention to the tokens, as in PixArt-alpha (Chen et al., 2023, arXiv 2310.00426, section
        2.3), which has that inside every block.
        """
        level = sigma[:, None]
        total = (level.square() + 1).sqrt()
        vector = sampler.standardised_texts(texts[:, 0], self.text_mean, self.text_std)
        modulation = self.modulation(silu(self.told(torch.cat([vector, _waves(sigma)], 1))))
        tokens = layer_norm(self.read(texts), self.places.shape[1:])
        present = texts.abs().sum(2) > 0
        present[:, 0] = True
        cells = self.enter((noisy / total).view(-1, self.cells, self.kept)) + self.places
        for number, block in enumerate(self.blocks):
            if number % 2:
                cells = self.readings[number // 2](cells, tokens, present)
            cells = block(cells, modulation)
        change = self.leave(layer_norm(cells, cells.shape[-1:])).flatten(1)
        return sampler.denoised(noisy, level, change)

    def error(
        self, data: Tensor, noise: Tensor, sigma: Tensor, texts: Tensor, cell_weights: Tensor | None = None
    ) -> Tensor:
        """Return mean squared errors (B,) of standardised features (B, E) that sigma (B,) times noise (B, E) hides.

        texts as for `denoise`; cell_weights (B, cells), by default all 1. Weighted as in EDM (table 1), so that every
        level of noise counts alike: to know nothing of the features is an error of 1.
        """
        denoised = self.denoise(data + sigma[:, None] * noise, sigma, texts).float()
        wrong = (denoised - data).square().view(len(data), self.cells, self.kept).mean(2)
        return (wrong if cell_weights is None else wrong * cell_weights).mean(1) * (1 + 1 / sigma.square())

    @torch.no_grad()
    def sample(
        self,
        texts: Tensor,
        weights: Tensor,
        noise: Tensor,
        method: sampler.Method = sampler.USUAL,
        start: sampler.Start | None = None,
        steer: sampler.Steer | None = None,
    ) -> Tensor:
        """Draw features (B, E) of pictures that show all of texts (K, 1 + T, D).

        weights (K,) as for `sampler.guided`; noise (B, E), standard normal, decides which features.
        With a start, features (E,) of a picture and noise in units of the features' spread, they keep to that picture.
        `steer` measures features (B, E) and moves them in units of their spread.
        """
        first = start.sigma if start else NOISE[0]
        begin = noise * first + (self._standardised(start.data) if start else 0.0)
        denoise = sampler.guided(self.denoise, texts, weights, method)
        if steer:
            denoise = sampler.steered(denoise, lambda data: steer.distance(data * self.std + self.mean), steer.length)
        features = sampler.sample(denoise, begin, sampler.noise_levels(first, NOISE[1], STEPS), method.solver)
        return features * self.std + self.mean

    @torch.no_grad()
    def classifier_score(self, features: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
        """Return how well features (B, E) fit texts (K, 1 + T, D) by their weights (K,): (B,), the more the better.

        The difference in error between denoising with and without a text measures how much likelier the text makes the
        features (diffusion classifiers: Li et al., 2023, arXiv 2303.16203); all levels of noise count alike. Each draw
        of noise is both added and subtracted, so that much of its chance cancels (antithetic variates).
        """
        data = self._standardised(features)
        total = torch.zeros_like(data[:, 0])
        conditions = (torch.zeros_like(texts[0]), *texts)
        for number, sigma in enumerate(CLASSIFIER_NOISE):
            draw = torch.randn(self.length, generator=generator_for(0, number, "evidence")).to(data)
            level = torch.full((len(data),), sigma).to(data)
            for noise in (draw, -draw):
                unconditional, *conditional = (
                    self.error(data, noise, level, text.expand(len(data), -1, -1)) for text in conditions
                )
                total += (unconditional[:, None] - torch.stack(conditional, 1)) @ weights / 2
        return total / len(CLASSIFIER_NOISE)

    def _standardised(self, features: Tensor) -> Tensor:
        """Return features (..., E) in units of their spread among pictures."""
        return (features - self.mean) / self.std


class _Block(nn.Module):
    """A transformer block whose shifts, gains and gates come from the conditioning (DiT: Peebles and Xie, 2023)."""

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
        """Return cells (B, N, width), changed by the modulation (B, 6 width)."""
        batch, count, width = cells.shape
        modulations = modulation.view(batch, self.MODULATIONS, 1, width) + self.own[:, None]
        shift, gain, gate, inner_shift, inner_gain, inner_gate = modulations.unbind(1)
        normed = layer_norm(cells, (width,)) * (1 + gain) + shift
        queries, keys, values = self.attend(normed).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(queries, keys, values).transpose(1, 2).reshape(batch, count, width)
        cells = cells + gate * self.join(mixed)
        normed = layer_norm(cells, (width,)) * (1 + inner_gain) + inner_shift
        joined: Tensor = cells + inner_gate * self.narrow(gelu(self.widen(normed), approximate="tanh"))
        return joined


class _CrossAttention(nn.Module):
    """Cells attend to the states of a text."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ask, self.answer, self.join = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)

    def forward(self, cells: Tensor, states: Tensor, present: Tensor) -> Tensor:
        """Return cells (B, N, width), changed by those of the states (B, R, width) that are present (B, R)."""
        queries = self.ask(layer_norm(cells, cells.shape[-1:])).unflatten(2, (self.heads, -1)).transpose(1, 2)
        keys, values = self.answer(states).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(queries, keys, values, present[:, None, None])
        joined: Tensor = cells + self.join(found.transpose(1, 2).flatten(2))
        return joined


def _waves(sigma: Tensor) -> Tensor:
    """Return sines and cosines (B, 2 * FREQUENCIES) of the logarithm of the noise (B,)."""
    rates = torch.logspace(-1, 1, FREQUENCIES).to(sigma) * math.pi
    angles = sigma.log()[:, None] * rates / 2
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def build_prior(checkpoint: Checkpoint) -> Prior:
    """Return the prior of a checkpoint with its weights; ClipgenError if the checkpoint is of another kind."""
    return build(checkpoint, "feature-prior", Prior)

"""Pictures that a guide makes of nothing: it is taught that they do not show what it took them for.

A model that only ever sees drawn pictures, or drawn pictures a small step away, scores smears as highly as shapes.
Guidance finds such smears. Here they are made while it trains, by ascent on its own score from random patches or from
pictures of something else, and count as pictures of which no caption with a noun is true: the gradient of the score
then leads to pictures that could have been drawn. After short-run sampling of energy-based models (Nijkamp et al.,
2019, arXiv 1904.09770; with a buffer, Du and Mordatch, 2019, arXiv 1903.08689) and RATIO (Augustin et al., 2020,
arXiv 2003.09461).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.train.augment import distort
from clipgen.starter.train.prior import Prior

SCALES = (1, 2, 4, 8, 16)  # cells a side of the patches that a move is a sum of
AGE = 60  # moves after which a dream ends, at most
NOTHING = -1  # is what a dream shows that began at no picture
FAINTEST = 0.05  # contrast of the patches that dreams begin at
HOLD = 3.0  # of the prior on dreams: little, so that the guide meets what a prior lets pass
NOISE = 1.5, 0.2  # through which the prior looks at dreams: the most and the least


class Canvas(Protocol):
    """What is moved, and the picture that it stands for."""

    reach: tuple[float, float]
    """The least and the greatest root mean square of a move."""

    def begin(self, count: int) -> tuple[Tensor, Tensor]:
        """Cells (count, C, h, w), and the nouns that each shows (count, 2) as `codes` of clip.py has them, or -1."""

    def draw(self, cells: Tensor) -> Tensor:
        """Pictures (count, 3, H, W) in [0, 1]."""

    def legal(self, cells: Tensor) -> Tensor:
        """The cells brought back into their range."""

    def unlikeliness(self, drawn: Tensor) -> Tensor:
        """What is taken off the score (count,) of drawn pictures."""


class Pixels:
    """The picture itself, as small as the guide sees it."""

    reach = 0.011, 0.036

    def __init__(self, size: int):
        self.size = size

    def begin(self, count: int) -> tuple[Tensor, Tensor]:
        """Faint colours around a random light."""
        light = torch.empty(count, 1, 1, 1).uniform_(0.25, 0.75) + 0.1 * torch.randn(count, 3, 1, 1)
        cells = _stretched(light + 0.15 * torch.randn(count, 3, 4, 4), self.size)
        return cells.clamp(0, 1), torch.full((count, 2), NOTHING)

    def draw(self, cells: Tensor) -> Tensor:
        """The cells are pixels."""
        return cells

    def legal(self, cells: Tensor) -> Tensor:
        """Within black and white."""
        return cells.clamp(0, 1)

    def unlikeliness(self, drawn: Tensor) -> Tensor:
        """Nothing is held against them."""
        return torch.zeros(len(drawn)).to(drawn)


class Latents:
    """The latent of a frozen VQGAN, kept in range and held to the prior.

    pictures (N, S, S, 3) uint8 and the numbers of the nouns that each shows (N, 2): what half of the dreams begin at.
    """

    reach = 0.1, 0.35

    def __init__(self, network: VQGANNetwork, side: int, prior: Prior, pictures: np.ndarray, nouns: np.ndarray):
        self.network, self.prior = network.eval().requires_grad_(False), prior.eval().requires_grad_(False)
        self.side, self.pictures, self.nouns = side, pictures, nouns

    def begin(self, count: int) -> tuple[Tensor, Tensor]:
        """Drawn pictures, encoded, or patches of random codes, from faint to strong."""
        picked = np.sort(torch.randint(len(self.pictures), (count,)).numpy())
        drawn = torch.rand(count) < 0.5
        mask = drawn.view(-1, 1, 1, 1).to(self.network.codebook.device)
        cells = torch.where(mask, self._encoded(self.pictures[picked]), self._patches(count))
        return cells, torch.where(drawn[:, None], torch.from_numpy(self.nouns[picked]), NOTHING)

    @torch.no_grad()
    def _encoded(self, pictures: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self.network.codebook) / 255
        return self.network.encode(_stretched(pixels, self.side * self.network.stride))

    def _patches(self, count: int) -> Tensor:
        codes = self.network.codebook
        chosen = torch.randint(len(codes), (count, 4, 4)).to(codes.device)
        contrast = FAINTEST ** torch.rand(count, 1, 1, 1).to(codes)
        mean = codes.mean(0)[:, None, None]
        return mean + contrast * (_stretched(self.network.lookup(chosen), self.side) - mean)

    def draw(self, cells: Tensor) -> Tensor:
        """The nearest codes, decoded."""
        return clamp_with_grad(self.network.decode(self.network.straight_through(cells)).float())

    def legal(self, cells: Tensor) -> Tensor:
        """Within the box that the codes span."""
        codes = self.network.codebook
        return cells.clamp(codes.amin(0)[:, None, None], codes.amax(0)[:, None, None])

    def unlikeliness(self, drawn: Tensor) -> Tensor:
        """What the prior has against the pictures, at random levels of noise."""
        sigma = NOISE[0] * (NOISE[1] / NOISE[0]) ** torch.rand(len(drawn)).to(drawn)
        noise = torch.randn(len(drawn), 3, self.prior.size, self.prior.size).to(drawn)
        return HOLD * self.prior.unlikeliness(drawn, sigma, noise)


class Dreams(nn.Module):
    """A buffer of `count` dreams, each on its way from where its canvas began it towards one of the texts."""

    cells: Tensor
    shown: Tensor
    aims: Tensor
    left: Tensor

    def __init__(self, count: int, canvas: Canvas, texts: Sequence[str]):
        super().__init__()
        self.canvas, self.texts = canvas, list(texts)
        cells, shown = canvas.begin(count)
        self.register_buffer("cells", cells)
        self.register_buffer("shown", shown)
        self.register_buffer("aims", torch.randint(len(self.texts), (count,)))
        self.register_buffer("left", torch.randint(1, AGE + 1, (count,)))

    def visit(self, perceptor: CLIPPerceptor, start: int, count: int, moves: int) -> tuple[Tensor, Tensor]:
        """Move `count` dreams from index `start` on and draw them (count, 3, H, W); those that ended begin anew.

        Also returns which nouns each may still show (count, 2), as it began at a picture of those.
        """
        chosen = torch.arange(start, start + count) % len(self.cells)
        texts = perceptor.encode_texts([self.texts[k] for k in self.aims[chosen].tolist()]).detach()
        cells = self.cells[chosen]
        for _ in range(moves):
            cells = self._moved(perceptor, cells, texts)
        self.cells[chosen] = cells
        self.left[chosen] -= moves
        with torch.no_grad():
            drawn = self.canvas.draw(cells)
        shown = self.shown[chosen]
        self._renew(chosen[self.left[chosen].cpu() <= 0])
        return drawn, shown

    def _moved(self, perceptor: CLIPPerceptor, cells: Tensor, texts: Tensor) -> Tensor:
        """One step up the cosine of a distorted view, on all scales at once."""
        cells = cells.detach().requires_grad_()
        drawn = self.canvas.draw(cells)
        score = (perceptor.encode_images(distort(drawn, perceptor.size)) * texts).sum(1)
        (slope,) = torch.autograd.grad((score - self.canvas.unlikeliness(drawn)).sum(), cells)
        scaled = [avg_pool2d(slope, scale) for scale in SCALES if scale < slope.shape[-1]]
        push = sum((_even(_stretched(coarse, slope.shape[-1])) for coarse in scaled), torch.zeros_like(slope))
        reach = torch.empty(len(cells), 1, 1, 1).uniform_(*self.canvas.reach).to(cells)
        return self.canvas.legal((cells + reach * _even(push)).detach())

    def _renew(self, ended: Tensor) -> None:
        if len(ended):
            cells, shown = self.canvas.begin(len(ended))
            self.cells[ended], self.shown[ended] = cells.to(self.cells), shown.to(self.shown)
            self.aims[ended] = torch.randint(len(self.texts), (len(ended),)).to(self.aims)
            self.left[ended] = torch.randint(AGE // 6, AGE + 1, (len(ended),)).to(self.left)


def _stretched(cells: Tensor, side: int) -> Tensor:
    return interpolate(cells, size=(side, side), mode="bilinear")


def _even(slopes: Tensor) -> Tensor:
    """Each picture's slopes, brought to a root mean square of 1."""
    evened: Tensor = slopes / slopes.flatten(1).square().mean(1).sqrt().clamp(min=1e-12).view(-1, 1, 1, 1)
    return evened

"""Pictures that a guide makes of nothing: it is taught that they do not show what it took them for.

A model that only ever sees drawn pictures, or drawn pictures a small step away, scores smears as highly as shapes.
Guidance finds such smears. Here they are made while it trains, by ascent on its own score from faint random patches,
and count as pictures of which no caption with a noun is true: the gradient of the score then leads to pictures that
could have been drawn. After short-run sampling of energy-based models (Nijkamp et al., 2019, arXiv 1904.09770; with
a buffer, Du and Mordatch, 2019, arXiv 1903.08689) and RATIO (Augustin et al., 2020, arXiv 2003.09461).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.perceptor import Perceptor
from clipgen.starter.train.augment import distort

SCALES = (1, 2, 4, 8, 16)  # pixels a side of the patches that a move is a sum of
MOVE = 1.2, 4.0  # L2 norm of a move, in pixel values of a picture of 64 x 64 pixels
AGE = 60  # moves after which a dream ends, at most


class Dreams(nn.Module):
    """A buffer of `count` dreams, each on its way from faint patches towards one of the texts."""

    canvas: Tensor
    aims: Tensor
    left: Tensor

    def __init__(self, count: int, size: int, texts: Sequence[str]):
        super().__init__()
        self.texts = list(texts)
        self.register_buffer("canvas", _patches(count, size))
        self.register_buffer("aims", torch.randint(len(self.texts), (count,)))
        self.register_buffer("left", torch.randint(1, AGE + 1, (count,)))

    def visit(self, perceptor: Perceptor, start: int, count: int, moves: int) -> Tensor:
        """Move `count` dreams from index `start` on and return them (count, 3, S, S); those that ended begin anew."""
        chosen = torch.arange(start, start + count) % len(self.canvas)
        texts = perceptor.encode_texts([self.texts[k] for k in self.aims[chosen].tolist()]).detach()
        canvas = self.canvas[chosen]
        for _ in range(moves):
            canvas = _moved(perceptor, canvas, texts)
        self.canvas[chosen] = canvas
        self.left[chosen] -= moves
        self._renew(chosen[self.left[chosen].cpu() <= 0])
        return canvas

    def _renew(self, ended: Tensor) -> None:
        if len(ended):
            self.canvas[ended] = _patches(len(ended), self.canvas.shape[-1]).to(self.canvas)
            self.aims[ended] = torch.randint(len(self.texts), (len(ended),)).to(self.aims)
            self.left[ended] = torch.randint(AGE // 6, AGE + 1, (len(ended),)).to(self.left)


def _patches(count: int, size: int) -> Tensor:
    """Faint random colours on a coarse grid around a random light."""
    light = torch.empty(count, 1, 1, 1).uniform_(0.25, 0.75)
    tint = 0.1 * torch.randn(count, 3, 1, 1)
    coarse = light + tint + 0.15 * torch.randn(count, 3, 4, 4)
    return interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


def _moved(perceptor: Perceptor, canvas: Tensor, texts: Tensor) -> Tensor:
    """One step up the cosine of a distorted view, on all scales at once."""
    canvas = canvas.detach().requires_grad_()
    cosines = (perceptor.encode_images(distort(canvas, perceptor.size)) * texts).sum()
    (slope,) = torch.autograd.grad(cosines, canvas)
    push = torch.zeros_like(slope)
    for scale in SCALES:
        coarse = avg_pool2d(slope, scale) if scale > 1 else slope
        push += _unit(interpolate(coarse, size=slope.shape[2:], mode="bilinear"))
    norm = torch.empty(len(canvas), 1, 1, 1).uniform_(*MOVE).to(canvas)
    return (canvas + norm * _unit(push)).detach().clamp(0, 1)


def _unit(slopes: Tensor) -> Tensor:
    unit: Tensor = slopes / slopes.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
    return unit

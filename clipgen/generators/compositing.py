"""Layers of paint "over" each other (Porter and Duff, 1984) on white paper; each pixel has a number of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layers:
    """H touches of paint, sorted so that the k-th layer of all pixels that have one lies together.

    Pixels with more layers come first, so that those of a layer are the first of those of the layer below.
    """

    pixels: Tensor
    """(Q,) the pixels that are touched, those with the most layers first."""
    slots: Tensor
    """(H,) where each touch is in the sorted order."""
    counts: tuple[int, ...]
    """How many pixels have each layer, from the lowest."""
    total: int
    """Number of pixels."""

    @classmethod
    def of(cls, pixel: Tensor, total: int) -> Self:
        """Sort the touches of pixels (H,), from the lowest; total: number of pixels."""
        depth = torch.bincount(pixel, minlength=total)
        deepest, pixels = depth.sort(descending=True, stable=True)
        touched = int((deepest > 0).sum())
        place = torch.empty_like(pixels)
        place[pixels] = torch.arange(total, device=pixel.device)
        by_pixel = pixel.argsort(stable=True)
        first = (depth.cumsum(0) - depth)[pixel[by_pixel]]
        layer = torch.empty_like(pixel)
        layer[by_pixel] = torch.arange(len(pixel), device=pixel.device) - first
        counts = torch.bincount(layer)
        slots = (counts.cumsum(0) - counts)[layer] + place[pixel]
        return cls(pixels[:touched], slots, tuple(counts.tolist()), total)

    def over(self, colours: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Paint touches of colours (H, 3) and opacities (H,) on white paper.

        Returns the colours (total, 3), the colours (H, 3) below each touch, and how much (H,) shows through what is
        above it.
        """
        paint, alpha = torch.empty_like(colours), torch.empty_like(alphas)
        paint[self.slots], alpha[self.slots] = colours, alphas
        wet = colours.new_ones(len(self.pixels), 3)
        below = torch.empty_like(paint)
        for begin, end in self._spans():
            layer = wet[: end - begin]
            below[begin:end] = layer
            layer.lerp_(paint[begin:end], alpha[begin:end, None])
        clear = alphas.new_ones(len(self.pixels))
        above = torch.empty_like(alpha)
        for begin, end in reversed(list(self._spans())):
            above[begin:end] = clear[: end - begin]
            clear[: end - begin] *= 1 - alpha[begin:end]
        canvas = colours.new_ones(self.total, 3)
        canvas[self.pixels] = wet
        return canvas, below[self.slots], above[self.slots]

    def _spans(self) -> Iterator[tuple[int, int]]:
        begin = 0
        for count in self.counts:
            yield begin, begin + count
            begin += count

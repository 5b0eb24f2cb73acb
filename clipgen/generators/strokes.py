"""Strokes of a pen as the latent: CLIPDraw (Frans, Soros and Witkowski, 2021, arXiv 2106.14843), without diffvg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from clipgen.config.strokes import GRID, thinnest
from clipgen.generators.painting import painted
from clipgen.generators.rasteriser import rasterise
from clipgen.generators.vector import Drawing
from clipgen.util.batches import mean_of_each
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings

CUBICS = 2
"""Cubic curves of a stroke, joined end to end; CLIPDraw draws from 1 to 3."""
STEP = 0.1
"""How far a control point lies from the one before at first: within half of this of the shorter side, each way."""
POINT, WIDTH, COLOUR = 1 / GRID, 0.1 / GRID, 0.01
"""What a latent of 1 stands for: lengths as fractions of the shorter side, colours of 1.

Adam moves each latent by about the learning rate, so that a rate of 1 is CLIPDraw's: 1 pixel of 224 for points, 0.1 for
widths, 0.01 for colours."""
MARGIN = 0.1
"""How far points may leave the picture, as a fraction of the shorter side: strokes that nobody sees never come back."""


class StrokeGenerator:
    """N strokes for each of B pictures, each a path of cubic curves with a width, a colour and an opacity, on white.

    Lengths are fractions of the shorter side, so that a drawing is the same at any size.

    settings: their `strokes` say how many there are and how wide.
    """

    def __init__(self, device: torch.device, batch: int, size: tuple[int, int], settings: GeneratorSettings) -> None:
        [self._strokes] = settings.strokes
        self._settings, self._size, self._device = settings, size, device
        count = self._strokes.count
        shapes = {"points": (count, 3 * CUBICS + 1, 2), "widths": (count,), "colours": (count, 4)}
        self._latents = {
            name: torch.zeros(batch, *shape, device=device, requires_grad=True) for name, shape in shapes.items()
        }
        self._start = self._flat()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._device, len(self._start), size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return list(self._latents.values())

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start, **self._latents}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start from short curves anywhere, of any colour and opacity, as CLIPDraw does."""
        drawn = [self._random(generator_for(seed, 0, "latent")) for seed in seeds]
        self._start_from_(*(torch.stack(each).to(self._device) for each in zip(*drawn, strict=True)))

    def start_from_images_(self, images: Tensor) -> None:
        """Start from strokes that paint the images, along their edges, from coarse to fine."""
        self._start_from_(*self._encode(images))

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        before = self._flat()
        self._set_(*self._encode(images))
        encoded = self._flat()
        if isinstance(rest, Tensor):
            self._set_(*self._parted(encoded + rest))
        return before - encoded

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Do nothing: decoding is deterministic."""

    def decode(self) -> Tensor:
        return rasterise(*self._in_pixels(), self._size)

    @torch.no_grad()
    def project_(self) -> None:
        points, widths, colours = self._latents.values()
        low, high = -MARGIN, self._extent() + MARGIN
        points.copy_(points.clamp_min(low / POINT).minimum(high / POINT))
        least = min(thinnest(min(self._size)), self._strokes.width)
        widths.clamp_(least / WIDTH, self._strokes.widest / WIDTH)
        colours.clamp_(0, 1 / COLOUR)

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._scaled() - self._start).square())

    def drawing(self, row: int) -> Drawing:
        points, widths, colours = (each[row].detach().clone() for each in self._in_pixels())
        return Drawing(points, widths, colours, self._size)

    def _in_pixels(self) -> tuple[Tensor, Tensor, Tensor]:
        points, widths, colours = self._latents.values()
        side = min(self._size)
        return points * (POINT * side), widths * (WIDTH * side), colours * COLOUR

    def _extent(self) -> Tensor:
        """Return the width and height of the pictures, (2,), as multiples of the shorter side."""
        return torch.tensor(self._size, device=self._device) / min(self._size)

    def _random(self, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        count, ends = self._strokes.count, 3 * CUBICS
        first = torch.rand(count, 1, 2, generator=draws) * self._extent().cpu()
        steps = STEP * (torch.rand(count, ends, 2, generator=draws) - 0.5)
        points = torch.cat([first, first + steps.cumsum(1)], 1)
        return points, torch.full((count,), self._strokes.width), torch.rand(count, 4, generator=draws)

    def _encode(self, images: Tensor) -> list[Tensor]:
        """Return points, widths and colours of strokes, as fractions, that look like images (B, 3, H, W)."""
        drawn = [painted(image, self._strokes.count, 3 * CUBICS + 1, self._strokes.widest) for image in images.detach()]
        return [torch.stack(each) for each in zip(*drawn, strict=True)]

    @torch.no_grad()
    def _set_(self, points: Tensor, widths: Tensor, colours: Tensor) -> None:
        for latent, value, unit in zip(self._latents.values(), (points, widths, colours), _UNITS, strict=True):
            latent.copy_(value / unit)
        self.project_()

    def _start_from_(self, points: Tensor, widths: Tensor, colours: Tensor) -> None:
        self._set_(points, widths, colours)
        self._start = self._flat()

    def _scaled(self) -> Tensor:
        """Return everything (B, D) as fractions of the shorter side, and of full colour."""
        return torch.cat([unit * each.flatten(1) for each, unit in zip(self._latents.values(), _UNITS, strict=True)], 1)

    def _flat(self) -> Tensor:
        return self._scaled().detach()

    def _parted(self, flat: Tensor) -> list[Tensor]:
        """Return points, widths and colours of what `_flat` returned."""
        sizes = [each[0].numel() for each in self._latents.values()]
        parts = zip(torch.split(flat, sizes, 1), self._latents.values(), strict=True)
        return [part.reshape(like.shape) for part, like in parts]


_UNITS = (POINT, WIDTH, COLOUR)

"""Pictures that are made of shapes, which a file of any size can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from clipgen.core.contracts import Generator, Step
from clipgen.generators.rasteriser import rasterise

LEAST = 0.5 / 255
"""Opacity that no pixel shows."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """The strokes of one picture, detached from its run."""

    points: Tensor
    """(N, 3S + 1, 2) in pixels, see `rasterise`."""
    widths: Tensor
    """(N,) in pixels."""
    colours: Tensor
    """(N, 4), RGB and opacity."""
    size: tuple[int, int]
    """Width and height of the picture."""

    def __len__(self) -> int:
        """Return the number of strokes."""
        return len(self.widths)

    def at_size(self, size: tuple[int, int]) -> Self:
        """Return the same drawing for a picture of another size and the same shape."""
        scale = min(size) / min(self.size)
        return type(self)(scale * self.points, scale * self.widths, self.colours, size)

    def image(self, count: int) -> Tensor:
        """Return the picture (3, H, W) with the first `count` strokes."""
        with torch.no_grad():
            points, widths, colours = (each[None, :count] for each in (self.points, self.widths, self.colours))
            return rasterise(points, widths, colours, self.size)[0]

    def svg(self, about: str = "") -> str:
        """Return the picture as SVG 1.1, which has the strokes in their order, on white; about: XML, its metadata."""
        width, height = self.size
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        return "\n".join(
            (
                f'{head} viewBox="0 0 {width} {height}">',
                *([f"<metadata>{about}</metadata>"] if about else []),
                f'<rect width="{width}" height="{height}" fill="#fff"/>',
                '<g fill="none" stroke-linecap="round" stroke-linejoin="round">',
                *self._paths(),
                "</g>",
                "</svg>\n",
            )
        )

    def _paths(self) -> Iterator[str]:
        rows = zip(self.points.tolist(), self.widths.tolist(), self.colours.tolist(), strict=True)
        for (first, *others), width, (*colour, opacity) in rows:
            if opacity < LEAST:
                continue
            paint = "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02x}" for part in colour)
            path = f"M{_place(first)}C{' '.join(map(_place, others))}"
            yield f'<path d="{path}" stroke="#{paint}" stroke-width="{width:.3f}" stroke-opacity="{opacity:.4f}"/>'


def _place(point: list[float]) -> str:
    return f"{point[0]:.2f},{point[1]:.2f}"


@runtime_checkable
class Vector(Protocol):
    """A generator whose pictures are drawings."""

    def drawing(self, row: int) -> Drawing:
        """Return a picture of the batch as it is now."""


@dataclass(frozen=True, eq=False)
class DrawnStep(Step):
    """A step of a picture that may be a drawing."""

    drawing: Drawing | None = None


def drawing_of(generator: Generator, row: int, size: tuple[int, int]) -> Drawing | None:
    """Return a picture of the batch as a drawing of a size; None if the generator makes none."""
    return generator.drawing(row).at_size(size) if isinstance(generator, Vector) else None

"""A finished picture enlarged, in tiles, by a network or by Lanczos.

Tiles overlap: what a network makes near the edge of a tile lacks what lies beyond and is thrown away (the context);
beside it neighbours fade into each other over a few pixels (the seam).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.upscales import final_size
from clipgen.engine.memory import room
from clipgen.errors import OutOfMemoryError, UsageError
from clipgen.util.devices import in_single
from clipgen.util.images import as_tensor, to_pil
from clipgen.util.text import readable_bytes
from clipgen.weights.loader import Note, load
from clipgen.weights.upscalers import build_upscaler

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

CONTEXT, SEAM = 32, 16
"""Pixels of the small picture. A network that first folds 2 x 2 pixels into one sees twice as far."""
TILES = (256, 128, 64)
"""Sides of tiles, the first that fits into memory."""
TILE_BYTES = 1024
"""For each pixel that a network makes: four layers of 64 channels in float32."""
PICTURE_BYTES = 32
"""For each pixel of the large picture, as numbers, as bytes and on its way into the file."""

Enlarge = Callable[[Tensor], Tensor]
"""Takes (1, 3, H, W) and returns it some times as high and wide, both in [0, 1]."""


@dataclass(frozen=True)
class Upscaler:
    """A network that enlarges, on one device."""

    network: ImageModelDescriptor
    device: torch.device
    tile: int = TILES[0]

    @property
    def reach(self) -> int:
        """The context of a tile."""
        return CONTEXT * min(int(self.network.size_requirements.multiple_of), 2)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return an RGB image `network.scale` times as high and wide."""
        scale = self.network.scale
        return to_pil(tiled(self._enlarge, as_tensor(image), scale, tile=self.tile, context=self.reach)[0])

    def _enlarge(self, part: Tensor) -> Tensor:
        with torch.inference_mode():
            found: Tensor = self.network(part.to(self.device))
        return found.clamp(0, 1).cpu()


def load_upscaler(plan: Plan, device: torch.device, note: Note) -> Upscaler | None:
    """Load the network that enlarges the picture of a plan; None if none does.

    Raises UsageError if it enlarges less than is asked for, OutOfMemoryError if the large picture has no room.
    """
    if not plan.upscale:
        return None
    row, (width, height) = plan.upscale[0], final_size(plan)
    needed = PICTURE_BYTES * width * height
    if not row.network:
        _check_room(needed, torch.device("cpu"), plan)
        return None
    network = build_upscaler(load(row.network, note).tensors, row.network)
    if network.scale < row.factor:
        raise UsageError(
            f"--upscaler {row.network} enlarges {network.scale} times; use --upscale {network.scale} or another network"
        )
    in_single(network.model, device)
    network.to(device)
    _check_room(needed * (network.scale // row.factor) ** 2, torch.device("cpu"), plan)
    upscaler = Upscaler(network, device)
    free = room(device)
    fitting = [side for side in TILES if _tile_bytes(upscaler, side, plan.size) < free]
    if not fitting:
        _check_room(_tile_bytes(upscaler, TILES[-1], plan.size), device, plan)
    if fitting[0] < min(TILES[0], max(plan.size)):
        note(f"memory is short: the picture is enlarged in tiles of {fitting[0]} pixels")
    return Upscaler(network, device, fitting[0])


def enlarged(image: Image.Image, plan: Plan, upscaler: Upscaler | None) -> Image.Image:
    """Return the picture of a plan as it is to be in the end. upscaler: as `load_upscaler` returns it."""
    if not plan.upscale:
        return image
    large = upscaler(image) if upscaler else image
    size = final_size(plan)
    return large if large.size == size else large.resize(size, Image.Resampling.LANCZOS)


def tiled(
    enlarge: Enlarge, image: Tensor, scale: int, *, tile: int = TILES[0], context: int = CONTEXT, seam: int = SEAM
) -> Tensor:
    """Return `enlarge(image)`, made in tiles of about `tile` pixels a side; (1, 3, H, W) to (1, 3, H·scale, W·scale).

    It is the same as in one piece, up to rounding, if no pixel depends on one that is further away than `context`.
    """
    height, width = image.shape[2:]
    rows, columns = (_spans(side, tile, context, seam) for side in (height, width))
    if len(rows) == len(columns) == 1:
        return enlarge(image)
    whole = torch.zeros(1, 3, height * scale, width * scale)
    for row in rows:
        for column in columns:
            part = enlarge(image[:, :, row.seen, column.seen])
            made = part[:, :, row.kept(scale), column.kept(scale)]
            weight = row.weights(scale)[:, None] * column.weights(scale)
            whole[:, :, row.place(scale), column.place(scale)] += made * weight
    return whole


@dataclass(frozen=True)
class Span:
    """Where a tile lies along one side of a picture, in its pixels: [start, end) is used, `low` and `high` are seen.

    before, after: pixels at either end that fade into the neighbour; 0 at the edge of the picture.
    """

    low: int
    start: int
    end: int
    high: int
    before: int
    after: int

    @property
    def seen(self) -> slice:
        return slice(self.low, self.high)

    def kept(self, scale: int) -> slice:
        return slice((self.start - self.low) * scale, (self.end - self.low) * scale)

    def place(self, scale: int) -> slice:
        return slice(self.start * scale, self.end * scale)

    def weights(self, scale: int) -> Tensor:
        """Return the weight of each pixel made, which rises and falls in the seams; neighbours add up to 1."""
        weights = torch.ones((self.end - self.start) * scale)
        if rise := self.before * scale:
            weights[:rise] = (torch.arange(rise) + 0.5) / rise
        if fall := self.after * scale:
            weights[-fall:] = ((torch.arange(fall) + 0.5) / fall).flip(0)
        return weights


def _spans(side: int, tile: int, context: int, seam: int) -> list[Span]:
    """Cut a side into tiles of about equal length, each at a multiple of 8 pixels, which networks may fold."""
    count = max(-(-side // tile), 1)
    edges = [round(side * number / count / 8) * 8 for number in range(count)] + [side]
    spans = []
    for first, last in pairwise(edges):
        before, after = (seam if first else 0), (seam if last < side else 0)
        start, end = first - before // 2, last + after // 2
        spans.append(Span(max(start - context, 0), start, end, min(end + context, side), before, after))
    return spans


def _tile_bytes(upscaler: Upscaler, side: int, size: tuple[int, int]) -> int:
    """Return what a tile of a picture of `size` takes, which is no larger than the picture."""
    width, height = (min(side + SEAM + 2 * upscaler.reach, whole) for whole in size)
    return TILE_BYTES * width * height * int(upscaler.network.scale) ** 2


def _check_room(needed: int, device: torch.device, plan: Plan) -> None:
    free = room(device)
    if needed > free:
        width, height = final_size(plan)
        raise OutOfMemoryError(
            f"--upscale {plan.upscale[0].factor} to {width}x{height} needs {readable_bytes(needed)} of memory, and "
            f"{readable_bytes(free)} are free; use a smaller --size or --upscale"
        )

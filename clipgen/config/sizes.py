"""The size of a picture: on the grid of its latent, from an init image, or the only one that there is. Torch-free."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clipgen.config.job import Job
from clipgen.config.plan import MAX_PIXELS, spell
from clipgen.config.preset import Preset, Size
from clipgen.config.sequences import only_size
from clipgen.config.settings import GeneratorSettings
from clipgen.config.tokens import size_of_tokens
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.util.tokens import TokenGrid

MAX_ASPECT = 8.0
"""Largest aspect ratio that is taken over from an init image."""


def half(size: Size, stride: int) -> Size:
    """Return half of a size as multiples of `stride`, at least one cell each."""
    width, height = (max(side // 2 // stride, 1) * stride for side in size)
    return width, height


def square(pixels: int, stride: int) -> str:
    """Return the largest square size on the grid of `stride` with at most this many pixels, as text."""
    side = max(math.isqrt(pixels) // stride, 1) * stride
    return f"{side}x{side}"


def refit(size: Size, stride: int, backend: str) -> tuple[Size, list[str]]:
    """Return the nearest size on the grid of `stride`, and a note if it differs; raises UsageError if there is none."""
    if min(size) < stride:
        raise UsageError(
            f"--size {spell(size)} is smaller than one latent cell of {backend}; use at least {stride}x{stride}"
        )
    fitted = _to_grid(size[0], stride), _to_grid(size[1], stride)
    if fitted[0] * fitted[1] > MAX_PIXELS:
        side = math.isqrt(MAX_PIXELS)
        raise UsageError(f"--size {spell(size)} is too large; use at most {MAX_PIXELS} pixels, such as {side}x{side}")
    if fitted == size:
        return fitted, []
    note = f"size {spell(size)} rounded to {spell(fitted)}: {backend} draws in cells of {stride}x{stride} pixels"
    return fitted, [note]


def fitted_size(
    job: Job,
    preset: Preset,
    backend: str,
    generator: GeneratorSettings,
    init_size: Size | None,
    tokens: TokenGrid | None,
) -> tuple[Size, list[str]]:
    """Return the size on the latent grid, or that of the tokens that a job names, and notes about it."""
    usual = preset.size if init_size is None else _same_area(preset.size, init_size)
    if generator.sequence:
        size, notes = only_size(job.size, usual, generator, backend)
    else:
        size, notes = refit(job.size or usual, generator.stride, backend)
    if job.init_tokens is not None:
        return size_of_tokens(job, tokens, generator, backend, size)
    if generator.sequence:
        return size, notes
    if job.size is None and init_size is not None:
        notes = [f"size {spell(size)}, from the shape of the init image"]
    return size, notes


def _same_area(area_of: Size, shape_of: Size) -> Size:
    """Return a size with the area of one and the aspect ratio of the other, at most MAX_ASPECT."""
    area = area_of[0] * area_of[1]
    aspect = min(max(shape_of[0] / shape_of[1], 1 / MAX_ASPECT), MAX_ASPECT)
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def _to_grid(side: int, stride: int) -> int:
    """Return the nearest multiple of the stride, at least one."""
    return max(round(side / stride), 1) * stride

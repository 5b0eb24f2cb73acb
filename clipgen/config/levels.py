"""The resolutions that a latent is a sum of: how many there are, and how much each moves. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole, checked_number
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.job import Job
    from clipgen.config.preset import GeneratorDefaults
    from clipgen.config.settings import GeneratorSettings

LEVELLED = ("vqgan", "dvae", "pixels")
"""The backends whose latent can be a sum over resolutions."""
ASKED = ("levels", "coarse_to_fine")
"""The fields of a job that are about resolutions, and those of the settings that they set."""
MAX_LEVELS = 16
MIN_WIDTH = 0.5
"""If the bump is narrower than this, hardly any resolution moves while its centre is between two of them."""
COARSE = 16
"""Cells a side; resolutions up to this one move alike whatever the fall."""


HALVED, EVERY, EVERY_FOURTH, POWERS = "halved", "every", "every-fourth", "powers"
_SIDES: dict[str, Callable[[int], list[int]]] = {
    EVERY: lambda side: [*range(side, 0, -1)],
    EVERY_FOURTH: lambda side: [*range(side, 0, -4)],
    POWERS: lambda side: [side, *(2**k for k in range(side.bit_length(), -1, -1) if 2**k < side)],
}
"""By name: the resolutions, finest first, of a latent of so many cells along its longer side."""
RESOLUTIONS = (HALVED, *_SIDES)


def sizes_of(height: int, width: int, resolutions: str) -> list[tuple[int, int]]:
    """Return height and width of each resolution of a latent of so many cells, finest first; empty for halved ones."""
    if resolutions == HALVED:
        return []
    longer = max(height, width)
    return [
        (max(round(side * height / longer), 1), max(round(side * width / longer), 1))
        for side in _SIDES[resolutions](longer)
    ]


def check_levels(levels: object) -> None:
    """Raise a UsageError unless this is a possible number of resolutions."""
    check_whole("--levels", levels, 1, MAX_LEVELS)


def checked_width(width: object, levels: int | None = None) -> float:
    """Return the width of the bump of the learning rate, 0 for none; raises UsageError if it or `levels` is too small.

    levels: number of resolutions of the latent, None if that is open.
    """
    number = checked_number("--coarse-to-fine", width, 0.0, float(MAX_LEVELS))
    if 0.0 < number < MIN_WIDTH:
        raise UsageError(f"--coarse-to-fine must be at least {MIN_WIDTH:g}, or 0 for none, got {number:g}")
    if number and levels == 1:
        raise UsageError(
            f"--coarse-to-fine {number:g} needs a latent of several resolutions, and this one has one; add --levels 6"
        )
    return number


def levelled(job: Job, settings: GeneratorSettings, backend: str) -> GeneratorSettings:
    """Return the settings of a generator with the resolutions that a job asks for. Raises UsageError."""
    given = {name: getattr(job, name) for name in ASKED if getattr(job, name) is not None}
    if given and backend not in LEVELLED:
        flag = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{flag} goes with --backend {' or '.join(LEVELLED)}, not with {backend}")
    return replace(settings, **given)


def unusual_levels(settings: GeneratorSettings, usual: GeneratorDefaults | None) -> dict[str, Any]:
    """Return the fields of a job that ask for the resolutions of settings, where these are not the usual ones."""
    found = {name: getattr(settings, name) for name in ASKED}
    return {name: value for name, value in found.items() if usual and value != getattr(usual.settings, name)}


def shares_of_rate(settings: GeneratorSettings, sides: Sequence[int], progress: float) -> list[float]:
    """Return the factors on the learning rate of resolutions, finest first, at a progress in [0, 1].

    sides: the longer side of each, in cells. One finer than COARSE gets (COARSE / side)^fall. With a width w of
    `coarse_to_fine`, level k = 0, 1, ... also gets exp(-(k - c)² / 2w²), whose centre c goes from the coarsest level to
    the finest one: what "Implicit Inversion turns CLIP into a Decoder" (arXiv 2505.23161) does with the layers of a
    network that is a picture.
    """
    shares = [min(1.0, (COARSE / side) ** settings.fall) for side in sides]
    width = settings.coarse_to_fine
    if not width:
        return shares
    centre = (1 - progress) * (len(sides) - 1)
    return [share * math.exp(-((k - centre) ** 2) / (2 * width**2)) for k, share in enumerate(shares)]

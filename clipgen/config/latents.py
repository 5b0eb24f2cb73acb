"""What a job asks of its generator's latent: a network, an optimiser, resolutions, strokes, tokens. Torch-free."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipgen.config.levels import ASKED, check_levels, checked_width, levelled, unusual_levels
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import MAX_SIDE, NOISE
from clipgen.config.sequences import TYPED, SequenceSettings, typed_of, typed_over
from clipgen.config.settings import GeneratorSettings
from clipgen.config.strokes import FIELDS as DRAWN
from clipgen.config.strokes import StrokeSettings, check_asked, fields_of
from clipgen.weights import registry

if TYPE_CHECKING:
    from clipgen.config.job import Job
    from clipgen.config.preset import GeneratorDefaults, Size

BEGUN = (*ASKED, *TYPED.values())
"""Those fields of a job whose defaults depend on where the latent begins."""
FIELDS = (*BEGUN, *DRAWN)
"""All that are about the latent, and belong to its backend."""


def check_latent(job: Job) -> float | None:
    """Raise a UsageError unless what a job asks of a latent is possible; returns its `coarse_to_fine`, as a number."""
    given = {name: getattr(job, field) for name, field in TYPED.items() if getattr(job, field) is not None}
    SequenceSettings(1, **given)
    if job.levels is not None:
        check_levels(job.levels)
    check_asked(job.backend, job.strokes, job.stroke_width)
    StrokeSettings.of(job.strokes, job.stroke_width, MAX_SIDE)
    return None if job.coarse_to_fine is None else checked_width(job.coarse_to_fine, job.levels)


def generator_of(job: Job, settings: GeneratorSettings, backend: str) -> GeneratorSettings:
    """Return the settings of a generator with what a job asks of it, but strokes. Raises UsageError."""
    if job.network:
        length = registry.sequence_length(job.network)
        sequence = tuple(replace(row, tokens=length) for row in settings.sequence if length)
        settings = replace(settings, weights=job.network, stride=registry.stride(job.network), sequence=sequence)
    if job.optimizer:
        settings = replace(settings, optimizer=job.optimizer)
    if job.recipe and registry.code_count(settings.weights) != PEER_RECIPES[job.recipe].codes:
        settings = replace(settings, banned="")  # they are numbers of other codes
    return typed_over(levelled(job, settings, backend), job, backend)


def drawn(job: Job, settings: GeneratorSettings, backend: str, size: Size) -> GeneratorSettings:
    """Return the settings of a generator with the strokes that a job asks for, in a picture of a size."""
    check_asked(backend, job.strokes, job.stroke_width)
    if not settings.strokes:
        return settings
    return replace(settings, strokes=(StrokeSettings.of(job.strokes, job.stroke_width, min(size)),))


def width_notes(job: Job, start: str) -> list[str]:
    """Return the line that says where a width that was asked for has no effect."""
    if job.stroke_width is None or start == NOISE:
        return []
    first = job.stroke_width.partition(",")[0].strip()
    return [
        f"--stroke-width {job.stroke_width}: with --start {start} the first strokes paint a picture, as wide as that "
        f"takes; only with --start {NOISE} do they begin {first} wide"
    ]


def asked_of(settings: GeneratorSettings, usual: GeneratorDefaults | None, size: Size) -> dict[str, Any]:
    """Return the fields of a job that ask for these settings of a latent. usual: of the preset, None if it has none."""
    return {**typed_of(settings), **unusual_levels(settings, usual), **fields_of(settings.strokes, size)}

"""How a job is completed: the preset that it means on this machine, and what that says of all left open. Torch-free."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from clipgen.config.presets import AUTO, DRAFT, PRESETS, STANDARD, STARTER, PerceptorSettings, Preset, Size
from clipgen.errors import UsageError, unknown_value
from clipgen.util.devices import gpu_count
from clipgen.weights import registry as shelf

if TYPE_CHECKING:
    from clipgen.config.job import Job

MAX_ASPECT = 8.0
"""Largest ratio of the sides that is taken over from an init image."""


def resolve(job: Job, init_size: Size | None = None, device: str = "auto") -> tuple[Job, list[str]]:
    """Fill in every default of a job and fit its size to the latent grid.

    `init_size` is the size of the init image, which gives the shape of the picture where the job names no size;
    `device` is where the job is to run, as `--device` takes it.
    Returns the completed job and, one line each, what was decided on the user's behalf.
    Resolving a resolved job changes nothing.
    """
    name, reason = chosen_preset(job, device)
    preset = models_of(replace(job, preset=name))
    defaults = preset.generators[job.backend]
    size, size_notes = _resolve_size(job, preset, defaults.stride, init_size)
    resolved = replace(
        job,
        preset=preset.name,
        size=size,
        steps=defaults.steps if job.steps is None else job.steps,
        lr=defaults.lr if job.lr is None else job.lr,
        cutouts=defaults.cutouts if job.cutouts is None else job.cutouts,
    )
    return resolved, [*([reason] if reason else []), *_prompt_notes(job), *size_notes]


def models_of(job: Job) -> Preset:
    """Return the preset of a job, with the models that the job names in place of the preset's own."""
    preset = PRESETS[chosen_preset(job)[0]]
    if job.backend not in preset.generators:
        raise unknown_value(f"--backend of preset {preset.name}", job.backend, preset.generators)
    if job.clips:
        preset = replace(preset, perceptors=tuple(PerceptorSettings(name) for name in job.clips))
    if job.network:
        named = replace(preset.generators[job.backend], weights=job.network, stride=shelf.stride(job.network))
        preset = replace(preset, generators={**preset.generators, job.backend: named})
    return preset


def networks_of(job: Job) -> tuple[str, ...]:
    """Return the names of all networks that a resolved job needs."""
    preset = models_of(job)
    prior = preset.feature_prior
    imagining = (prior.weights, prior.sketcher, prior.painter, prior.upsampler, prior.decoder) if prior else ()
    return tuple(
        dict.fromkeys((preset.generators[job.backend].weights, *(one.weights for one in preset.perceptors), *imagining))
    )


def named_networks(job: Job) -> tuple[str, ...]:
    """Return the names of the networks that a job asks for by naming a preset or a published model."""
    names = (*job.clips, *([job.network] if job.network else []))
    return () if job.preset == AUTO and all(map(shelf.is_own, names)) else networks_of(job)


def chosen_preset(job: Job, device: str = "auto") -> tuple[str, str | None]:
    """Return the name of the preset that a job means on this machine, and for "auto" why it is that one."""
    if job.clips and job.preset == STARTER:
        raise UsageError(
            f"--clip cannot guide with preset {STARTER}, whose models go by their own CLIPs; use --preset {DRAFT}"
        )
    if job.preset != AUTO:
        return job.preset, None
    named = bool(job.clips or job.network)
    if not (named or _is_ready(job, DRAFT)):
        return STARTER, f"preset {STARTER}: its models ship with clipgen, so it runs everywhere"
    why = "models are named" if named else "its weights are here"
    if device == "cpu" or not gpu_count():
        return DRAFT, f"preset {DRAFT}: {why}, and it runs on the CPU; --preset {STARTER} is quicker"
    name = STANDARD if named or _is_ready(job, STANDARD) else DRAFT
    return name, f"preset {name}: {why}, and it runs on the GPU"


def _is_ready(job: Job, preset: str) -> bool:
    return not shelf.missing(networks_of(replace(job, preset=preset)))


def _resolve_size(job: Job, preset: Preset, stride: int, init_size: Size | None) -> tuple[Size, list[str]]:
    """Return the size on the latent grid, and what to say about it."""
    wanted = job.size or (preset.size if init_size is None else _same_area(preset.size, init_size))
    if min(wanted) < stride:
        raise UsageError(
            f"--size {_text(wanted)} is smaller than one latent cell of {job.backend}; use at least {stride}x{stride}"
        )
    size = _to_grid(wanted[0], stride), _to_grid(wanted[1], stride)
    if size[0] * size[1] > preset.max_pixels:
        side = math.isqrt(preset.max_pixels)
        raise UsageError(
            f"--size {_text(wanted)} is too large for preset {preset.name}; "
            f"use at most {preset.max_pixels} pixels, such as {side}x{side}"
        )
    if job.size is None and init_size is not None:
        return size, [f"size {_text(size)}, from the shape of the init image"]
    if size != wanted:
        note = (
            f"size {_text(wanted)} rounded to {_text(size)}: {job.backend} draws in cells of {stride}x{stride} pixels"
        )
        return size, [note]
    return size, []


def _same_area(area_of: Size, shape_of: Size) -> Size:
    """Return a size with the area of one and the aspect ratio of the other, as far as that is no thin strip."""
    area = area_of[0] * area_of[1]
    aspect = min(max(shape_of[0] / shape_of[1], 1 / MAX_ASPECT), MAX_ASPECT)
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def _to_grid(side: int, stride: int) -> int:
    """Return the nearest multiple of the stride, at least one."""
    return max(round(side / stride), 1) * stride


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _prompt_notes(job: Job) -> list[str]:
    """Say how a text such as "a ratio of 16:9" was read."""
    return [
        f'reading "{prompt.text}" with weight {prompt.weight:g}; '
        f'to keep the colon as text write "{prompt.text}:{prompt.weight:g}:1:-inf"'
        for prompt in job.prompts
        if prompt.weight != 1.0 and re.search(r"(^|\s)\d+$", prompt.text)
    ]


def half(size: Size, stride: int) -> Size:
    """Return half of a size on the grid of `stride`, at least one cell."""
    width, height = (max(side // 2 // stride, 1) * stride for side in size)
    return width, height


def square(pixels: int, stride: int) -> str:
    """Spell the largest square on the grid of `stride` that has no more pixels, at least one cell."""
    side = max(math.isqrt(pixels) // stride, 1) * stride
    return f"{side}x{side}"

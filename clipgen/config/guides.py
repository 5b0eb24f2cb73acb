"""Which perceptors guide a job, and what each takes of its prompt. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipgen.config.job import Job
from clipgen.config.perceptor_names import weighted
from clipgen.config.preset import DRAFT, Preset
from clipgen.config.preset_photo import coarse_to_fine
from clipgen.config.readings import CLASSIFIER, read
from clipgen.config.settings import PerceptorSettings
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights.packaged import PACKAGED


@dataclass(frozen=True)
class Guides:
    """The perceptors that take something of a prompt."""

    perceptors: tuple[PerceptorSettings, ...]
    readings: tuple[tuple[str, ...], ...]
    """For each, what it takes of the text of each prompt; empty if all take whole texts."""
    notes: tuple[str, ...]
    """A line for each perceptor that was named and takes nothing."""


def shared(job: Job, preset: Preset) -> Guides:
    """Share the prompt of a job among the perceptors that it names, or those of the preset.

    Raises UsageError if none of them knows anything that is asked for.
    """
    named = tuple(row for name, share in map(weighted, job.classifiers + job.clips) for row in _settings(name, share))
    everyone = _everyone(job, preset, named)
    readings = [read(prompt.text, [row.weights for row in everyone]) for prompt in job.prompts]
    taken = [tuple(reading.taken[k] for reading in readings) for k in range(len(everyone))]
    _check_wanted(job, preset, taken)
    kept = [k for k, row in enumerate(taken) if any(row)]
    idle = dict.fromkeys(row.weights for k, row in enumerate(everyone) if row in named and k not in kept)
    notes = [f"{name} takes nothing of this prompt, so it does not guide" for name in idle]
    whole = all(taken[k] == tuple(one.text for one in job.prompts) for k in kept)
    return Guides(tuple(everyone[k] for k in kept), () if whole else tuple(taken[k] for k in kept), tuple(notes))


def _everyone(job: Job, preset: Preset, named: tuple[PerceptorSettings, ...]) -> tuple[PerceptorSettings, ...]:
    """Return all that could guide; classifiers that are named take the place of the preset's, CLIPs that of all."""
    if job.clips:
        return named
    kept = (row for row in preset.perceptors if not (job.classifiers and row.weights.startswith(CLASSIFIER)))
    return (*named, *kept)


def _settings(name: str, share: float) -> tuple[PerceptorSettings, ...]:
    """Return the settings of a perceptor that the user has named; the classifiers in packages are convolutional."""
    rows = coarse_to_fine(name) if name in PACKAGED else (PerceptorSettings(name),)
    return tuple(replace(row, weight=share) for row in rows)


def _check_wanted(job: Job, preset: Preset, taken: Sequence[Sequence[str]]) -> None:
    """Raise a UsageError unless someone takes something that pulls, or nothing is meant to pull."""
    pulled = any(part and prompt.peak > 0 for row in taken for part, prompt in zip(row, job.prompts, strict=True))
    if pulled or (any(map(any, taken)) and all(prompt.peak <= 0 for prompt in job.prompts)):
        return
    texts = "|".join(prompt.text for prompt in job.prompts)
    raise UsageError(
        f"preset {preset.name} knows nothing that {quoted(texts)} asks for; clipgen words --list has what it knows, "
        f"and a preset of pretrained CLIPs, such as {DRAFT}, knows far more"
    )

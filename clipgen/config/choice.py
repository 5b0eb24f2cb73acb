"""Which preset, backend and networks a job means on this machine. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from clipgen.config.beginnings import guidance_of
from clipgen.config.classes import things_in
from clipgen.config.guides import shared
from clipgen.config.job import Job
from clipgen.config.peer_recipes import PEER_RECIPES, check_backend
from clipgen.config.perceptor_names import weighted
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, DRAFT, LOCAL, PHOTO, QUICK, STANDARD, STARTER, UNCLIP, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.priors import asked
from clipgen.config.readings import known_to_starter
from clipgen.config.upscales import named as enlarging
from clipgen.errors import UsageError
from clipgen.util.devices import gpu_count
from clipgen.weights import registry


def requested_networks(job: Job) -> tuple[str, ...]:
    """Return the names of the networks that a job asks for by naming a preset, a published model or its backend."""
    names = (*job.clips, *([job.network] if job.network else []), *enlarging(job))
    asked = not all(registry.is_own(weighted(name)[0]) for name in names)
    return networks_of(job) if asked or job.preset != AUTO or _needs_pretrained(job) else ()


def networks_of(job: Job) -> tuple[str, ...]:
    """Return the names of all networks that a job needs."""
    preset = PRESETS[chosen_preset(job)[0]]
    guidance, _ = guidance_of(job, preset)
    generator = job.network or guidance.generators[backend_of(job, preset)].weights
    unclip = (name for row in guidance.unclip for name in row.networks)
    priors = (name for row in asked(guidance.prior, job) for name in row.networks)
    names = (generator, *(row.weights for row in shared(job, preset).perceptors), *unclip, *priors, *enlarging(job))
    return tuple(dict.fromkeys(filter(None, names)))


def chosen_preset(job: Job, device: str = "auto") -> tuple[str, str | None]:
    """Return the name of the preset that a job means on this machine and, for "auto", the reason."""
    flag = "--clip" if job.clips else "--perceptor" if job.classifiers else ""
    if flag and (job.preset == STARTER or (job.preset == AUTO and job.start == UNCLIP)):
        better = DRAFT if job.clips else PHOTO
        raise UsageError(
            f"{flag} cannot guide with preset {STARTER}, whose models depend on its own CLIPs; use --preset {better}"
        )
    if job.preset != AUTO:
        return job.preset, None
    if job.start == UNCLIP:
        return STARTER, f"preset {STARTER}: it has the unCLIP that --start {UNCLIP} asks for"
    named = bool(job.clips or job.network) or _needs_pretrained(job)
    if not named and job.classifiers:
        return PHOTO, f"preset {PHOTO}: it is guided by classifiers, as --perceptor asks"
    if not named and _is_ready(job, QUICK) and not _has_gpu(device):
        return QUICK, f"preset {QUICK}: its weights are installed, and it is made for the CPU"
    if not (named or _is_ready(job, DRAFT)):
        return _without_pretrained(job)
    why = "models are named" if job.clips or job.network else "its weights are installed"
    if _needs_pretrained(job):
        why = f"it has the backend {backend_of(job, PRESETS[DRAFT])}"
    if not _has_gpu(device):
        quicker = "" if _needs_pretrained(job) else f"; --preset {STARTER} is quicker"
        return DRAFT, f"preset {DRAFT}: {why}, and it runs on the CPU{quicker}"
    name = STANDARD if named or _is_ready(job, STANDARD) else DRAFT
    return name, f"preset {name}: {why}, and it runs on the GPU"


def _needs_pretrained(job: Job) -> bool:
    """Tell whether no preset without downloads has the backend of a job, or one that its recipe fits."""
    fitting = PEER_RECIPES[job.recipe].backends if job.recipe else ()
    wanted = (job.backend,) if job.backend else fitting
    return bool(wanted) and not any(one in PRESETS[name].generators for name in LOCAL for one in wanted)


def _has_gpu(device: str) -> bool:
    """Tell whether a run is to have a GPU; asked last, as it loads torch."""
    return device != "cpu" and gpu_count() > 0


def _without_pretrained(job: Job) -> tuple[str, str]:
    """Choose between the presets whose models are always there, by the things that the prompt names."""
    needs = (row.weights for row in PRESETS[PHOTO].perceptors)
    pulling = [prompt.text for prompt in job.prompts if prompt.peak > 0] if all(map(registry.is_ready, needs)) else []
    things = [thing.words for text in pulling for thing in things_in(text)]
    named = " and ".join(dict.fromkeys(things))
    if not things:
        return STARTER, f"preset {STARTER}: its models ship with clipgen, so it runs everywhere"
    if job.init is None and all(known_to_starter(thing) == thing for thing in things):
        return STARTER, f"preset {STARTER}: its drawn world has {named}; --preset {PHOTO} goes by photographs"
    return PHOTO, (
        f"preset {PHOTO}: a classifier that learned from photographs knows {named}; --preset {STARTER} draws in its "
        "own way"
    )


def backend_of(job: Job, preset: Preset) -> str:
    """Return the backend of a job; raises UsageError if its recipe does not fit it."""
    usual = DEFAULT_BACKEND if job.network or job.init_tokens else preset.backend
    if job.recipe is None:
        return job.backend or usual
    fitting = PEER_RECIPES[job.recipe].backends
    backend = job.backend or (usual if usual in fitting else fitting[0])
    check_backend(job.recipe, backend)
    return backend


def networks_with(job: Job, preset: str) -> tuple[str, ...] | None:
    """Return the names of all networks that a job needs with a preset; None if that has not the job's backend."""
    other = replace(job, preset=preset)
    has = backend_of(other, PRESETS[preset]) in guidance_of(other, PRESETS[preset])[0].generators
    return networks_of(other) if has else None


def _is_ready(job: Job, preset: str) -> bool:
    needed = networks_with(replace(job, start=None), preset)
    return needed is not None and not registry.missing(needed)

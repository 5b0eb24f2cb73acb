"""From a job to its plan: fills in every open setting. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clipgen.config.beginnings import guidance_of
from clipgen.config.choice import backend_of, chosen_preset
from clipgen.config.guides import shared
from clipgen.config.holding import held_unclips, hold_weight, holding, init_weight
from clipgen.config.job import Job
from clipgen.config.judging import judges_of
from clipgen.config.latents import drawn, generator_of, width_notes
from clipgen.config.loss_settings import LossSettings
from clipgen.config.motion import steps_with
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.plan import Plan
from clipgen.config.preset import OWN, GeneratorDefaults, Guidance, Preset, Size
from clipgen.config.presets import PRESETS
from clipgen.config.priors import asked
from clipgen.config.prompts import prompt_notes, scenes_in
from clipgen.config.schedules import Schedule
from clipgen.config.settings import FP32, GeneratorSettings, ModelHash, PerceptorSettings
from clipgen.config.sizes import fitted_size
from clipgen.config.targets import APART
from clipgen.config.timing import cross_fade_of, cutouts_of, losses_of, rates_of, timed_prompts
from clipgen.config.unknown import unknown_in
from clipgen.config.upscales import upscale_of
from clipgen.errors import UsageError, unknown_value
from clipgen.util.devices import computes_bf16, pick_device
from clipgen.weights import registry

if TYPE_CHECKING:
    from clipgen.util.tokens import TokenGrid


def resolve(
    job: Job, init_size: Size | None = None, device: str = "auto", tokens: TokenGrid | None = None
) -> tuple[Plan, list[str]]:
    """Fill in every setting of a job and round its size to the latent grid.

    init_size: (width, height) of the init image, whose aspect ratio is used if the job names no size.
    device: where the job will run, as for `--device`. tokens: those that the job names, of which each is a cell.
    Returns the plan, and one line for each decision made on the user's behalf. Raises UsageError.
    """
    preset, reason = _preset(job, device)
    guidance, start = guidance_of(job, preset)
    backend = backend_of(job, preset)
    defaults = _defaults(guidance, job, preset, backend)
    generator = generator_of(job, defaults.settings, backend)
    size, size_notes = fitted_size(job, preset, backend, generator, init_size, tokens)
    guides = shared(job, preset)
    perceptors = PEER_RECIPES[job.recipe].seen_by(guides.perceptors) if job.recipe else guides.perceptors
    steps = job.steps or steps_with(job.motion, defaults.steps * len(scenes_in(job.prompts)))
    generator, lr, lr_schedule = _timed(job, generator, defaults.lr, steps)
    cutouts, cutout_schedule = cutouts_of(job, defaults.cutouts, steps)
    upscale, upscale_notes = upscale_of(job)
    plan = Plan(
        prompts=timed_prompts(job, steps),
        seed=job.seed,
        size=size,
        steps=steps,
        backend=backend,
        preset=preset.name,
        generator=drawn(job, generator, backend, size),
        perceptors=perceptors,
        cutouts=cutouts,
        cutout_schedule=cutout_schedule,
        augmentations=guidance.augmentations,
        lr=lr,
        lr_schedule=lr_schedule,
        losses=steered((*_losses(job, preset, guides.perceptors), *defaults.losses), losses_of(job, steps)),
        start=start,
        init=job.init or "",
        init_noise=job.init_noise or 0.0,
        tile=job.tile,
        motion=(job.motion,) if job.motion else (),
        unclip=held_unclips(guidance.unclip, init_weight(job, preset)),
        judges=judges_of(job, preset, guides.perceptors),
        models=(),
        readings=guides.readings,
        precision=job.precision or preset.precision,
        targets=job.target_rows,
        blend=job.blend or APART,
        templates=job.templates,
        edit=(job.edit,) if job.edit else (),
        overlay=job.overlay_rows,
        init_tokens=job.token_rows,
        cross_fade=cross_fade_of(job, steps),
        recipe=job.recipe or "",
        prior=asked(guidance.prior, job),
        upscale=upscale,
    )
    plan, precision_notes = with_precision(plan, device)
    first = [*([reason] if reason else []), *prompt_notes(job.prompts), *unknown_in(plan).notes(), *guides.notes]
    return with_hashes(plan), [*first, *size_notes, *precision_notes, *upscale_notes, *width_notes(job, start)]


def _preset(job: Job, device: str) -> tuple[Preset, str | None]:
    """Choose as `chosen_preset` does. Raises UsageError for the preset of one's own networks if they are not named."""
    name, reason = chosen_preset(job, device)
    if name == OWN and not job.clips:
        raise UsageError(f"--preset {OWN} stands for a folder that `clipgen train` made; give its path instead")
    return PRESETS[name], reason


def _defaults(guidance: Guidance, job: Job, preset: Preset, backend: str) -> GeneratorDefaults:
    if backend not in guidance.generators:
        raise _unmade(job, preset, backend)
    return guidance.generators[backend]


def _unmade(job: Job, preset: Preset, backend: str) -> UsageError:
    """Make the error for a backend that a preset does not have."""
    if job.recipe is None:
        return unknown_value(f"--backend of preset {preset.name}", backend, preset.generators)
    having = " or ".join(one.name for one in PRESETS.values() if backend in one.generators)
    return UsageError(
        f"--recipe {job.recipe} draws with backend {backend}, which preset {preset.name} does not have; use --preset "
        f"{having}"
    )


def with_precision(plan: Plan, device: str) -> tuple[Plan, list[str]]:
    """Return the plan with a precision that the device computes in, and a note if it is another one."""
    if plan.precision == FP32 or computes_bf16(device):
        return plan, []
    note = (
        f"precision {FP32}: this {'processor' if pick_device(device) == 'cpu' else 'GPU'} does not compute in bfloat16"
    )
    return replace(plan, precision=FP32), [note]


def with_hashes(plan: Plan) -> Plan:
    """Return the plan with the hashes of its networks on this machine."""
    return replace(plan, models=tuple(ModelHash(name, registry.sha256_of_network(name)) for name in plan.networks))


def _timed(job: Job, generator: GeneratorSettings, lr: float, steps: int) -> tuple[GeneratorSettings, float, Schedule]:
    """Return the generator of a run of so many steps, and its learning rate, by the usual one, with its course."""
    rate, schedule = rates_of(job, lr, steps)
    if job.recipe is None:
        return generator, rate, schedule
    generator, course = PEER_RECIPES[job.recipe].timed(generator, steps)
    return generator, rate, schedule if isinstance(job.lr, str) else course


def _losses(job: Job, preset: Preset, perceptors: Sequence[PerceptorSettings]) -> tuple[LossSettings, ...]:
    adds_up = PEER_RECIPES[job.recipe].adds_up if job.recipe else preset.adds_up
    prompt = sum(row.weight for row in perceptors if row.guides(0.0)) if adds_up else 1.0
    hold = hold_weight(job, preset)
    held = [LossSettings(holding(job.recipe, preset)[0], Schedule.constant(hold))] if hold else []
    seam = [LossSettings.parse("seam")] if job.tile else []
    return LossSettings("prompt", Schedule.constant(prompt)), *held, *seam


def steered(losses: Sequence[LossSettings], typed: Sequence[LossSettings]) -> tuple[LossSettings, ...]:
    """Return losses with those that were typed, each in place of one of its name; a weight of 0 removes it."""
    asked = {row.name: row for row in typed}
    kept = [asked.pop(row.name, row) for row in losses]
    rows = (*kept, *asked.values())
    return tuple(row for row in rows if row.name == "prompt" or any(row.weight.values))

"""From a job, or the plan inside an earlier picture, to the plan of a run. Torch-free without an init image."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipgen.config.choice import chosen_preset
from clipgen.config.holding import held_unclips, hold_weight, holding, init_weight
from clipgen.config.job import Job
from clipgen.config.judging import judges_of
from clipgen.config.latents import BEGUN
from clipgen.config.latents import FIELDS as LATENT
from clipgen.config.levels import levelled
from clipgen.config.plan import Plan
from clipgen.config.preset import INIT, TOKENS, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.priors import FIELDS as OF_PRIOR
from clipgen.config.priors import PROPOSING
from clipgen.config.prompts import scenes_in
from clipgen.config.readings import CLASSIFIER
from clipgen.config.resolve import resolve, steered, with_hashes, with_precision
from clipgen.config.sequences import check_only_size, typed_over
from clipgen.config.settings import UnclipSettings
from clipgen.config.sizes import refit
from clipgen.config.strokes import FIELDS as DRAWN
from clipgen.config.targets import REGION, TargetSettings
from clipgen.config.timing import (
    cross_fade_of,
    cutouts_of,
    is_timed,
    losses_of,
    rates_of,
    timed_prompts,
)
from clipgen.config.tokens import size_of_tokens
from clipgen.config.upscales import upscale_of
from clipgen.engine.inputs import Inputs
from clipgen.session.inputs import completed, load_inputs, with_digests
from clipgen.session.reading_plans import job_of

if TYPE_CHECKING:
    from PIL.Image import Image

MODELS = {"backend", "preset", "clips", "classifiers", "network", "recipe", "optimizer"}
"""Fields of a job that choose models, or how they are used."""
STEERED = ("targets", "blend", "templates", "mask", "extend", "feather", "inside", "overlay", "overlay_every")
"""Fields beside the texts and the init image that say what the picture is to be."""
ENLARGED = ("upscale", "upscaler")
"""Those that say how the finished picture is enlarged."""
UNEDITED = dict.fromkeys(("init_weight", "init_noise", "mask", "extend", "feather", "inside"))
"""What goes with an init image."""
DROPPED = ("steps", "lr", "cutouts", "first_cutouts", *BEGUN)
"""Fields that belong to other models or another start, on which their defaults depend."""
_RANDOM_SEEDS = 2**32
"""Short enough to read off a file name and type again."""


def random_seed() -> int:
    """Return a seed for a picture of which none was given."""
    return secrets.randbelow(_RANDOM_SEEDS)


def plan_job(job: Job, device: str, given: Inputs | Image | None = None) -> tuple[Plan, Inputs, list[str]]:
    """Return the plan of a job, its images and tokens, and a line for each decision made. Raises UsageError.

    given: the init image or the tokens that the job names, if they are loaded already.
    """
    job = completed(job, given)
    inputs, input_notes = load_inputs(job, given)
    plan, notes = resolve(job, inputs.size, device, inputs.tokens)
    return with_digests(plan, inputs), inputs, [*input_notes, *notes]


def change_plan(
    plan: Plan, changes: Mapping[str, Any], device: str, given: Inputs | Image | None = None
) -> tuple[Plan, Inputs, list[str]]:
    """Return the plan of an earlier picture with some settings changed, its images, and notes. Raises UsageError.

    changes: fields of a job. If they change the models, the start, or whether there is an init image, the settings that
    depend on these come from the current presets; everything else stays as in the plan. They must name the init image
    of a plan that has one, unless they name another start, which leaves it out; tokens are read from the file that the
    plan names unless they name another. given: as for `plan_job`.
    """
    changes = _with_one_start(plan, changes)
    if "upscale" in changes:
        changes = {"upscaler": None, **changes}  # which was for another factor
    classifies = any(row.weights.startswith(CLASSIFIER) for row in plan.perceptors)
    shares_anew = "prompts" in changes and (classifies or PRESETS[plan.preset].adds_up)
    shares_anew = shares_anew or _begins_otherwise(plan, changes)
    typed = _typed(plan, changes)
    starts_anew = bool(typed.edit) != bool(plan.edit) or _has_region(typed.target_rows) != _has_region(plan.targets)
    if (
        shares_anew
        or starts_anew
        or changes.keys() & {*MODELS, "start", "tile", "blend", "motion", *DRAWN, *OF_PRIOR}
        or bool(changes.get("init")) != bool(plan.init)
        or bool(typed.init_tokens) != bool(plan.init_tokens)
    ):
        return plan_job(_changed_job(plan, changes), device, given)
    inputs, notes = load_inputs(typed, given)
    fields = {name: changes[name] for name in ("seed", "steps", "init", "init_noise") if name in changes}
    if typed.size:
        check_only_size(typed.size, plan.generator, plan.backend)
        fields["size"], size_notes = refit(typed.size, plan.generator.stride, plan.backend)
        notes += size_notes
    if inputs.tokens:
        asked = fields.get("size", plan.size)
        fields["size"], notes = size_of_tokens(typed, inputs.tokens, plan.generator, plan.backend, asked)
        fields["init_tokens"] = typed.token_rows
    edit = (typed.edit,) if typed.edit else ()
    fields["generator"] = typed_over(levelled(typed, plan.generator, plan.backend), typed, plan.backend)
    fields |= {"targets": typed.target_rows, "edit": edit, "templates": typed.templates, "overlay": typed.overlay_rows}
    changed = replace(plan, **fields, **_timed(plan, typed, changes))
    if "init_weight" in changes:
        preset = PRESETS[plan.preset]
        changed = changed.with_loss(holding(plan.recipe, preset)[0], hold_weight(typed, preset))
        if any(row.init_img2img_noise for row in plan.unclip):
            changed = replace(changed, unclip=_held_as_today(plan.unclip, init_weight(typed, preset), preset))
    if typed.losses:
        changed = replace(changed, losses=steered(changed.losses, losses_of(typed, changed.steps)))
    if "judges" in changes:
        changed = replace(changed, judges=judges_of(typed, PRESETS[plan.preset], plan.perceptors))
    if typed.precision:
        changed = replace(changed, precision=typed.precision)
    if changes.keys() & set(ENLARGED):
        upscale, said = upscale_of(typed)
        changed, notes = replace(changed, upscale=upscale), [*notes, *said]
    fresh, precision_notes = with_precision(with_hashes(with_digests(changed, inputs)), device)
    return fresh, inputs, [*notes, *precision_notes, *_weight_warnings(changed, fresh)]


def _with_one_start(plan: Plan, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return changes that leave out the init image or the tokens of a plan if they name another start."""
    start, tokens = changes.get("start"), changes.get("init_tokens")
    if start not in (None, INIT) or (tokens and plan.init):
        changes = {"init": None, **changes}
    if plan.init_tokens and (start not in (None, TOKENS) or changes.get("init")):
        changes = {"init_tokens": None, **changes}
    return changes


def _typed(plan: Plan, changes: Mapping[str, Any]) -> Job:
    """Return a job of the changes, which checks them, with the images and the texts of the plan where they are kept."""
    job = job_of(plan)
    begun = ("start",) if plan.prior else ()
    kept = {name: getattr(job, name) for name in ("prompts", "init", "init_tokens", *begun, *STEERED, *ENLARGED)}
    return Job(**{**kept, **({} if changes.get("init", True) else UNEDITED), **changes})


def _has_region(rows: Sequence[TargetSettings]) -> bool:
    return any(row.kind == REGION for row in rows)


def _timed(plan: Plan, typed: Job, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan that changes give a course over the run."""
    steps, fields = typed.steps or plan.steps, dict[str, Any]()
    if "prompts" in changes:
        fields["prompts"] = timed_prompts(typed, steps)
    if "cross_fade" in changes:
        fields["cross_fade"] = cross_fade_of(typed, steps)
    if "lr" in changes:
        fields["lr"], schedule = rates_of(typed, plan.lr, steps)
        fields |= {"lr_schedule": schedule} if isinstance(typed.lr, str) else {}
    if "cutouts" in changes:
        fields["cutouts"], fields["cutout_schedule"] = cutouts_of(typed, plan.cutouts, steps)
    return fields


def _held_as_today(rows: Sequence[UnclipSettings], weight: float, preset: Preset) -> tuple[UnclipSettings, ...]:
    """Return the unCLIPs of a plan held to the init image as the preset has it for a weight, if it has an unCLIP."""
    held = held_unclips(preset.guidance[INIT].unclip or rows, weight)
    names = ("init_img2img_noise", "layout_guidance", "layout_share")
    return tuple(
        replace(row, **{name: getattr(today, name) for name in names}) for row, today in zip(rows, held, strict=True)
    )


def _changed_job(plan: Plan, changes: Mapping[str, Any]) -> Job:
    """Return the job of a plan with changes, without the settings that belonged to other models or another start."""
    job = job_of(plan)
    dropped: dict[str, Any] = {}
    if "init" in changes:
        dropped = {"start": None} if changes["init"] else {"start": None, **UNEDITED}
    if "init_tokens" in changes:
        dropped |= {"start": None} | ({"size": None} if changes["init_tokens"] else {"init_weight": None})
    unnamed: dict[str, Any] = dict.fromkeys(("network", "start", *DRAWN, *OF_PRIOR))
    bare = replace(job, clips=(), classifiers=(), **unnamed)
    other = replace(bare, **{name: changes[name] for name in ("backend", "preset") if name in changes})
    preset = chosen_preset(other)[0]
    if (other.backend, preset) != (job.backend, job.preset):
        dropped |= {"network": None, "start": None, **dict.fromkeys((*DROPPED, *LATENT))}
        dropped |= {"clips": (), "classifiers": (), "judges": ()} if preset != job.preset else {}
    elif (
        changes.get("start", plan.start) != plan.start
        or bool(changes.get("init_tokens", plan.init_tokens)) != bool(plan.init_tokens)
        or _begins_otherwise(plan, changes)
    ):
        dropped |= dict.fromkeys(DROPPED)
    if changes.get("recipe", job.recipe) != job.recipe:
        dropped |= {"optimizer": None, "start": None, **dict.fromkeys(DROPPED)}
    if len(scenes_in(changes.get("prompts", plan.prompts))) == 1:
        dropped["cross_fade"] = None
    if {**dropped, **changes}.get("start", job.start) not in PROPOSING:
        dropped |= dict.fromkeys(OF_PRIOR)
    return replace(job, **{**dropped, **changes})


def _begins_otherwise(plan: Plan, changes: Mapping[str, Any]) -> bool:
    """Tell whether the number of scenes, whether weights change, or the motion is another.

    Start, steps and learning rate depend on these.
    """
    both = plan.prompts, changes.get("prompts", plan.prompts)
    before, after = ((len(scenes_in(prompts)), is_timed(prompts)) for prompts in both)
    return before != after or bool(changes.get("motion", plan.motion)) != bool(plan.motion)


def _weight_warnings(recorded: Plan, here: Plan) -> list[str]:
    """Warn about weights that differ from those that the recipe names."""
    known = {row.name: row.sha256 for row in here.models}
    return [
        f"warning: the weights of {row.name} are not those of the first run; the picture will differ"
        for row in recorded.models
        if row.sha256 and known.get(row.name) and known[row.name] != row.sha256
    ]

"""From a plan to the job that asks for it. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clipgen.config.edits import edit_fields
from clipgen.config.guides import shared
from clipgen.config.holding import holding
from clipgen.config.job import Job
from clipgen.config.judging import usual_judges
from clipgen.config.latents import asked_of
from clipgen.config.loss_settings import LossSettings
from clipgen.config.peer_recipes import named_optimizer, with_recipe
from clipgen.config.plan import Plan
from clipgen.config.preset import INIT, STARTER, TOKENS, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.priors import asked_of as asked_of_prior
from clipgen.config.readings import CLASSIFIER
from clipgen.config.schedules import ALWAYS, KEYFRAMES, spell_percent
from clipgen.config.settings import SPHERICAL, PerceptorSettings
from clipgen.config.targets import APART
from clipgen.config.timing import spelled_over, typed_anew
from clipgen.config.upscales import asked_of as enlarged_as


def job_of(plan: Plan) -> Job:
    """Return a job that asks for what a plan has, as far as possible: a job cannot name networks of the starter set."""
    preset = PRESETS[plan.preset]
    guidance = with_recipe(plan.recipe, preset.guidance_from(plan.start) or preset.guidance[preset.start])
    usual = guidance.generators[plan.backend].weights if plan.backend in guidance.generators else None
    guides = tuple(replace(row, distance=SPHERICAL) for row in plan.perceptors)
    guided_as_usual = guides == shared(Job(plan.prompts, preset=plan.preset), preset).perceptors
    others = () if guided_as_usual else plan.perceptors
    named = tuple(dict.fromkeys(_spelled(row) for row in others if not _is_starters(row.weights)))
    network = None if plan.generator.weights == usual else plan.generator.weights
    has_keyframes = plan.cutout_schedule.kind == KEYFRAMES
    return Job(
        plan.prompts,
        backend=plan.backend,
        preset=plan.preset,
        size=plan.size,
        steps=plan.steps,
        seed=plan.seed,
        lr=spelled_over(plan.lr, plan.lr_schedule) if typed_anew(plan) else plan.lr,
        cutouts=spelled_over(plan.cutouts, plan.cutout_schedule) if has_keyframes else plan.cutouts,
        init=plan.init or None,
        init_tokens=plan.init_tokens[0].file if plan.init_tokens else None,
        init_weight=init_weight_of(plan) if plan.init or plan.init_tokens else None,
        init_noise=plan.init_noise or None,
        first_cutouts=None if has_keyframes or plan.cutout_schedule == ALWAYS else plan.cutouts_at(0.0),
        tile=plan.tile,
        motion=plan.motion[0] if plan.motion else None,
        clips=tuple(name for name in named if not name.startswith(CLASSIFIER)),
        classifiers=tuple(name for name in named if name.startswith(CLASSIFIER)),
        judges=_named_judges(plan, preset, named),
        network=None if network and _is_starters(network) else network,
        start=None if plan.start in (INIT, TOKENS, preset.start_of(plan.backend)) else plan.start,
        precision=None if plan.precision == preset.precision else plan.precision,
        recipe=plan.recipe or None,
        optimizer=named_optimizer(plan.recipe, plan.generator.optimizer),
        targets=tuple(map(str, plan.targets)),
        blend=None if plan.blend == APART else plan.blend,
        templates=plan.templates,
        **edit_fields(plan.edit, plan.overlay),
        **asked_of_prior(plan.prior, guidance.prior),
        **enlarged_as(plan.upscale),
        **asked_of(plan.generator, guidance.generators.get(plan.backend), plan.size),
        losses=_steering(plan, guidance.generators[plan.backend].losses if usual is not None else ()),
        cross_fade=spell_percent(plan.cross_fade) if plan.cross_fade else None,
    )


def _named_judges(plan: Plan, preset: Preset, guides: Sequence[str]) -> tuple[str, ...]:
    """Return the judges that were named, but those that guide today if no guides were named."""
    if plan.judges == usual_judges(preset, plan.perceptors):
        return ()
    guiding = guides or [row.weights for row in preset.perceptors]
    return tuple(name for name in plan.judges if name not in guiding)


def _steering(plan: Plan, usual: Sequence[LossSettings]) -> tuple[str, ...]:
    """Return the losses of a plan that were asked for, as they are typed, and with weight 0 those that were removed."""
    own = ("prompt", holding(plan.recipe, PRESETS[plan.preset])[0], *(["seam"] if plan.tile else []))
    asked = [str(row) for row in plan.losses if row.name not in own and row not in usual]
    names = [row.name for row in plan.losses]
    return (*asked, *(f"{row.name}:0" for row in usual if row.name not in names))


def init_weight_of(plan: Plan) -> float:
    """Return how strongly a plan holds its picture to the init image, on the scale of `--init-weight`."""
    loss, scale = holding(plan.recipe, PRESETS[plan.preset])
    return plan.weight_of(loss) / scale


def _spelled(row: PerceptorSettings) -> str:
    return row.weights if row.weight == 1.0 else f"{row.weights}:{row.weight!r}"


def _is_starters(name: str) -> bool:
    return name.startswith(f"{STARTER}/")

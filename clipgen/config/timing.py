"""From the moments that a job names, in steps or percentages, to progress in a run of so many steps. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from clipgen.config.job import Job
from clipgen.config.keyframes import Keyframes, Place, progress_of, read_schedule
from clipgen.config.loss_settings import LossSettings, TypedLoss
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.prompts import Prompt, over_steps, scenes_in
from clipgen.config.schedules import ALWAYS, KEYFRAMES, Schedule
from clipgen.config.targets import MORPH
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.plan import Plan

LR_SCHEDULE = Schedule("cosine", 1.0, 0.1)
"""Large steps compose the picture; small ones at the end refine its details."""
STEADY_LR_SCHEDULE = Schedule.constant(0.7)
"""The last scene of a story has to compose, too, and a camera brings something into sight until the end."""


def is_timed(prompts: Sequence[Prompt]) -> bool:
    """Tell whether the texts of a prompt count more at some moments than at others."""
    return any(prompt.is_timed for prompt in prompts)


def timed_prompts(job: Job, steps: int) -> tuple[Prompt, ...]:
    """Return the prompts of a job over a run of so many steps.

    Raises UsageError for scenes and keyframes that are out of order or beyond the end.
    """
    prompts = tuple(over_steps(prompt, steps) for prompt in job.prompts)
    if not job.at:
        return prompts
    begins = progress_of([Place(text) for text in job.at], steps, "--at")
    if begins[0] > 0.0:
        raise UsageError(f"--at {job.at[0]} is not the beginning, where there must be a scene; give --at 0, too")
    if begins[-1] == 1.0:
        raise UsageError(f"--at {job.at[-1]} is the end of the run, so that its scene would never begin")
    spans = dict(zip(scenes_in(prompts), pairwise((*begins, 1.0)), strict=True))
    return tuple(replace(one, since=spans[one.span][0], until=spans[one.span][1]) for one in prompts)


def cross_fade_of(job: Job, steps: int) -> float:
    """Return the part of the run in which neighbouring scenes fade into each other. Raises UsageError."""
    return Place(job.cross_fade).progress(steps, "--cross-fade") if job.cross_fade else 0.0


def rates_of(job: Job, usual: float, steps: int) -> tuple[float, Schedule]:
    """Return the learning rate of a job at its highest, and the factor on it over a run of so many steps."""
    if isinstance(job.lr, str):
        return _split(job.lr, "--lr", steps)
    steady = is_timed(job.prompts) or job.motion is not None or job.blend == MORPH
    return usual if job.lr is None else job.lr, STEADY_LR_SCHEDULE if steady else LR_SCHEDULE


def cutouts_of(job: Job, usual: int, steps: int) -> tuple[int, Schedule]:
    """Return the number of cutouts of a job at its highest, and the factor on it over a run of so many steps."""
    if isinstance(job.cutouts, str):
        most, schedule = _split(job.cutouts, "--cutouts", steps)
        return round(most), schedule
    if not (job.first_cutouts and job.cutouts):
        return usual if job.cutouts is None else job.cutouts, ALWAYS
    return job.cutouts, Schedule("linear", job.first_cutouts / job.cutouts, 1.0)


def losses_of(job: Job, steps: int) -> tuple[LossSettings, ...]:
    """Return the losses that a job asks for by name, over a run of so many steps. Raises UsageError."""
    return tuple(LossSettings(*TypedLoss.parse(text).over(steps)) for text in job.losses)


def spelled_over(highest: float, schedule: Schedule) -> str:
    """Return the values of a schedule that is a factor on its highest value, as they were typed."""
    return str(schedule.scaled(lambda share: float(f"{highest * share:.12g}")))


def typed_anew(plan: Plan) -> bool:
    """Tell whether the learning rate of a plan has a course that was typed; those that cannot be are left out."""
    schedule = plan.lr_schedule
    usual = [PEER_RECIPES[plan.recipe].timed(plan.generator, plan.steps)[1]] if plan.recipe else []
    return schedule.kind in ("cosine", KEYFRAMES) and schedule not in (LR_SCHEDULE, STEADY_LR_SCHEDULE, *usual)


def _split(text: str, flag: str, steps: int) -> tuple[float, Schedule]:
    typed = read_schedule(text, flag)
    if not isinstance(typed, Schedule | Keyframes):
        raise UsageError(f"{flag} must be a number or a schedule, got {text!r}")
    schedule = typed.over(steps, flag)
    highest = max(schedule.values)
    return highest, schedule.scaled(lambda value: value / highest)

"""Another prompt for a run that has begun: its state is kept, and the run goes on towards the new text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, scenes_in
from clipgen.config.resolve import resolve
from clipgen.outputs.metadata import described_as
from clipgen.session.order import Order
from clipgen.session.reading_plans import job_of

if TYPE_CHECKING:
    from clipgen.util.tokens import TokenGrid


def with_prompts(
    plan: Plan, prompts: tuple[Prompt, ...], device: str, tokens: TokenGrid | None = None
) -> tuple[Plan, list[str]]:
    """Return a plan that goes by other texts and is otherwise the same, and notes. Raises UsageError.

    Latent, steps, learning rate and cutouts stay; who guides depends on the texts with some presets. tokens: those that
    the plan begins at, if it does.
    """
    job = job_of(plan)
    cross_fade = job.cross_fade if len(scenes_in(prompts)) > 1 else None
    fresh, notes = resolve(replace(job, prompts=prompts, at=(), cross_fade=cross_fade), plan.size, device, tokens)
    changed = replace(
        plan,
        prompts=fresh.prompts,
        perceptors=fresh.perceptors,
        readings=fresh.readings,
        cross_fade=fresh.cross_fade,
        models=fresh.models,
    )
    return changed.with_loss("prompt", fresh.weight_of("prompt")), notes


def order_with_prompts(
    order: Order, prompts: tuple[Prompt, ...], device: str, tokens: TokenGrid | None = None
) -> tuple[Order, list[str]]:
    """Return the order of a run with other texts, and notes. Raises UsageError."""
    plan, notes = with_prompts(order.plan, prompts, device, tokens)
    return replace(order, plan=plan, described=described_as(plan, order.described.get("init_sha256"))), notes

"""From plans to pictures: runs the loop, reports every step to the sinks, and keeps what is needed to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.engine.models import Models, memory_errors
from clipgen.engine.run import Run
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.images import to_pil, to_tensor
from clipgen.util.interrupts import Stop, held_back


class Keeper(Protocol):
    """Keeps what the run of one picture needs to go on after it was stopped, or killed."""

    def is_due(self, done: int, total: int) -> bool:
        """Tell whether it is time to keep something, after so many of all updates."""

    def keep(self, snapshot: Snapshot) -> None:
        """Keep this in place of what was kept before."""


@dataclass(frozen=True)
class Order:
    """One picture to make, and those who watch it."""

    plan: Plan
    init: Image.Image | None = None
    """The loaded init image, where the plan has one."""
    sinks: Sequence[Sink] = ()
    keeper: Keeper | None = None
    snapshot: Snapshot | None = None
    """What a keeper has kept: the run goes on from there."""


@dataclass(frozen=True)
class Result:
    """One picture and the plan that makes it again."""

    image: Image.Image
    plan: Plan
    score: float
    """Mean cosine between the cutouts and the texts that pull, as the guiding perceptors see it."""
    outcome: Outcome = Outcome.FINISHED
    notes: tuple[str, ...] = field(default=())
    """What was decided on the user's behalf."""


def optimise(
    plan: Plan,
    models: Models,
    sinks: Sequence[Sink] = (),
    *,
    init: Image.Image | None = None,
    stop: Stop | None = None,
) -> Result:
    """Make the picture of one plan. Raises ClipgenError where that fails."""
    [made] = optimise_together([Order(plan, init, sinks)], models, stop=stop)
    if isinstance(made, ClipgenError):
        raise made
    return made


def optimise_together(
    orders: Sequence[Order],
    models: Models,
    *,
    stop: Stop | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Result | ClipgenError]:
    """Make several pictures in lockstep, each as it would be made alone: on a GPU but for rounding.

    The plans agree in all but prompts, seed and init image; all start at an init image, or none. What goes wrong with
    one picture is in its place of the list and harms no other. Ctrl-C, or `stop`, ends the loop after the step that is
    being made, hands the sinks what was reached, and the former is raised only then.
    """
    _check_together([order.plan for order in orders])
    outcomes = [Outcome.FAILED] * len(orders)
    errors: dict[int, ClipgenError] = {}
    with held_back(stop) as token:
        try:
            with memory_errors(orders[0].plan):
                run = Run(
                    [order.plan for order in orders],
                    models,
                    _init_images(orders, models.device),
                    [order.snapshot for order in orders if order.snapshot],
                    on_stage,
                )
                _advance(run, orders, token)
                final = run.finish()
                _report(run, orders, final)
            errors.update(run.failures)
            ended = Outcome.FINISHED if run.done == run.total else Outcome.INTERRUPTED
            outcomes = [_outcome(run, row, ended) for row in range(len(orders))]
        finally:
            errors |= _close(orders, outcomes)
    return [errors.get(row) or _result(order.plan, final[row], outcomes[row]) for row, order in enumerate(orders)]


def _advance(run: Run, orders: Sequence[Order], stop: Stop) -> None:
    """Make all updates, or those until a stop is asked for."""
    while run.done < run.total and not stop.asked and len(run.failures) < len(orders):
        _report(run, orders, run.find_gradients())
        run.update()
        for row, order in enumerate(orders):
            keeper = order.keeper
            if keeper and row not in run.failures and (stop.asked or keeper.is_due(run.done, run.total)):
                keeper.keep(run.snapshot(row))


def _report(run: Run, orders: Sequence[Order], steps: Sequence[Step]) -> None:
    for row, (order, step) in enumerate(zip(orders, steps, strict=True)):
        if row not in run.failures:
            for sink in order.sinks:
                sink.on_step(step)


def _outcome(run: Run, row: int, ended: Outcome) -> Outcome:
    if row not in run.failures:
        return ended
    return Outcome.DIVERGED if run.has_picture(row) else Outcome.FAILED


def _result(plan: Plan, step: Step, outcome: Outcome) -> Result:
    return Result(to_pil(step.image), plan, float(step.score), outcome)


def _close(orders: Sequence[Order], outcomes: Sequence[Outcome]) -> dict[int, ClipgenError]:
    """Close every sink, also where closing another one fails; returns what went wrong, by picture."""
    errors: dict[int, ClipgenError] = {}
    for row, (order, outcome) in enumerate(zip(orders, outcomes, strict=True)):
        try:
            with ExitStack() as stack:
                for sink in reversed(order.sinks):
                    stack.callback(sink.close, outcome)
        except ClipgenError as error:
            errors[row] = error
    return errors


def _init_images(orders: Sequence[Order], device: torch.device) -> Tensor | None:
    """Init images (B, 3, H, W) at the size of the pictures; None if there are none."""
    images = [to_tensor(order.init, order.plan.size) for order in orders if order.init]
    if len(images) != sum(bool(order.plan.init) for order in orders) or len(images) not in (0, len(orders)):
        raise UsageError("a plan that names an init image must come with it, and of plans made together all or none do")
    return torch.cat(images).to(device) if images else None


def _check_together(plans: Sequence[Plan]) -> None:
    """Raise a UsageError unless plans agree in all that a step has in common."""
    first = plans[0]
    for plan in plans:
        if replace(plan, prompts=first.prompts, seed=first.seed, init=first.init) != first:
            raise UsageError("plans that are made together must agree in all but prompts, seed and init image")

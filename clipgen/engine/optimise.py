"""From plans to pictures: runs the loop, reports every step to the sinks, and saves snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from PIL import Image

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.engine.inputs import Inputs, given_by
from clipgen.engine.models import Models, memory_errors
from clipgen.engine.modes import usual_modes
from clipgen.engine.run import Run
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import ClipgenError, Interrupted, UsageError
from clipgen.steering.given import Given
from clipgen.util.images import to_pil
from clipgen.util.interrupts import STOPPING, Abandoned, Stop, held_back

KEEPING = "stopping with the picture so far; Ctrl-C again ends at once"


class Watch:
    """The sinks of one picture. One that fails is left out from then on, which costs nothing else."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.notes: list[str] = []
        """A line for each sink that failed."""
        self.error: ClipgenError | None = None
        """What a sink said when it was closed: the picture, or a film, could not be written."""
        self._sinks, self._failed = sinks, set[int]()

    def on_step(self, step: Step) -> None:
        for number, sink in enumerate(self._sinks):
            if number not in self._failed:
                with self._noting(number, sink):
                    sink.on_step(step)

    def close(self, outcome: Outcome) -> None:
        """Close every sink, the failed ones too, even if closing another one fails."""
        with ExitStack() as stack:
            for number, sink in reversed(list(enumerate(self._sinks))):
                stack.callback(self._close, number, sink, Outcome.FAILED if number in self._failed else outcome)

    def _close(self, number: int, sink: Sink, outcome: Outcome) -> None:
        with self._noting(number, sink):
            try:
                sink.close(outcome)
            except ClipgenError as error:
                self.error = self.error or error

    @contextmanager
    def _noting(self, number: int, sink: Sink) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if number not in self._failed:
                name = getattr(sink, "shown_as", type(sink).__name__)
                self.notes.append(f"warning: {name} was left out after {type(error).__name__}: {error}")
            self._failed.add(number)


class Keeper(Protocol):
    """Saves what the run of one picture needs to continue after it was stopped or killed."""

    def is_due(self, done: int, total: int) -> bool:
        """Tell whether to save a snapshot after `done` of `total` updates."""

    def keep(self, snapshot: Snapshot) -> None:
        """Save a snapshot in place of the previous one."""


@dataclass(frozen=True)
class Task:
    """One picture to make, and who observes it."""

    plan: Plan
    inputs: Inputs | Image.Image | None = None
    """The loaded images that the plan names; an image alone is its init image."""
    sinks: Sequence[Sink] = ()
    keeper: Keeper | None = None
    snapshot: Snapshot | None = None
    """What a keeper has saved: the run continues from there."""


@dataclass(frozen=True)
class Result:
    """One picture and the plan that reproduces it."""

    image: Image.Image
    plan: Plan
    score: float
    """Mean cosine between the cutouts and the texts of positive weight, by the guiding perceptors."""
    outcome: Outcome = Outcome.FINISHED
    notes: tuple[str, ...] = field(default=())
    """Decisions made on the user's behalf, and warnings."""


def optimise(
    plan: Plan,
    models: Models,
    sinks: Sequence[Sink] = (),
    *,
    init: Inputs | Image.Image | None = None,
    stop: Stop | None = None,
) -> Result:
    """Make the picture of one plan. Raises ClipgenError if that fails.

    init: the init image, or all images that the plan names.
    """
    [made] = optimise_together([Task(plan, init, sinks)], models, stop=stop)
    if isinstance(made, ClipgenError):
        raise made
    return made


def optimise_together(
    tasks: Sequence[Task],
    models: Models,
    *,
    stop: Stop | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Result | ClipgenError]:
    """Make several pictures in lockstep, each as it would be on its own; on a GPU, up to rounding.

    The plans may differ in prompts, seed and init image only, and all or none have an init image. An error with one
    picture takes its place in the list and harms no other; what affects all is raised. A sink that fails is left out,
    with a note in the result; a ClipgenError that it raises when it is closed is the error of its picture.

    Before the first step Ctrl-C acts at once, and `stop` raises Interrupted at the next stage. Later either ends the
    loop after the current step, or gives up its enlargement, and hands the sinks the pictures so far; only then is
    KeyboardInterrupt raised.
    """
    _check_together([task.plan for task in tasks])
    outcomes = [Outcome.FAILED] * len(tasks)
    errors: dict[int, ClipgenError] = {}
    watches = [Watch(task.sinks) for task in tasks]
    token = stop or Stop()
    with usual_modes(), ExitStack() as holding:
        try:
            with memory_errors(tasks[0].plan.backend):
                run = _begin(tasks, models, token, on_stage)
                holding.enter_context(held_back(token, KEEPING if tasks[0].keeper else STOPPING))
                _advance(run, tasks, watches, token)
                final = run.finish()
                _report(run, watches, final)
            errors.update(run.failures)
            outcomes = [_outcome(run, row) for row in range(len(tasks))]
        finally:
            for watch, outcome in zip(watches, outcomes, strict=True):
                watch.close(outcome)
    errors |= {row: watch.error for row, watch in enumerate(watches) if watch.error}
    return [
        errors.get(row) or _result(task.plan, final[row], outcomes[row], watches[row].notes)
        for row, task in enumerate(tasks)
    ]


def _begin(tasks: Sequence[Task], models: Models, stop: Stop, on_stage: Callable[[str], None]) -> Run:
    plans, given = [task.plan for task in tasks], _given(tasks, models.device)
    try:
        snapshots = [task.snapshot for task in tasks if task.snapshot]
        return Run(plans, models, given, snapshots, on_stage, stop)
    except Abandoned as error:
        raise Interrupted("stopped before the first step") from error


def _advance(run: Run, tasks: Sequence[Task], watches: Sequence[Watch], stop: Stop) -> None:
    """Make all updates, or those until a stop is requested, but at least one, so that there is something to keep."""
    while run.done < run.total and len(run.failures) < len(tasks):
        try:
            steps = run.find_gradients()
        except Abandoned:
            _keep(run, tasks, stop)
            return
        _report(run, watches, steps)
        run.update()
        _keep(run, tasks, stop)
        if stop.asked:
            return


def _keep(run: Run, tasks: Sequence[Task], stop: Stop) -> None:
    for row, task in enumerate(tasks):
        keeper = task.keeper
        if keeper and row not in run.failures and (stop.asked or keeper.is_due(run.done, run.total)):
            keeper.keep(run.snapshot(row))


def _report(run: Run, watches: Sequence[Watch], steps: Sequence[Step]) -> None:
    for row, (watch, step) in enumerate(zip(watches, steps, strict=True)):
        if row not in run.failures:
            watch.on_step(step)


def _outcome(run: Run, row: int) -> Outcome:
    if row not in run.failures:
        return Outcome.FINISHED if run.done == run.total else Outcome.INTERRUPTED
    return Outcome.DIVERGED if run.has_picture(row) else Outcome.FAILED


def _result(plan: Plan, step: Step, outcome: Outcome, notes: Sequence[str]) -> Result:
    return Result(to_pil(step.image), plan, float(step.score), outcome, tuple(notes))


def _given(tasks: Sequence[Task], device: torch.device) -> Given:
    """Return the images of pictures that are made together. Raises UsageError unless they are all there."""
    inputs = [Inputs.of(task.inputs) for task in tasks]
    count = sum(each.init is not None for each in inputs)
    if count != sum(bool(task.plan.init) for task in tasks) or count not in (0, len(tasks)):
        raise UsageError("a plan that names an init image must come with it, and of plans made together all or none do")
    return given_by(inputs, tasks[0].plan.size, device)


def fit_together(first: Plan, other: Plan) -> bool:
    """Tell whether two pictures can be made in lockstep: the plans differ in prompts, seed and init image only."""
    same = replace(other, prompts=first.prompts, readings=(), seed=first.seed, init=first.init)
    return same == replace(first, readings=())


def _check_together(plans: Sequence[Plan]) -> None:
    """Raise a UsageError unless plans differ in prompts, seed and init image only."""
    first = plans[0]
    for plan in plans:
        if not fit_together(first, plan):
            raise UsageError("plans that are made together must agree in all but prompts, seed and init image")

"""A session: plans to files, with the models kept between calls. Independent of the command line.

    session = Session(device="auto")
    plan, inputs = session.plan(Job(parse_prompts("a cat")))
    session.make_alone(plan, inputs, Path("outputs"))

`session.stop.ask()` stops it from any thread: the current picture is kept as it is, and no more are made; asked for
another, it raises Interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from clipgen.config.job import Job
from clipgen.config.judging import check_rankable
from clipgen.config.plan import Plan, spell
from clipgen.config.preset import LOCAL, STARTER
from clipgen.config.upscales import final_size
from clipgen.engine.cost import CostEstimate
from clipgen.engine.forecast import GUIDING, Cost, Phase, phases_of
from clipgen.engine.inputs import Inputs
from clipgen.engine.memory import is_memory_error
from clipgen.engine.models import Models, load_models
from clipgen.engine.optimise import Result, fit_together, optimise_together
from clipgen.errors import ClipgenError, Interrupted
from clipgen.outputs.picture_file import check_room
from clipgen.session.candidates import TOGETHER, best_seeds, candidate_phases
from clipgen.session.inputs import file_digest
from clipgen.session.naming import STEPS, destination, suffix_of
from clipgen.session.options import MAX_TOGETHER, Listener, OutputOptions, check_candidates
from clipgen.session.order import Order
from clipgen.session.picture import Picture
from clipgen.session.planning import plan_job
from clipgen.session.state import SUFFIX, Workspace
from clipgen.util.files import reserved
from clipgen.util.interrupts import Stop, at_the_latest
from clipgen.util.text import readable_time

MAX_MEASURED = 8
"""How many of many plans are measured to tell how long all of them take."""


def _models_of(plan: Plan) -> object:
    """Return what tells the models of a plan from those of others."""
    return plan.generator.weights, plan.perceptors, plan.unclip, plan.models, plan.precision, plan.upscale


def _alike(plan: Plan) -> dict[str, Any]:
    """Return the settings of a plan on which the cost of a step does not depend, beside those that lockstep ignores."""
    return {"steps": plan.steps, "lr": plan.lr, "lr_schedule": plan.lr_schedule}


class KeptModels:
    """The models of the last plan, kept for the next one that names the same; sessions that share them load once."""

    def __init__(self) -> None:
        self._kept: tuple[object, Models] | None = None
        self._loading = Lock()

    def of(self, plan: Plan, device: str, listener: Listener) -> Models:
        """Return the models of a plan, loading them if necessary."""
        key = _models_of(plan)
        with self._loading:
            if self._kept is None or self._kept[0] != key:
                listener.stage("loading the models")
                self._kept = None  # first, so that two sets of models are never in memory together
                self._kept = key, load_models(plan, device, listener.note)
            return self._kept[1]


class Session:
    """Makes pictures; models are loaded for the first one and kept as long as plans name the same ones."""

    def __init__(
        self,
        device: str = "auto",
        *,
        options: OutputOptions | None = None,
        listener: Listener | None = None,
        kept: KeptModels | None = None,
    ) -> None:
        """device: as for `--device`. kept: shared with the sessions before and after, on the same device."""
        self.stop = Stop()
        self._device = device
        self._options = options or OutputOptions()
        self._listener = listener or Listener()
        self._kept = kept or KeptModels()
        self._cost: tuple[Plan, Cost] | None = None
        self._is_announced = False
        self._expected = 0  # how many of the next runs the listener already expects

    def plan(self, job: Job) -> tuple[Plan, Inputs]:
        """Return the plan of a job and its images; the listener receives the notes. Raises UsageError."""
        plan, inputs, notes = plan_job(job, self._device)
        for note in notes:
            self._listener.note(note)
        return plan, inputs

    def models(self, plan: Plan) -> Models:
        """Return the models of a plan, loading them if necessary."""
        return self._kept.of(plan, self._device, self._listener)

    def make_alone(self, plan: Plan, inputs: Inputs | None, out: Path, label: str = "") -> Path:
        """Make one picture at `out`: a picture file, or a folder, in which it gets the default name.

        Returns its path. Raises ClipgenError if any part of this failed.
        """
        (folder, stem), suffix = destination(out, plan), suffix_of(out, self._options.suffix)
        with self.claimed(plan, inputs, folder, stem, suffix) as (workspace, paths):
            self.make(Picture(workspace, paths, label or plan.text))
            return paths[suffix]

    def make_best(self, plan: Plan, inputs: Inputs | None, out: Path, candidates: int, keep: int) -> None:
        """Make the pictures of the best seeds among some candidates, best first."""
        check_candidates(candidates, keep)
        if candidates == 1:
            self.make_alone(plan, inputs, out)
            return
        check_rankable(plan)
        listener = self._listener
        try:
            models = self.models(plan)
            self._warn([plan], models)
            together = self.pictures_together(plan, TOGETHER)
            if cost := self._measured(plan, models):
                each = phases_of(plan, cost, self._options.films, self._options.timing)
                listener.expect([*candidate_phases(plan, candidates, cost, together), *(each * keep)])
                self._expected = keep
            best = best_seeds(
                plan,
                candidates,
                models,
                listener.progress,
                inputs=inputs,
                stop=self.stop,
                on_stage=listener.stage,
                together=together,
            )
        finally:
            listener.idle()
        listener.ranked(best)
        for one in best:
            listener.note(str(one))
        for place, one in enumerate(best[:keep], start=1):
            self.make_alone(one.plan, inputs, out, f"[{place}/{keep}] {plan.text}" if keep > 1 else "")

    @contextmanager
    def claimed(
        self, plan: Plan, inputs: Inputs | None, folder: Path, stem: str, suffix: str = ""
    ) -> Iterator[tuple[Workspace, dict[str, Path]]]:
        """Reserve free names for the files of a plan, and a folder for its state; suffix: of the picture, if asked."""
        inputs, suffix = inputs or Inputs(), suffix or self._options.suffix
        order = self._order(plan, inputs, suffix)
        folders = (STEPS,) if order.every_step else ()
        with reserved(folder, stem, order.suffixes, avoid=SUFFIX, folders=folders) as paths:
            workspace = Workspace.create(paths[suffix].with_suffix(SUFFIX), order, inputs)

            def clear() -> None:
                if workspace.is_held and not workspace.has_snapshot:  # stopped before there was anything to resume
                    workspace.discard()

            try:
                with at_the_latest(clear):
                    yield workspace, paths
            finally:
                clear()

    def _order(self, plan: Plan, inputs: Inputs, suffix: str) -> Order:
        """Return the order; raises UsageError if the format cannot hold the picture, or its recipe."""
        options = self._options
        saving = options.saving(suffix)
        saving.check(final_size(plan))
        order = Order.of(
            plan,
            options.films,
            saving=saving,
            timing=options.timing,
            every_step=options.every_step,
            init_sha256=file_digest(inputs.init),
            keep_state=options.keep_state,
        )
        check_room(plan, order.described, saving)
        return order

    def pictures_together(self, plan: Plan, most: int = MAX_TOGETHER) -> int:
        """Return how many pictures of such plans to make in lockstep: as many as are estimated to fit into memory."""
        return CostEstimate(plan, self.models(plan)).pictures_that_fit(most)

    def seconds_of(self, plans: Sequence[Plan]) -> float | None:
        """Return about how long runs of these plans take in all; None if nobody is to be told.

        A few of them are measured, of those that need the models of the first.
        """
        needed = [plan for plan in plans if _models_of(plan) == _models_of(plans[0])]
        measured = needed[:: -(-len(needed) // MAX_MEASURED)] if needed else []
        costs = [(plan, self._measured(plan, self.models(plan))) for plan in measured]
        runs = [
            sum(phase.seconds for phase in phases_of(plan, cost, self._options.films)) for plan, cost in costs if cost
        ]
        return sum(runs) / len(runs) * len(plans) if runs else None

    def make(self, picture: Picture) -> None:
        """Make one picture. Raises ClipgenError if any part of this failed."""
        [error] = self.make_together([picture])
        if error:
            raise error

    def make_together(self, pictures: Sequence[Picture]) -> list[ClipgenError | None]:
        """Make pictures in lockstep; returns the error of each, or None.

        The state of an unfinished run is kept. Errors that affect all pictures are raised.
        """
        if self.stop.asked:
            raise Interrupted("stopped before the picture was begun")
        errors: list[ClipgenError | None] = [None] * len(pictures)
        try:
            made = self._run(pictures)
            errors = [self._checked(picture, one) for picture, one in zip(pictures, made, strict=True)]
        finally:
            self._listener.idle()
            for number, picture in enumerate(pictures):
                picture.leave(self._options, self._listener)
                problems = [each for each in picture.problems if each != str(errors[number])]
                if problems and errors[number] is None and sys.exc_info()[0] is None:
                    errors[number] = ClipgenError("; ".join(problems))
                elif problems:
                    word = "error" if errors[number] is None else "warning"  # an error is one line
                    self._listener.error(f"{word}: {'; '.join(problems)}")
        return errors

    def _run(self, pictures: Sequence[Picture]) -> list[Result | ClipgenError]:
        listener, plans = self._listener, [picture.plan for picture in pictures]
        models = self.models(plans[0])
        self._warn(plans, models)
        done = pictures[0].steps_done
        if self._expected:
            self._expected -= 1
        elif cost := self._measured(plans[0], models):
            films, timing = pictures[0].films, pictures[0].timing
            phases = phases_of(plans[0], cost, films, timing, pictures=len(pictures), done=done)
            self._announce(plans[0], phases, plans[0].steps - done)
            listener.expect(phases)
        label = pictures[0].label + (f" and {len(pictures) - 1} more" if len(pictures) > 1 else "")
        sinks = [listener.progress(label), *([] for _ in pictures[1:])]
        tasks = [
            each.task(self._options, own, listener.stage, models.upscaler)
            for each, own in zip(pictures, sinks, strict=True)
        ]
        return optimise_together(tasks, models, stop=self.stop, on_stage=listener.stage)

    def _checked(self, picture: Picture, made: Result | ClipgenError) -> ClipgenError | None:
        """Return the error of a picture, also that it was made and not written; passes notes on."""
        if isinstance(made, ClipgenError):
            return made
        for note in made.notes:
            self._listener.note(note)
        return None if picture.record else ClipgenError(f"the picture {picture.path} was not written")

    def _warn(self, plans: Sequence[Plan], models: Models) -> None:
        for plan in plans:
            for note in self._listener.warnings(plan, models):
                self._listener.note(note)

    def _measured(self, plan: Plan, models: Models) -> Cost | None:
        """Return what a run costs here, measured once for plans that fit together, if anybody is to be told."""
        if not self._listener.says_duration:
            return None
        known = self._cost and fit_together(self._cost[0], replace(plan, **_alike(self._cost[0])))
        if self._cost is None or not known:
            try:
                self._cost = plan, CostEstimate(plan, models).measured()
            except (MemoryError, RuntimeError) as error:
                if is_memory_error(error):
                    return None  # the run itself reports this, and handles it
                raise
        return self._cost[1]

    def _announce(self, plan: Plan, phases: Sequence[Phase], steps: int) -> None:
        """Report once how long a run takes with models that can take hours."""
        network = plan.generator.weights
        if self._is_announced or (plan.preset in LOCAL and (network or STARTER).startswith(STARTER)):
            return
        self._is_announced = True
        seconds = sum(phase.seconds for phase in phases if phase.name == GUIDING)
        self._listener.note(f"{steps} steps at {spell(plan.size)} take about {readable_time(seconds)} here")

"""A session: plans to files, with the models kept between calls. Independent of the command line.

    session = Session(device="auto")
    plan, init = session.plan(Job(parse_prompts("a cat")))
    session.make_alone(plan, init, Path("outputs"))

`session.stop.ask()` stops it from any thread: the current picture is kept as it is, and no more are made; asked for
another, it raises Interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan, spell
from clipgen.config.presets import LOCAL, STARTER
from clipgen.engine.cost import CostEstimate
from clipgen.engine.memory import is_memory_error
from clipgen.engine.models import Models, load_models
from clipgen.engine.optimise import optimise_together
from clipgen.errors import ClipgenError, Interrupted
from clipgen.session.candidates import best_seeds
from clipgen.session.naming import destination
from clipgen.session.options import MAX_TOGETHER, Listener, OutputOptions, check_candidates
from clipgen.session.picture import Picture
from clipgen.session.planning import plan_job
from clipgen.session.state import SUFFIX, Order, Workspace
from clipgen.util.files import reserved
from clipgen.util.interrupts import Stop, at_the_latest
from clipgen.util.text import readable_time


class Session:
    """Makes pictures; models are loaded for the first one and kept as long as plans name the same ones."""

    def __init__(
        self, device: str = "auto", *, options: OutputOptions | None = None, listener: Listener | None = None
    ) -> None:
        """device: as for `--device`."""
        self.stop = Stop()
        self._device = device
        self._options = options or OutputOptions()
        self._listener = listener or Listener()
        self._kept: tuple[object, Models] | None = None
        self._loading = Lock()
        self._is_timed = not self._listener.says_duration

    def plan(self, job: Job) -> tuple[Plan, Image.Image | None]:
        """Return the plan of a job and its init image; the listener receives the notes. Raises UsageError."""
        plan, init, notes = plan_job(job, self._device)
        for note in notes:
            self._listener.note(note)
        return plan, init

    def models(self, plan: Plan) -> Models:
        """Return the models of a plan, loading them if necessary."""
        key = (plan.generator.weights, plan.perceptors, plan.unclip, plan.models)
        with self._loading:
            if self._kept is None or self._kept[0] != key:
                self._kept = None  # first, so that two sets of models are never in memory together
                self._kept = key, load_models(plan, self._device, self._listener.note)
            return self._kept[1]

    def make_alone(self, plan: Plan, init: Image.Image | None, out: Path, label: str = "") -> Path:
        """Make one picture at `out`: a PNG file, or a folder, in which it gets the default name.

        Returns its path. Raises ClipgenError if any part of this failed.
        """
        folder, stem = destination(out, plan)
        with self.claimed(plan, init, folder, stem) as (workspace, paths):
            self.make(Picture(workspace, paths, label or plan.text))
            return paths[".png"]

    def make_best(self, plan: Plan, init: Image.Image | None, out: Path, candidates: int, keep: int) -> None:
        """Make the pictures of the best seeds among some candidates, best first."""
        check_candidates(candidates, keep)
        if candidates == 1:
            self.make_alone(plan, init, out)
            return
        self._announce([plan], self.models(plan), plan.steps)
        best = best_seeds(plan, candidates, self.models(plan), self._listener.progress, init=init, stop=self.stop)
        for each in best:
            self._listener.note(f"seed {each.plan.seed}: {each.score:.3f} by the judge")
        for place, each in enumerate(best[:keep], start=1):
            self.make_alone(each.plan, init, out, f"[{place}/{keep}] {plan.text}" if keep > 1 else "")

    @contextmanager
    def claimed(
        self, plan: Plan, init: Image.Image | None, folder: Path, stem: str
    ) -> Iterator[tuple[Workspace, dict[str, Path]]]:
        """Reserve free names for the files of a plan, and a folder for its state."""
        order = Order.of(plan, self._options.films, metadata=self._options.metadata)
        with reserved(folder, stem, (".png", *order.films), avoid=SUFFIX) as paths:
            workspace = Workspace.create(paths[".png"].with_suffix(SUFFIX), order, init)

            def clear() -> None:
                if workspace.is_held and not workspace.has_snapshot:  # stopped before there was anything to resume
                    workspace.discard()

            try:
                with at_the_latest(clear):
                    yield workspace, paths
            finally:
                clear()

    def pictures_together(self, plan: Plan, most: int = MAX_TOGETHER) -> int:
        """Return how many pictures of such plans to make in lockstep: as many as are estimated to fit into memory."""
        return CostEstimate(plan, self.models(plan)).pictures_that_fit(most)

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
        label = pictures[0].label + (f" and {len(pictures) - 1} more" if len(pictures) > 1 else "")
        errors: list[ClipgenError | None] = [None] * len(pictures)
        try:
            models = self.models(pictures[0].plan)
            self._announce([picture.plan for picture in pictures], models, pictures[0].steps_left)
            sinks = [self._listener.progress(label), *([] for _ in pictures[1:])]
            tasks = [each.task(self._options, own) for each, own in zip(pictures, sinks, strict=True)]
            made = optimise_together(tasks, models, stop=self.stop, on_stage=self._listener.stage)
            errors = [one if isinstance(one, ClipgenError) else None for one in made]
        finally:
            for number, picture in enumerate(pictures):
                picture.leave(self._options, self._listener)
                if picture.problems and errors[number] is None and sys.exc_info()[0] is None:
                    errors[number] = ClipgenError(picture.problems)
                elif picture.problems:
                    self._listener.error(f"error: {picture.problems}")
        return errors

    def _announce(self, plans: Sequence[Plan], models: Models, steps: int) -> None:
        """Report warnings before the run, and how long it takes with models that can take hours."""
        for plan in plans:
            for note in self._listener.warnings(plan, models):
                self._listener.note(note)
        plan = plans[0]
        network = plan.generator.weights
        if self._is_timed or (plan.preset in LOCAL and (network or STARTER).startswith(STARTER)):
            return
        self._is_timed = True
        try:
            seconds = CostEstimate(plan, models).seconds() * steps / plan.steps
        except (MemoryError, RuntimeError) as error:
            if is_memory_error(error):
                return  # the run itself reports this, and handles it
            raise
        self._listener.note(f"{steps} steps at {spell(plan.size)} take about {readable_time(seconds)} here")

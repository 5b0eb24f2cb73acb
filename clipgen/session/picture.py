"""One picture of a session: its files, its saved state, and the sinks that write them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from os.path import lexists  # which is False, and no error, in a folder that is forbidden
from pathlib import Path
from typing import Any

from PIL.Image import Image

from clipgen.config.films import Timing
from clipgen.config.plan import Plan
from clipgen.config.targets import MORPH, MORPH_SINCE
from clipgen.core.contracts import Sink
from clipgen.engine.optimise import Task
from clipgen.engine.upscaling import Upscaler, enlarged
from clipgen.outputs.film import FilmSink
from clipgen.outputs.picture import PictureSink, Sign
from clipgen.outputs.signing import MIMES
from clipgen.outputs.steps import StepPictures
from clipgen.outputs.stroke_film import StrokeFilmSink
from clipgen.outputs.svg import SvgSink
from clipgen.outputs.xmp import source_of
from clipgen.session.naming import STEPS, SVG
from clipgen.session.options import CONTINUE, Listener, OutputOptions
from clipgen.session.state import PeriodicKeeper, Workspace, change_order


class Picture:
    """A picture in progress, from the start or from a saved state, with its films.

    paths: its files by suffix, that of the picture first.
    """

    def __init__(self, workspace: Workspace, paths: Mapping[str, Path], label: str) -> None:
        self.workspace = workspace
        self.plan = workspace.order.plan
        self.label = label
        order = workspace.order
        self.path, self._film_paths = paths[order.saving.suffix], [paths[suffix] for suffix in order.films]
        self._source = source_of(self.plan)
        self._mark = self._source if order.saving.mark else ""
        self._svg = SvgSink(paths[SVG], workspace.own.claim, self._mark) if SVG in paths else None
        self._films: list[FilmSink] = []
        self._keeper: PeriodicKeeper | None = None
        self._missing: list[str] = []
        self._picture = PictureSink(
            self.path, order.plan, described=order.described, saving=order.saving, claim=workspace.own.claim
        )
        self._steps = self._step_pictures(paths[STEPS]) if order.every_step else None

    def task(
        self,
        options: OutputOptions,
        sinks: Sequence[Sink],
        on_stage: Callable[[str], None] = lambda _stage: None,
        upscaler: Upscaler | None = None,
    ) -> Task:
        """Return the task for the engine, observed by these sinks and the picture's own.

        on_stage: receives what is done in the end. upscaler: that of the plan's models.
        """
        self._note_keeping(options.keep_state)
        self._picture.signed = self._signer(options, self.path)
        if self._svg:
            self._svg.signed = self._signer(options, self._svg.path)
        if self.plan.upscale:
            self._picture.finish = partial(self._enlarged, on_stage, upscaler)
        snapshot = self.workspace.snapshot()
        done = snapshot.done if snapshot else 0
        own, digests = self.workspace.own, self.workspace.digests
        kind = StrokeFilmSink if self.timing.by_stroke else FilmSink
        self._films = [
            kind(
                path,
                None if self.timing.by_stroke else self.workspace.folder,
                done,
                on_stage,
                **filmed(self.plan),
                timing=self.timing,
                digests=digests,
                claim=own.claim,
                source=self._mark,
                signed=self._signer(options, path),
            )
            for path in self._film_paths
        ]
        steps = [self._steps] if self._steps else []
        before = [*(each.keep for each in self._beside), *(each.keep for each in steps), self._keep_picture]
        self._keeper = PeriodicKeeper(self.workspace, options.save_every, before, last=options.keep_state)
        watching: list[Sink] = [self._picture, *self._beside, *steps, *sinks]
        return Task(self.plan, self.workspace.inputs, watching, self._keeper, snapshot)

    def _signer(self, options: OutputOptions, path: Path) -> Sign | None:
        """Return what signs a file; None if that is not asked for, or its format has no place for a signature."""
        signing = options.signing
        if signing is None or path.suffix not in MIMES:
            return None
        return partial(signing.signed, suffix=path.suffix, source=self._source)

    def _note_keeping(self, keep_state: bool) -> None:
        """Have the state tell whether it stays: one that a kill at the very end leaves, the next batch removes."""
        order = self.workspace.order
        if order.keep_state != keep_state:
            change_order(self.workspace, replace(order, keep_state=keep_state))

    def _enlarged(self, on_stage: Callable[[str], None], upscaler: Upscaler | None, image: Image) -> Image:
        on_stage(f"enlarging {self.path.name}")
        return enlarged(image, self.plan, upscaler)

    @property
    def _beside(self) -> Sequence[SvgSink | FilmSink]:
        """What writes the files beside the picture: its drawing, and its films."""
        return [*([self._svg] if self._svg else []), *self._films]

    def _step_pictures(self, folder: Path) -> StepPictures:
        order, place = self.workspace.order, self.workspace.folder
        every, claim = order.every_step or 1, self.workspace.own_steps.claim
        described, saving = order.described, order.saving
        return StepPictures(folder, place, order.plan, every, described=described, saving=saving, claim=claim)

    def _keep_picture(self, done: int) -> None:
        """Write the picture so far; if that fails the state is saved all the same, and the last save says why."""
        with suppress(OSError):
            self._picture.keep(done)

    @property
    def record(self) -> Mapping[str, object]:
        """The plan and the outcome; empty until the last picture is written."""
        return self._picture.record

    @property
    def steps_done(self) -> int:
        """Number of steps that the run has made before."""
        snapshot = self.workspace.snapshot()
        return snapshot.done if snapshot else 0

    @property
    def films(self) -> tuple[str, ...]:
        """The suffixes of its films."""
        return tuple(path.suffix for path in self._film_paths)

    @property
    def timing(self) -> Timing:
        """What its films are asked to have."""
        return self.workspace.order.timing

    @property
    def problems(self) -> list[str]:
        """What went wrong with the picture and the films."""
        found = [self._picture.problem, *(each.problem for each in self._beside), *self._missing]
        return [problem for problem in found if problem]

    @property
    def _is_unwritten(self) -> bool:
        """Whether something that the run has made did not get to its place, and a resumed run can write it."""
        can_be_written = any(film.problem and not film.is_lost for film in self._films)
        drawn = self._svg.problem if self._svg else None
        return bool(self._picture.problem or drawn or self._missing or can_be_written)

    def leave(self, options: OutputOptions, listener: Listener) -> None:
        """Release the saved state, delete it unless it is still needed, and report what was written."""
        written = [each.path for each in self._beside if not each.problem] if self.record else []
        gone = [path for path in (self.path, *written) if self.record and not self.workspace.own.has(path)]
        self._missing = [f"{path} is no longer what was written there" for path in gone]
        outcome = self.record.get("outcome")
        is_over = outcome in ("finished", "diverged")
        can_go_on = self.workspace.has_snapshot or (self.workspace.was_left and not is_over)
        needed = self._is_unwritten or (can_go_on and (not is_over or options.keep_state))
        if not needed:
            self.workspace.discard()
        else:
            self.workspace.release()
            if (outcome != "finished" or self._is_unwritten) and lexists(self.workspace.folder):
                listener.error(f"{CONTINUE}clipgen resume {shlex.quote(str(self.path))}")
        if self.record and self.path not in gone:
            listener.saved(self.path, [path for path in written if path not in gone], self._described())
        self._report_steps(listener)
        for path in self._film_paths if options.signing else ():
            if path.suffix not in MIMES:
                listener.note(f"{path} is not signed: films in this format have no place for a signature")
        if at_once := self.record.get("cutouts_at_once"):
            listener.note(f"memory was short: the cutouts were processed {at_once} at a time, which takes longer")
        if self._keeper and self._keeper.problem:
            listener.note(f"warning: {self._keeper.problem}")

    def _described(self) -> Mapping[str, object]:
        """Return the record with the folder of step pictures, if there are any."""
        steps = self._steps
        return {**self.record, "step_pictures": str(steps.folder)} if steps and steps.written else self.record

    def _report_steps(self, listener: Listener) -> None:
        if self._steps and self._steps.written:
            listener.note(f"the pictures of single steps are in {self._steps.folder}")
        if self._steps and self._steps.problem:
            listener.error(f"warning: {self._steps.problem}")


def filmed(plan: Plan) -> dict[str, Any]:
    """Return what a `FilmSink` has to know of a plan."""
    return {
        "motion": next(iter(plan.motion), None),
        "since": MORPH_SINCE if plan.blend == MORPH else 0.0,
    }

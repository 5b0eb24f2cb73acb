"""A batch: a picture for every prompt, with the models loaded once and as many in lockstep as fit into memory."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.saving import SUFFIXES
from clipgen.core.contracts import Outcome
from clipgen.engine.inputs import Inputs
from clipgen.engine.optimise import fit_together
from clipgen.errors import ClipgenError, OutOfMemoryError
from clipgen.outputs.metadata import describe_plan, is_done
from clipgen.outputs.picture import reason_of
from clipgen.outputs.steps import has_all_steps
from clipgen.outputs.svg import is_whole_svg
from clipgen.outputs.whole import is_whole_film
from clipgen.session.inputs import file_digest, with_digests
from clipgen.session.naming import SVG, default_stem, steps_folder
from clipgen.session.options import Listener, OutputOptions
from clipgen.session.order import Order
from clipgen.session.picture import Picture
from clipgen.session.resume import own_paths, unfinished_picture
from clipgen.session.session import Session
from clipgen.session.state import PATIENCE, SUFFIX, BusyError, Workspace, read_order, workspaces
from clipgen.util.files import make_folder
from clipgen.util.text import one_line

MAX_ERROR = 300


class Asked(NamedTuple):
    """A line as it was typed."""

    number: int
    """In the file, from 1."""
    text: str
    label: str
    """Its place among the lines of the batch, to be shown."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Names and values of the fields of a job that the line sets."""


@dataclass(frozen=True)
class Line:
    """A line of a batch that is to become a picture."""

    number: int
    plan: Plan
    label: str


class Batch:
    """Makes the pictures of many prompts, and records which were skipped and which failed.

    template: the job of every picture, except for the prompt; inputs: its images.
    device: where it will run, as for `--device`.
    together: maximum number of pictures made in lockstep. unit: what errors call a line.
    """

    def __init__(
        self,
        session: Session,
        template: Job,
        inputs: Inputs | None,
        folder: Path,
        options: OutputOptions,
        listener: Listener,
        *,
        device: str,
        together: int,
        unit: str = "line",
    ) -> None:
        self.skipped: list[str] = []
        self.failed: list[dict[str, object]] = []
        self.pictures: dict[int, Path] = {}
        """The finished picture of each line that has one, by its number."""
        self._session, self._template, self._inputs = session, template, Inputs.of(inputs)
        self._folder, self._options, self._listener = folder, options, listener
        self._device, self._together, self._unit = device, together, unit
        self._size = 0
        self._waiting: list[tuple[Line, Picture]] = []
        self._claims = ExitStack()

    def make_all(self, lines: Sequence[Asked]) -> None:
        """Make the pictures of all lines; errors are reported and recorded, not raised."""
        make_folder(self._folder)
        with self._claims:
            for asked in lines:
                if self._session.stop.asked:
                    break
                self._take(asked)
            self._make_waiting()

    def plans_left(self, lines: Sequence[Asked]) -> list[Plan]:
        """Return the plans of the lines whose pictures are still to be made. Raises ClipgenError."""
        return [plan for asked in lines if self._finished(plan := self._plan(asked)) is None]

    def _take(self, asked: Asked) -> None:
        try:
            plan = self._plan(asked)
            if any(line.plan == plan for line, _ in self._waiting):
                self._make_waiting()
            self._prepare(Line(asked.number, plan, f"{asked.label} {plan.text}"))
        except Exception as error:  # whatever it is, it costs this line only
            self._fail(asked.number, error)

    def _plan(self, asked: Asked) -> Plan:
        job = replace(self._template, prompts=parse_prompts(asked.text), **dict(asked.settings))
        plan, notes = resolve(job, self._inputs.size, self._device, self._inputs.tokens)
        for note in notes:
            self._listener.note(note)
        return with_digests(plan, self._inputs)

    def _prepare(self, line: Line) -> None:
        """Skip a finished picture, resume a stopped one, or queue a new one."""
        try:
            if (done := self._finished(line.plan)) is not None:
                with suppress(ClipgenError):  # what cannot be removed is as harmless as what is in use
                    self._clear(done, line.plan)
                self._skip(done, f"{line.label}: already made, {done}")
                self.pictures[line.number] = done
            elif same := self._others(line.plan):
                self._resume(Workspace.open(same[0]), line.label, line.number)
            else:
                self._wait(line)
        except BusyError as busy:
            self._skip(self._folder / f"{default_stem(line.plan)}{self._options.suffix}", f"{line.label}: {busy}")

    def _clear(self, picture: Path, plan: Plan) -> None:
        """Remove the state that a run leaves if it is killed between its picture and its end."""
        folder = picture.with_suffix(SUFFIX)
        if folder.is_dir() and folder in self._others(plan):
            workspace = Workspace.open(folder)
            is_over = workspace.order.keep_state is False and workspace.own.has(picture)
            (workspace.discard if is_over else workspace.release)()

    def _resume(self, workspace: Workspace, label: str, number: int) -> None:
        try:
            with unfinished_picture(workspace, own_paths(workspace), label) as picture:
                self._session.make(picture)
                self._note(number, picture)
        finally:
            workspace.release()

    def _wait(self, line: Line) -> None:
        plan = line.plan
        if self._waiting and not fit_together(self._waiting[0][1].plan, plan):
            self._make_waiting()
        if not self._waiting:
            self._size = self._session.pictures_together(plan, self._together)
        claim = self._session.claimed(plan, self._inputs, self._folder, default_stem(plan))
        with ExitStack() as on_error:
            workspace, paths = on_error.enter_context(claim)
            self._check_rivals(workspace)
            self._claims.push(on_error.pop_all())
        self._waiting.append((line, Picture(workspace, paths, line.label)))
        if len(self._waiting) >= self._size:
            self._make_waiting()

    def _make_waiting(self) -> None:
        """Make the queued pictures in lockstep; after a stop they are left."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._session.stop.asked:
            return
        lines = [line for line, _ in waiting]
        try:
            with self._claims:
                errors = self._session.make_together([picture for _, picture in waiting])
        except Exception as error:
            self._fail_together(lines, error)
            return
        for (line, picture), failure in zip(waiting, errors, strict=True):
            if failure:
                self._fail(line.number, failure)
            else:
                self._note(line.number, picture)

    def _note(self, number: int, picture: Picture) -> None:
        if picture.record.get("outcome") == Outcome.FINISHED.value:  # it may have been stopped
            self.pictures[number] = picture.path

    def _fail_together(self, lines: Sequence[Line], error: Exception) -> None:
        """Report the error of a group, if one is expected that affects all; make the pictures one by one otherwise."""
        is_of_one = not isinstance(error, ClipgenError) or isinstance(error, OutOfMemoryError)
        if len(lines) == 1 or not is_of_one or _is_stop(error):
            for line in lines:
                self._fail(line.number, error)
            return
        together, self._together = self._together, 1
        for line in lines:
            if self._session.stop.asked:
                break
            try:
                self._prepare(line)
            except Exception as own:
                self._fail(line.number, own)
        self._together = together

    def _fail(self, number: int, error: Exception) -> None:
        """Report and record that a line failed; an exception that a stop was turned into is raised again."""
        if _is_stop(error):
            raise error
        expected = isinstance(error, ClipgenError)
        said = str(error) if expected else one_line(f"unexpected {reason_of(error)}", MAX_ERROR)
        self.failed.append({self._unit: number, "error": said})
        self._listener.error(f"error: {self._unit} {number}: {said}")

    def _skip(self, picture: Path, note: str) -> None:
        self.skipped.append(str(picture))
        self._listener.note(note)

    def _check_rivals(self, workspace: Workspace) -> None:
        """Raise BusyError, to leave the picture to another process that started the same line a moment earlier."""
        plan, mine = workspace.order.plan, workspace.folder
        earlier = [path for path in self._others(plan) if (len(path.name), path.name) < (len(mine.name), mine.name)]
        if earlier or self._finished(plan):
            workspace.discard()
            raise BusyError(
                f"{(earlier or [mine])[0].with_suffix(self._options.suffix)} is being made by another process"
            )

    def _finished(self, plan: Plan) -> Path | None:
        """Return the finished picture of exactly this plan, with all that is beside it; None if there is none."""
        named = self._folder.glob(f"{glob.escape(default_stem(plan))}*")
        candidates = sorted(path for path in named if path.suffix.lower() in SUFFIXES)
        wanted = self._described(plan) if candidates else {}
        return next((path for path in candidates if is_done(path, wanted) and self._has_all(path, plan)), None)

    def _has_all(self, picture: Path, plan: Plan) -> bool:
        """Whether a picture has its drawing, its films, and those of its steps that are wanted, beside it."""
        if plan.generator.strokes and not is_whole_svg(picture.with_suffix(SVG)):
            return False
        every, steps = self._options.every_step, plan.steps
        films = (picture.with_suffix(suffix) for suffix in self._options.films)
        return all(map(is_whole_film, films)) and (not every or has_all_steps(steps_folder(picture), steps, every))

    def _others(self, plan: Plan) -> list[Path]:
        """Return the folders with saved states of exactly this plan."""
        orders = {path: read_order(path, PATIENCE) for path in workspaces(self._folder, default_stem(plan))}
        wanted = self._described(plan) if orders else {}
        return [
            path
            for path, order in orders.items()
            if order and order.described == wanted and _beside(order) == _beside(self._options)
        ]

    def _described(self, plan: Plan) -> dict[str, object]:
        return describe_plan(plan, file_digest(self._inputs.init))


def _beside(source: Order | OutputOptions) -> tuple[object, ...]:
    """Return what is written beside a picture."""
    return source.films, source.timing, source.every_step


def _is_stop(error: BaseException | None) -> bool:
    """Whether an exception that nobody expects is what Ctrl-C or SIGTERM became on its way through other code."""
    if isinstance(error, ClipgenError):
        return False
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False

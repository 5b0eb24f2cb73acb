"""A batch: a picture for every prompt, with the models loaded once and as many in lockstep as fit into memory."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.optimise import fit_together
from clipgen.errors import ClipgenError
from clipgen.outputs.metadata import describe_plan, is_done
from clipgen.session.naming import default_stem
from clipgen.session.options import Listener, OutputOptions
from clipgen.session.picture import Picture
from clipgen.session.resume import own_paths, unfinished_picture
from clipgen.session.session import Session
from clipgen.session.state import PATIENCE, BusyError, Workspace, read_order, workspaces
from clipgen.util.files import make_folder


class Batch:
    """Makes the pictures of many prompts, and records which were skipped and which failed.

    template: the job of every picture, except for the prompt; init: its init image.
    device: where it will run, as for `--device`.
    together: maximum number of pictures made in lockstep.
    """

    def __init__(
        self,
        session: Session,
        template: Job,
        init: Image.Image | None,
        folder: Path,
        options: OutputOptions,
        listener: Listener,
        *,
        device: str,
        together: int,
    ) -> None:
        self.skipped: list[str] = []
        self.failed: list[dict[str, object]] = []
        self._session, self._template, self._init = session, template, init
        self._folder, self._films, self._listener = folder, options.films, listener
        self._device, self._together = device, together
        self._size = 0
        self._waiting: list[tuple[int, Picture]] = []
        self._claims = ExitStack()

    def make_all(self, lines: Sequence[tuple[int, str]]) -> None:
        """Make the pictures of all numbered lines; errors are reported and recorded, not raised."""
        make_folder(self._folder)
        with self._claims:
            for place, (number, text) in enumerate(lines, start=1):
                if self._session.stop.asked:
                    break
                self._take(number, text, f"[{place}/{len(lines)}]")
            self._make_waiting()

    def _take(self, line: int, text: str, label: str) -> None:
        try:
            plan = self._plan(text)
            if any(picture.plan.prompts == plan.prompts for _, picture in self._waiting):
                self._make_waiting()
            self._prepare(line, plan, f"{label} {plan.text}")
        except ClipgenError as error:
            self._fail(line, error)

    def _plan(self, text: str) -> Plan:
        job = replace(self._template, prompts=parse_prompts(text))
        plan, notes = resolve(job, self._init.size if self._init else None, self._device)
        for note in notes:
            self._listener.note(note)
        return plan

    def _prepare(self, line: int, plan: Plan, label: str) -> None:
        """Skip a finished picture, resume a stopped one, or queue a new one."""
        try:
            if (done := self._finished(plan)) is not None:
                self._skip(done, f"{label}: already made, {done}")
            elif same := self._others(plan):
                self._resume(Workspace.open(same[0]), label)
            else:
                self._wait(line, plan, label)
        except BusyError as busy:
            self._skip(self._folder / f"{default_stem(plan)}.png", f"{label}: {busy}")

    def _resume(self, workspace: Workspace, label: str) -> None:
        try:
            with unfinished_picture(workspace, own_paths(workspace), label) as picture:
                self._session.make(picture)
        finally:
            workspace.release()

    def _wait(self, line: int, plan: Plan, label: str) -> None:
        if self._waiting and not fit_together(self._waiting[0][1].plan, plan):
            self._make_waiting()
        if not self._waiting:
            self._size = self._session.pictures_together(plan, self._together)
        claim = self._session.claimed(plan, self._init, self._folder, default_stem(plan))
        with ExitStack() as on_error:
            workspace, paths = on_error.enter_context(claim)
            self._check_rivals(workspace)
            self._claims.push(on_error.pop_all())
        self._waiting.append((line, Picture(workspace, paths, label)))
        if len(self._waiting) >= self._size:
            self._make_waiting()

    def _make_waiting(self) -> None:
        """Make the queued pictures in lockstep; after a stop they are left."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._session.stop.asked:
            return
        try:
            errors = self._session.make_together([picture for _, picture in waiting])
        except ClipgenError as error:
            errors = [error for _ in waiting]
        finally:
            self._claims.close()
        for (line, _), failure in zip(waiting, errors, strict=True):
            if failure:
                self._fail(line, failure)

    def _fail(self, line: int, error: ClipgenError) -> None:
        self.failed.append({"line": line, "error": str(error)})
        self._listener.error(f"error: line {line}: {error}")

    def _skip(self, picture: Path, note: str) -> None:
        self.skipped.append(str(picture))
        self._listener.note(note)

    def _check_rivals(self, workspace: Workspace) -> None:
        """Raise BusyError, to leave the picture to another process that started the same line a moment earlier."""
        plan, mine = workspace.order.plan, workspace.folder
        earlier = [path for path in self._others(plan) if (len(path.name), path.name) < (len(mine.name), mine.name)]
        if earlier or self._finished(plan):
            workspace.discard()
            raise BusyError(f"{(earlier or [mine])[0].with_suffix('.png')} is being made by another process")

    def _finished(self, plan: Plan) -> Path | None:
        """Return the finished picture of exactly this plan, with all its films; None if there is none."""
        wanted, candidates = self._described(plan), sorted(self._folder.glob(f"{glob.escape(default_stem(plan))}*.png"))
        return next((path for path in candidates if self._has_films(path) and is_done(path, wanted)), None)

    def _has_films(self, picture: Path) -> bool:
        return all(picture.with_suffix(suffix).exists() for suffix in self._films)

    def _others(self, plan: Plan) -> list[Path]:
        """Return the folders with saved states of exactly this plan."""
        orders = {path: read_order(path, PATIENCE) for path in workspaces(self._folder, default_stem(plan))}
        wanted = self._described(plan) if orders else {}
        return [
            path for path, order in orders.items() if order and (order.described, order.films) == (wanted, self._films)
        ]

    def _described(self, plan: Plan) -> dict[str, object]:
        return describe_plan(replace(plan, init=self._template.init or ""))

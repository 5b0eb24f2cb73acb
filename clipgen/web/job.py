"""One job of the page: what was asked for, how far it is, and what it has made."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt
from clipgen.errors import UsageError
from clipgen.session.options import CONTINUE, OutputOptions
from clipgen.web.names import file_rows, picture_id
from clipgen.web.requests import Planner, Request
from clipgen.web.watching import Progress

if TYPE_CHECKING:
    from clipgen.session.session import Session

QUEUED, RUNNING, PAUSED, STOPPED, DONE, FAILED = "queued", "running", "paused", "stopped", "done", "failed"
OPEN = (QUEUED, RUNNING, PAUSED)
"""The states of a job that is not over."""
FINISHED = "finished"
"""The value of the outcome of a run that made all its steps."""
MAX_NOTES = 50


class Tell(Protocol):
    """Tells the watchers of a job."""

    def __call__(self, job: WebJob, kind: str = "job") -> None:
        """Tell of a change of the job, or of a step of its run."""


class WebJob:
    """What the queue knows of one picture; changed by its thread and by requests, one at a time.

    planner: plans the picture; None for a job of an earlier server, which goes on from the state beside `path`.
    """

    def __init__(
        self,
        request: Request,
        written: OutputOptions,
        tell: Tell,
        *,
        planner: Planner | None = None,
        path: Path | None = None,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.created = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.request, self.written, self.planner, self.tell = request, written, planner, tell
        self.plan: Plan | None = None
        self.path = path
        """The picture, once its name is reserved."""
        self.state, self.stage, self.error = QUEUED, "", ""
        self.notes: list[str] = []
        self.progress = Progress(self._step)
        self.files: list[Path] = []
        """What was written, the picture first."""
        self.redirection: tuple[Prompt, ...] = ()
        """Other texts that the run is to go on with."""
        self.more = 0
        """Steps to be added to the run."""
        self.again = False
        """Whether it is to go on as soon as it has stopped."""
        self.was_done = False
        """Whether an earlier server, or the command line, has finished it and kept its state."""
        self._outcome = ""
        self._asked = ""
        self._session: Session | None = None
        self._lock = RLock()

    def planned(self, plan: Plan) -> None:
        """Take the plan that will be carried out."""
        self.plan, self.progress.total = plan, plan.steps

    def redirect(self, request: Request, prompts: tuple[Prompt, ...]) -> None:
        """Have the run go on, or begin, with the texts of another request."""
        self.request, self.redirection = request, prompts
        if planner := self.planner:
            self.planner = lambda others: planner(others or prompts)

    def followed(self, prompts: tuple[Prompt, ...]) -> None:
        """Take note that the run goes by these texts now, unless there are others meanwhile."""
        if self.redirection is prompts:
            self.redirection = ()

    def enter(self, state: str) -> None:
        """Change the state, and tell of it."""
        self.state, self.stage = state, ""
        self.tell(self)

    def begin(self) -> None:
        """Enter the state of a job that is being made."""
        with self._lock:
            self._asked, self.again, self._outcome, self.error = "", False, "", ""
            self.notes = [line for line in self.notes if not line.startswith(CONTINUE)]
            self.enter(RUNNING)

    @property
    def is_asked(self) -> bool:
        """Whether it was asked to stop."""
        return bool(self._asked)

    def ask(self, state: str) -> None:
        """Ask the run to stop after the current step, for a state."""
        with self._lock:
            self._asked, self.again = state, False
            if self._session:
                self._session.stop.ask()

    def attach(self, session: Session) -> None:
        """Take the session that makes the picture, and stop it if that was asked for meanwhile."""
        with self._lock:
            self._session = session
            if self._asked:
                session.stop.ask()

    def left(self, error: str | None) -> None:
        """Take note of the end of the run, and of the error that ended it."""
        with self._lock:
            self._session = None
            is_stopped = bool(self._asked) and self._outcome != FINISHED and not error
            self.error = error or ""
            done = FAILED if error else DONE if self._outcome == FINISHED else STOPPED
            if done == DONE and self.redirection:
                self.note("the picture was finished before its prompt could change")
                self.redirection = ()
            self.enter(self._asked if is_stopped else done)

    def saved(self, picture: Path, films: Sequence[Path], record: Mapping[str, Any]) -> None:
        """Take note of what was written, and how the run ended."""
        self._outcome = str(record.get("outcome", ""))
        self.files = [picture, *films]
        self.progress.step = int(record.get("steps_done", self.progress.step))
        self.progress.score = record.get("clip_score", self.progress.score)

    def note(self, line: str) -> None:
        """Keep a line for the user, once."""
        if line not in self.notes:
            self.notes = [*self.notes, line][-MAX_NOTES:]

    def enter_stage(self, stage: str) -> None:
        """Tell what is done before and after the steps."""
        if stage != self.stage:
            self.stage = stage
            self.tell(self)

    @property
    def has_state(self) -> bool:
        """Whether what it is to make is kept on disk, from which the run can begin or go on."""
        from clipgen.session.state import JOB

        return self._keeps(JOB)

    @property
    def has_begun(self) -> bool:
        """Whether a step of the run is kept on disk."""
        from clipgen.session.state import STATE

        return self._keeps(STATE)

    def _keeps(self, name: str) -> bool:
        from clipgen.session.state import SUFFIX

        return self.path is not None and (self.path.with_suffix(SUFFIX) / name).exists()

    @property
    def is_resumable(self) -> bool:
        """Whether it was stopped, or failed, and can go on, or begin again."""
        return self.state in (PAUSED, STOPPED, FAILED) and (self.planner is not None or self.has_state)

    def discard_state(self) -> None:
        """Remove the state of a picture that was finished here."""
        if self.state == DONE and not self.was_done:
            self._discard()

    def withdraw(self) -> None:
        """Remove what is kept of a run that has not begun."""
        if self.has_state and not self.has_begun:
            self._discard()
            self.path = None

    def _discard(self) -> None:
        if self.path is None:
            return
        from clipgen.session.resume import state_of
        from clipgen.session.state import Workspace

        with suppress(UsageError):  # it is gone, or somebody else goes on with it
            Workspace.open(state_of(self.path)).discard()

    def to_dict(self) -> dict[str, Any]:
        """Return what the page shows."""
        seed = self.plan.seed if self.plan else None
        files = file_rows(self.files)
        return {
            "id": self.id,
            "state": self.state,
            "stage": self.stage,
            "prompt": self.request.prompt,
            **{key: value for key, value in self.step_dict().items() if key != "id"},
            "seed": seed,
            "error": self.error or None,
            "notes": self.notes,
            "resumable": self.is_resumable,
            "created": self.created,
            "files": files,
            "picture": picture_id(self.files[0].name) if files else None,
            "request": self.request.to_dict(),
        }

    def step_dict(self) -> dict[str, Any]:
        """Return how far it is."""
        seen = self.progress
        return {"id": self.id, "step": seen.step, "total": seen.total, "score": seen.score, "frame": seen.frame}

    def _step(self) -> None:
        if self.stage:
            self.enter_stage("")
        self.tell(self, "step")

"""Makes the pictures of jobs with sessions that share their models, and finds the runs that were left unfinished."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clipgen.errors import UsageError
from clipgen.session.naming import destination
from clipgen.session.notices import warnings_of
from clipgen.session.options import Listener, OutputOptions
from clipgen.util.lean import without_compiler
from clipgen.util.text import quoted
from clipgen.web.job import DONE, FINISHED, PAUSED, STOPPED, Tell, WebJob
from clipgen.web.recipes import request_of
from clipgen.web.uploads import Uploads

if TYPE_CHECKING:
    from clipgen.session.session import Session
    from clipgen.session.state import Workspace


class Maker:
    """Makes one picture at a time; the models stay loaded for the next one."""

    def __init__(self, folder: Path, device: str) -> None:
        with without_compiler():
            from clipgen.session.session import KeptModels

        self._folder, self._device, self._kept = folder, device, KeptModels()

    def make(self, job: WebJob) -> None:
        """Make the picture of a job, or go on with it. Raises ClipgenError."""
        from clipgen.session.session import Session

        session = Session(self._device, options=job.written, listener=_listener(job), kept=self._kept)
        job.attach(session)
        claim(job, self._folder, self._device)
        self._go_on(job, session)

    def _go_on(self, job: WebJob, session: Session) -> None:
        from clipgen.session.resume import own_paths, state_of, unfinished_picture
        from clipgen.session.state import Workspace

        if job.path is None:
            raise UsageError("there is no state to go on from")
        workspace = Workspace.open(state_of(job.path))
        try:
            self._change(job, workspace)
            with unfinished_picture(workspace, own_paths(workspace), workspace.order.plan.text) as picture:
                session.make(picture)
        finally:
            workspace.release()

    def _change(self, job: WebJob, workspace: Workspace) -> None:
        """Have the run make more steps, or follow another prompt, as the job was asked to."""
        from clipgen.session.new_prompt import order_with_prompts
        from clipgen.session.state import change_order, with_more_steps

        snapshot, order = workspace.snapshot(), workspace.order
        done = snapshot.done if snapshot else 0
        changed = with_more_steps(order, f"+{job.more}" if job.more else None, done)
        if prompts := job.redirection:
            changed, notes = order_with_prompts(changed, prompts, self._device, workspace.inputs.tokens)
            job.note(f"from step {done} on the prompt is {quoted(job.request.prompt)}; a replay begins with it")
            for note in notes:
                job.note(note)
        if changed != order:
            change_order(workspace, changed)
        job.more = 0
        job.followed(prompts)
        job.planned(changed.plan)


def claim(job: WebJob, folder: Path, device: str) -> None:
    """Reserve the name of a picture and keep on disk what is to be made, so that it outlives the server.

    Anew if its texts have changed before its first step; else once. Raises ClipgenError.
    """
    with without_compiler():
        from clipgen.session.session import Session
    if job.planner and job.redirection:
        job.withdraw()
    if job.has_state:
        return
    if job.planner is None:
        raise UsageError("the state of this run is gone; make the picture again")
    prompts = job.redirection  # which the planner knows
    plan, inputs, notes = job.planner(None)
    with Session(device, options=job.written).claimed(plan, inputs, *destination(folder, plan)) as (workspace, paths):
        job.path = paths[workspace.order.saving.suffix]
        workspace.release()  # so that it stays
    job.planned(plan)
    job.followed(prompts)
    for note in notes:
        job.note(note)


def _listener(job: WebJob) -> Listener:
    return Listener(
        note=job.note,
        error=job.note,
        saved=job.saved,
        progress=lambda _label: [job.progress],
        stage=job.enter_stage,
        warnings=warnings_of,
    )


def _asked_at(state: Path) -> float:
    """Return the time at which a run was last asked for."""
    from clipgen.session.state import JOB

    try:
        return (state / JOB).stat().st_mtime
    except OSError:  # it is none
        return 0.0


def unfinished(folder: Path, uploads: Uploads, tell: Tell) -> Iterator[WebJob]:
    """Yield a job for each run in a folder that was left unfinished and that nobody makes at this moment."""
    from clipgen.outputs.metadata import is_done
    from clipgen.session.state import SUFFIX, Workspace

    for state in sorted(folder.glob(f"*{SUFFIX}"), key=_asked_at):
        try:
            if state.is_symlink():
                continue
            workspace = Workspace.open(state)
        except UsageError:  # it is being made, or is damaged
            continue
        try:
            snapshot, order = workspace.snapshot(), workspace.order
        except UsageError:
            continue
        finally:
            workspace.release()
        request, notes = request_of(order.plan, order.described.get("init_sha256"), uploads)
        picture = state.with_suffix(order.saving.suffix)
        job = WebJob(request, OutputOptions(keep_state=True), tell, path=picture)
        job.created = datetime.fromtimestamp(_asked_at(state), UTC).isoformat(timespec="milliseconds")
        job.planned(order.plan)
        job.progress.step = snapshot.done if snapshot else 0
        job.was_done = whole = is_done(picture, order.described)
        job.state = DONE if whole else STOPPED if snapshot else PAUSED
        if picture.is_file() and picture.stat().st_size:
            job.saved(picture, [], {"outcome": FINISHED if whole else "", "steps_done": job.progress.step})
        for note in notes:
            job.note(note)
        yield job

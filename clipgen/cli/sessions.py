"""From the options of a command to the session that makes its pictures, with its notes on stderr."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clipgen.cli.asking import ask_about_unknown
from clipgen.cli.downloads import fetch_missing, offered_preset
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.options import PictureOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.report import Notes, Results
from clipgen.cli.steering_options import SteeringOptions
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, LOCAL
from clipgen.config.resolve import with_hashes
from clipgen.engine.inputs import Inputs
from clipgen.session.notices import warnings_of
from clipgen.session.options import Listener
from clipgen.session.options import OutputOptions as Written
from clipgen.session.own_preset import is_folder, own_fields
from clipgen.session.planning import plan_job
from clipgen.util.devices import pick_device
from clipgen.util.lean import without_compiler

if TYPE_CHECKING:
    from clipgen.outputs.tracker import Tracker
    from clipgen.session.session import Session


IMPORTING = "loading PyTorch"


@dataclass(frozen=True)
class Opened:
    """A session for the pictures of one plan, and what reports on them."""

    session: Session
    job: Job | None
    """What was asked for, if it is to be planned anew for other prompts."""
    plan: Plan
    inputs: Inputs
    written: Written
    listener: Listener
    results: Results


def job_fields(
    picture: PictureOptions,
    steering: SteeringOptions,
    engine: EngineOptions,
    models: ModelOptions,
    backend: str = DEFAULT_BACKEND,
) -> dict[str, Any]:
    """Return the fields of a job that were given; `backend` applies if none was."""
    named = models.job_fields(engine.backend or backend)
    fields = {**picture.job_fields(), **steering.job_fields(), **engine.job_fields(), **named}
    return own_fields(fields["preset"], fields) if is_folder(engine.preset) else fields


def open_for_job(
    job: Job, engine: EngineOptions, models: ModelOptions, output: OutputOptions, *, asks: bool = False
) -> Opened:
    """Open a session for a job; models that it names are downloaded if necessary.

    asks: whether to ask in a terminal before drawing a prompt of which the models know nothing.
    """
    notes = output.notes()
    notes.say(models.notes)
    progress = _progress(output)
    progress.stage(IMPORTING, brief=True)
    planned = plan_job(job, engine.device)
    if job.preset == AUTO and planned[0].preset in LOCAL and pick_device(engine.device) != "cpu":
        progress.rest()
        offered = offered_preset(job, offline=models.offline, notes=notes)
        if offered:
            job = replace(job, preset=offered)
            planned = plan_job(job, engine.device)
    return open_for_plan(
        *planned, output, device=engine.device, offline=models.offline, typed=job, asks=asks, progress=progress
    )


def open_for_plan(
    plan: Plan,
    inputs: Inputs,
    decided: Sequence[str],
    output: OutputOptions,
    *,
    device: str,
    offline: bool,
    typed: Job | None = None,
    asks: bool = False,
    progress: Tracker | None = None,
) -> Opened:
    """Open a session for a plan; prints `decided`, and downloads models that `typed` names if necessary.

    asks: as for `open_for_job`; progress: shows what is done, by default a display of its own.
    """
    notes, results = output.notes(), output.results()
    progress = progress or _progress(output)
    progress.stage(IMPORTING, brief=True)
    written, device = output.written(), pick_device(device)
    progress.rest()
    notes.say(decided)
    if asks and not notes.quiet:
        ask_about_unknown(plan)
    if fetch_missing(plan, typed, offline=offline, notes=notes):
        plan = with_hashes(plan)
    progress.stage(IMPORTING, brief=True)
    with without_compiler():
        from clipgen.session.session import Session

    listener = _listener(notes, results, progress)
    session = Session(device, options=written, listener=listener)
    return Opened(session, typed, plan, inputs, written, listener, results)


def _progress(output: OutputOptions) -> Tracker:
    """Return the display of progress on stderr; one that shows nothing if that is closed or quiet."""
    from clipgen.outputs.progress import progress_on
    from clipgen.outputs.tracker import Tracker

    if sys.stderr is None or output.notes().quiet:  # None: the shell closed it
        return Tracker()
    progress = progress_on(sys.stderr, redirect=True, preview=output.preview)
    atexit.register(progress.rest)
    return progress


def _listener(notes: Notes, results: Results, progress: Tracker) -> Listener:
    return Listener(
        note=notes.note,
        error=say,
        saved=results.add,
        ranked=results.rank,
        progress=lambda label: [progress.begin(label)],
        stage=progress.stage,
        expect=progress.expect,
        idle=progress.rest,
        warnings=warnings_of,
        says_duration=not notes.quiet,
    )

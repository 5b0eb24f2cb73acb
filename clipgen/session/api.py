"""`clipgen.generate`: one picture in one call, with the models kept between calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from threading import Lock
from typing import Any, TextIO, Unpack, cast

import torch

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.engine.inputs import Inputs
from clipgen.engine.optimise import optimise
from clipgen.engine.upscaling import enlarged
from clipgen.errors import UsageError
from clipgen.outputs.metadata import describe_plan, described_as, hash_image
from clipgen.outputs.picture import record_of
from clipgen.outputs.progress import progress_sink
from clipgen.session.arguments import Settings, as_parameters, check_prompt, job_fields, named_after_parameters
from clipgen.session.candidates import TOGETHER, best_seeds
from clipgen.session.inputs import file_digest
from clipgen.session.notices import warnings_of
from clipgen.session.options import check_candidates
from clipgen.session.planning import change_plan, plan_job, random_seed
from clipgen.session.result import Result
from clipgen.session.session import Session
from clipgen.util.devices import pick_device
from clipgen.util.interrupts import Stop
from clipgen.util.streams import Forgiving
from clipgen.util.text import one_line

__all__ = ["Result", "Settings", "generate"]
MAX_LABEL = 60
_opening, _displaying = Lock(), Lock()


def generate(
    prompt: str | Job | Plan,
    *,
    device: str | torch.device = "auto",
    sinks: Sequence[Sink] = (),
    stop: Stop | None = None,
    progress: bool | None = None,
    candidates: int = 1,
    **settings: Unpack[Settings],
) -> Result:
    """Make one picture: `generate("a cat", backend="dvae", steps=100).save("cat.png")`.

    prompt: a text, a Job, or the plan of an earlier picture; `settings` replace those of a Job or plan.
    stop: `stop.ask()` ends the run early, from any thread, with the picture so far; while seeds are tried it raises
    Interrupted.
    candidates: how many seeds are tried for a few steps, of which the judges pick one, as `result.notes` says.
    progress: whether to show it on stderr; None for only in a terminal or a notebook, and one picture at a time.

    `result.notes` has what was decided, and warnings. The models stay loaded for the next call. Threads can make
    pictures at the same time; modes and random generators of torch are neither used nor changed. Raises ClipgenError;
    Ctrl-C, or interrupting the kernel of a notebook, raises KeyboardInterrupt after the current step.
    """
    with named_after_parameters():
        check_prompt(prompt)
        check_candidates(candidates, 1)
        plan, inputs, notes, described = _planned(prompt, settings, str(device))
        if settings.get("judges") and candidates == 1:
            raise UsageError("judges rank candidates, and there is one picture; add candidates=8")
        with _opening:
            session = _session(pick_device(str(device)))
        models = session.models(plan)
        if candidates > 1:
            together = session.pictures_together(plan, TOGETHER)
            best = best_seeds(plan, candidates, models, inputs=inputs, stop=stop, together=together)
            plan, notes = best[0].plan, [*notes, *map(str, best)]
            described["plan"]["seed"] = plan.seed
        said = list(dict.fromkeys(map(as_parameters, (*notes, *warnings_of(plan, models)))))
        last = _LastStep()
        with _display(plan, said, progress) as display:
            made = optimise(plan, models, [*display, *sinks, last], init=inputs, stop=stop)
        record = record_of(described, plan, last.step, made.outcome)
        done = made.outcome is Outcome.FINISHED
        image = enlarged(made.image, plan, models.upscaler) if done else made.image
        return Result(image, plan, made.score, made.outcome, (*said, *made.notes), record)


def _planned(
    prompt: str | Job | Plan, settings: Mapping[str, Any], device: str
) -> tuple[Plan, Inputs, list[str], dict[str, Any]]:
    """Return the plan, its images, notes, and the part of the record that describes the plan."""
    fields, given = job_fields(settings, prompt)
    if isinstance(prompt, Plan):
        same = {"init": prompt.init} if prompt.init and not {"start", "init_tokens"} & fields.keys() else {}
        plan, inputs, notes = change_plan(prompt, same | fields, device, given)
    elif isinstance(prompt, Job):
        plan, inputs, notes = plan_job(replace(prompt, **fields), device, given)
    else:
        job = Job(**{"seed": random_seed(), "prompts": fields.get("prompts") or parse_prompts(prompt), **fields})
        plan, inputs, notes = plan_job(job, device, given)
    described = (
        describe_plan(plan, file_digest(inputs.init))
        if given.init is None
        else described_as(plan, hash_image(given.init))
    )
    return plan, inputs, notes, described


@cache
def _session(device: str) -> Session:
    return Session(device)


class _LastStep:
    """Remembers the last step, which is the picture."""

    step: Step

    def on_step(self, step: Step) -> None:
        self.step = step

    def close(self, _outcome: Outcome) -> None:
        """Nothing is open."""


@contextmanager
def _display(plan: Plan, notes: Sequence[str], wanted: bool | None) -> Iterator[Sequence[Sink]]:
    """Print the notes and yield the progress display, if it is wanted and no other thread shows one."""
    stream = Forgiving(sys.stderr)
    if (
        sys.stderr is None
        or not (_is_watched() if wanted is None else wanted)
        or not _displaying.acquire(blocking=False)
    ):
        yield ()
        return
    try:
        for note in notes:
            stream.write(f"{note}\n")
        yield [progress_sink(one_line(plan.text, MAX_LABEL), cast(TextIO, stream))]
    finally:
        _displaying.release()


def _is_watched() -> bool:
    """Whether stderr is a terminal, or the output of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return Forgiving(sys.stderr).isatty() or getattr(shell, "kernel", None) is not None

"""`clipgen.generate`: one picture in one call, with the models kept between calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from threading import Lock
from typing import Any, Unpack

import torch

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.engine.inputs import Inputs
from clipgen.engine.optimise import Result as Made
from clipgen.engine.optimise import optimise
from clipgen.engine.upscaling import Upscaler, enlarged
from clipgen.errors import UsageError
from clipgen.outputs.callbacks import Progress, StepCalls
from clipgen.outputs.film import FilmSink
from clipgen.outputs.metadata import describe_plan, described_as, hash_image
from clipgen.outputs.picture import record_of
from clipgen.session.arguments import Settings, as_parameters, check_prompt, job_fields, named_after_parameters
from clipgen.session.candidates import TOGETHER, best_seeds
from clipgen.session.inputs import file_digest
from clipgen.session.notices import warnings_of
from clipgen.session.options import check_candidates
from clipgen.session.planning import change_plan, plan_job, random_seed
from clipgen.session.result import Result
from clipgen.session.session import Session
from clipgen.session.watching import FilmPaths, Wanted, check_watching, display, films_of
from clipgen.util.devices import pick_device
from clipgen.util.interrupts import Stop

__all__ = ["Progress", "Result", "Settings", "Step", "generate"]
_opening = Lock()


def generate(
    prompt: str | Job | Plan,
    *,
    device: str | torch.device = "auto",
    sinks: Sequence[Sink] = (),
    stop: Stop | None = None,
    progress: Wanted = None,
    on_step: Callable[[Step], object] | None = None,
    film: FilmPaths = None,
    candidates: int = 1,
    **settings: Unpack[Settings],
) -> Result:
    """Make one picture: `generate("a cat", backend="dvae", steps=100).save("cat.png")`.

    prompt: a text, a Job, or the plan of an earlier picture; `settings` replace those of a Job or plan.
    stop: `stop.ask()` ends the run early, from any thread, with the picture so far; while seeds are tried it raises
    Interrupted.
    progress: whether to show it, with the picture so far: None for only in a terminal or a notebook, and one picture
    at a time. A function receives a `Progress` after every step instead.
    on_step: receives every `Step`, the start and the final picture included; returns False to end the run early.
    film: where to write a film of the run, .mp4, .webm, .gif or .apng, or several; `result.films` has their paths.
    candidates: how many seeds are tried for a few steps, of which the judges pick one, as `result.notes` says.

    `result.notes` has what was decided, and warnings; a function or a film that fails costs itself and is named there.
    The models stay loaded for the next call. Threads can make pictures at the same time; modes and random generators of
    torch are neither used nor changed. Raises ClipgenError; Ctrl-C, or interrupting the kernel of a notebook, raises
    KeyboardInterrupt after the current step.
    """
    with named_after_parameters():
        check_prompt(prompt)
        check_candidates(candidates, 1)
        check_watching(progress, on_step)
        plan, inputs, notes, described = _planned(prompt, settings, str(device))
        if settings.get("judges") and candidates == 1:
            raise UsageError("judges rank candidates, and there is one picture; add candidates=8")
        with films_of(plan, film) as films:
            with _opening:
                session = _session(pick_device(str(device)))
            models = session.models(plan)
            token = Stop(also=stop)
            if candidates > 1:
                together = session.pictures_together(plan, TOGETHER)
                best = best_seeds(plan, candidates, models, inputs=inputs, stop=token, together=together)
                plan, notes = best[0].plan, [*notes, *map(str, best)]
                described["plan"]["seed"] = plan.seed
            said = list(dict.fromkeys(map(as_parameters, (*notes, *warnings_of(plan, models)))))
            last = _LastStep()
            with display(plan, said, progress) as shown:
                calls = [StepCalls(on_step, token)] if on_step else []
                made = optimise(plan, models, [*shown, *calls, *films, *sinks, last], init=inputs, stop=token)
        record = record_of(described, plan, last.step, made.outcome)
        return _result(made, said, record, films, models.upscaler)


def _result(
    made: Made, said: Sequence[str], record: Mapping[str, Any], films: Sequence[FilmSink], upscaler: Upscaler | None
) -> Result:
    image = enlarged(made.image, made.plan, upscaler) if made.outcome is Outcome.FINISHED else made.image
    written = tuple(film.path for film in films if not film.problem)
    problems = (f"warning: {film.problem}" for film in films if film.problem)
    return Result(image, made.plan, made.score, made.outcome, (*said, *made.notes, *problems), record, written)


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

"""`clipgen.generate`: one picture in one call, with the models kept between calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.core.contracts import Sink
from clipgen.engine.optimise import Result, optimise
from clipgen.session.planning import change_plan, plan_job
from clipgen.session.session import Session
from clipgen.util.interrupts import Stop


def generate(
    prompt: str | Job | Plan,
    *,
    device: str = "auto",
    sinks: Sequence[Sink] = (),
    stop: Stop | None = None,
    **settings: Any,
) -> Result:
    """Make one picture: `generate("a cat", backend="dvae", steps=100).image`.

    `prompt` is a text, a Job, or the plan of an earlier picture; `settings` are fields of Job, which replace those of a
    Job or plan. `stop.ask()` ends the run early, from any thread. The models stay loaded for the next call.
    Raises ClipgenError.
    """
    if isinstance(prompt, Plan):
        same = {"init": prompt.init} if prompt.init and "start" not in settings else {}
        plan, init, notes = change_plan(prompt, same | settings, device)
    else:
        job = replace(prompt, **settings) if isinstance(prompt, Job) else Job(parse_prompts(prompt), **settings)
        plan, init, notes = plan_job(job, device)
    result = optimise(plan, _session(device).models(plan), sinks, init=init, stop=stop)
    return replace(result, notes=tuple(notes))


@cache
def _session(device: str) -> Session:
    return Session(device)

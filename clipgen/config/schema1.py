"""Plans of jobs in recipes of schema 1, which named a preset and not its settings. Torch-free.

`schema1.json` holds the settings that the presets had then, so that such a recipe replays whatever they are today.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from importlib.resources import files
from typing import Any

from clipgen.config.checks import check_choice
from clipgen.config.job import Job
from clipgen.config.loss_settings import LossSettings
from clipgen.config.plan import Plan
from clipgen.config.preset import DEFAULT_BACKEND, INIT, NOISE
from clipgen.config.prompts import prompt_record
from clipgen.config.resolve import with_hashes
from clipgen.config.schedules import Schedule
from clipgen.config.settings import PerceptorSettings
from clipgen.errors import UsageError
from clipgen.weights import registry


def plan_of_job(job: Job) -> Plan:
    """Return the plan that a job meant when recipes held jobs. Raises UsageError where it was none."""
    start = INIT if job.init else NOISE
    name = f"{job.preset}/{job.backend or DEFAULT_BACKEND}/{start}"
    check_choice("the preset and backend of the recipe", name, tuple(_templates()))
    given = {"size": job.size, "steps": job.steps, "lr": job.lr, "cutouts": job.cutouts}
    record = {
        **_templates()[name],
        **{field: value for field, value in given.items() if value is not None},
        "prompts": list(map(prompt_record, job.prompts)),
        "seed": job.seed,
        "init": job.init or "",
        "losses": [asdict(LossSettings("prompt", Schedule.constant(1.0)))],
        "models": [],
    }
    plan = Plan.from_dict(record).with_loss("init", job.init_weight or 0.0)
    if job.clips and plan.unclip:
        raise UsageError(f"--clip cannot guide with preset {job.preset}, whose unCLIP goes by its own CLIPs")
    if job.clips:
        plan = replace(plan, perceptors=tuple(map(PerceptorSettings, job.clips)))
    if job.network:
        generator = replace(plan.generator, weights=job.network, stride=registry.stride(job.network))
        plan = replace(plan, generator=generator)
    return with_hashes(plan)


@cache
def _templates() -> dict[str, dict[str, Any]]:
    """Return what plans had in common, by preset, backend and start."""
    text = (files("clipgen.config") / "schema1.json").read_text(encoding="utf-8")
    return dict(json.loads(text))

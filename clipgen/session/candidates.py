"""Candidates: short runs of several seeds, and full runs of the best.

DALL-E generated many pictures and let CLIP rerank them (Ramesh et al., 2021, section 2.6); FuseDream started from the
best of many (Liu et al., 2021, arXiv 2112.01573). If the plan names a judge, a CLIP that does not guide, it ranks the
candidates: the guiding CLIPs cannot tell that they were fooled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clipgen.config.job import MAX_SEED
from clipgen.config.plan import Plan
from clipgen.config.readings import share
from clipgen.core.contracts import Sink
from clipgen.engine.forecast import JUDGING, Cost, Phase, phases_of
from clipgen.engine.inputs import Inputs
from clipgen.engine.models import Models, load_judges
from clipgen.engine.optimise import Task, optimise_together
from clipgen.errors import ClipgenError, Interrupted
from clipgen.judge.score import mean_similarities
from clipgen.util.interrupts import Stop

SHARE = 0.2
"""Length of a candidate's run, as a fraction of the steps of the plan."""
TOGETHER = 4
"""Number of candidates made in lockstep."""


@dataclass(frozen=True)
class Candidate:
    """A plan with its own seed, and the judge's score of a short run of it."""

    plan: Plan
    score: float
    """Weighted mean similarity of the picture and the texts."""


def short(plan: Plan) -> Plan:
    """Return the plan of a candidate's run, which goes through the whole schedule in fewer steps."""
    return replace(plan, steps=max(round(plan.steps * SHARE), 1))


def candidate_phases(plan: Plan, count: int, cost: Cost) -> list[Phase]:
    """Return the phases of `best_seeds`."""
    groups = [min(TOGETHER, count - start) for start in range(0, count, TOGETHER)]
    return [phase for size in groups for phase in phases_of(short(plan), cost, pictures=size, judged=True)]


def judge_readings(plan: Plan) -> list[tuple[str, ...]]:
    """Return, by judge, or by guide if the plan has no judges, what it takes of each text."""
    if not plan.judges:
        return [plan.texts_of(k) for k in range(len(plan.perceptors))]
    guides = [row.weights for row in plan.perceptors]  # a judge of the starter set need not know what a classifier does
    shared = share(plan.prompts, [*plan.judges, *guides])
    return [tuple(reading.taken[k] for reading in shared) for k in range(len(plan.judges))]


def best_seeds(
    plan: Plan,
    count: int,
    models: Models,
    progress: Callable[[str], Sequence[Sink]] = lambda _label: (),
    *,
    inputs: Inputs | None = None,
    stop: Stop | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Candidate]:
    """Try `count` seeds of a plan, counting up from its own, and return them best first.

    The runs are `short`, and their finished pictures are judged. `progress` takes a label and returns the sinks for the
    first candidate of each group; `on_stage` is as for `optimise_together`. Raises ClipgenError if a whole group fails,
    and Interrupted after `stop` was asked for.
    """
    judged = plan if any(map(any, judge_readings(plan))) else replace(plan, judges=())  # then the guides rank
    judges, readings = load_judges(judged, models), judge_readings(judged)
    plans = [replace(plan, seed=(plan.seed + k) % (MAX_SEED + 1)) for k in range(count)]
    found: list[Candidate] = []
    for start in range(0, count, TOGETHER):
        group = plans[start : start + TOGETHER]
        tasks = [Task(short(each), inputs) for each in group]
        label = f"candidates {start + 1} to {start + len(group)} of {count}"
        tasks[0] = replace(tasks[0], sinks=progress(label))
        made = optimise_together(tasks, models, stop=stop, on_stage=on_stage)
        if stop and stop.asked:
            raise Interrupted("stopped while seeds were tried")
        whole = [(each, one) for each, one in zip(group, made, strict=True) if not isinstance(one, ClipgenError)]
        if not whole:
            raise next(one for one in made if isinstance(one, ClipgenError))
        on_stage(f"{JUDGING} {len(whole)} candidates")
        pictures = [one.image for _, one in whole]
        scores = mean_similarities(pictures, plan.prompts, judges, models.device, readings)
        found += [Candidate(each, score) for (each, _), score in zip(whole, scores, strict=True)]
    return sorted(found, key=lambda candidate: -candidate.score)

"""Candidates: short runs of several seeds, and full runs of the best.

DALL-E generated many pictures and let CLIP rerank them (Ramesh et al., 2021, section 2.6); FuseDream started from the
best of many (Liu et al., 2021, arXiv 2112.01573). If the plan names a judge, a perceptor that does not guide, it ranks
the candidates: the guides cannot tell that they were fooled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image

from clipgen.config.job import MAX_SEED
from clipgen.config.judging import check_rankable, judge_readings, judged_images, judged_prompts
from clipgen.config.plan import Plan
from clipgen.config.readings import CLASSIFIER
from clipgen.core.contracts import Sink
from clipgen.engine.forecast import JUDGING, Cost, Phase, phases_of
from clipgen.engine.inputs import Inputs
from clipgen.engine.models import Models, load_judges
from clipgen.engine.optimise import Result, Task, optimise_together
from clipgen.errors import ClipgenError, Interrupted, OutOfMemoryError
from clipgen.judge.likeness import mean_likenesses
from clipgen.judge.score import mean_similarities
from clipgen.util.interrupts import Stop

SHARE = 0.2
"""Length of a candidate's run, as a fraction of the steps of the plan."""
TOGETHER = 4
"""Maximum number of candidates made in lockstep."""
STOPPED = "stopped while seeds were tried"

Scorer = Callable[[Sequence[Image.Image]], list[float]]


@dataclass(frozen=True)
class Candidate:
    """A plan with its own seed, and the judges' score of a short run of it."""

    plan: Plan
    score: float
    """Weighted mean similarity of the picture and the texts, or the target images where no text has a weight."""
    judges: tuple[str, ...]
    """The names of those that gave the score; guides, where no judge knows what is asked for."""

    def __str__(self) -> str:
        return f"seed {self.plan.seed}: {self.score:.3f} by {' and '.join(self.judges)}"


def short(plan: Plan) -> Plan:
    """Return the plan of a candidate's run, which goes through the whole schedule in fewer steps."""
    return replace(plan, steps=max(round(plan.steps * SHARE), 1))


def candidate_phases(plan: Plan, count: int, cost: Cost, together: int = TOGETHER) -> list[Phase]:
    """Return the phases of `best_seeds`."""
    groups = [min(together, count - start) for start in range(0, count, together)]
    return [phase for size in groups for phase in phases_of(short(plan), cost, pictures=size, judged=True)]


def best_seeds(
    plan: Plan,
    count: int,
    models: Models,
    progress: Callable[[str], Sequence[Sink]] = lambda _label: (),
    *,
    inputs: Inputs | None = None,
    stop: Stop | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
    together: int = TOGETHER,
) -> list[Candidate]:
    """Try `count` seeds of a plan, counting up from its own, and return them best first.

    The runs are `short`, `together` of them in lockstep, and their finished pictures are judged. `progress` takes a
    label and returns the sinks for the first candidate of each group; `on_stage` is as for `optimise_together`. Raises
    UsageError if there is nothing to rank by, WeightsMissingError if a judge is not here, ClipgenError if a whole group
    fails, and Interrupted after `stop` was asked for.
    """
    check_rankable(plan)
    score, judges = _scorer(plan, models, inputs or Inputs())
    plans = [replace(plan, seed=(plan.seed + k) % (MAX_SEED + 1)) for k in range(count)]
    found: list[Candidate] = []
    for start in range(0, count, together):
        group = plans[start : start + together]
        tasks = [Task(short(each), inputs) for each in group]
        tasks[0] = replace(tasks[0], sinks=progress(_label(start, len(group), count)))
        made = _made(tasks, models, stop, on_stage)
        if stop and stop.asked:
            raise Interrupted(STOPPED)
        whole = [(each, one) for each, one in zip(group, made, strict=True) if not isinstance(one, ClipgenError)]
        if not whole:
            raise next(one for one in made if isinstance(one, ClipgenError))
        on_stage(f"{JUDGING} {len(whole)} candidates")
        scores = score([one.image for _, one in whole])
        found += [Candidate(each, given, judges) for (each, _), given in zip(whole, scores, strict=True)]
    return sorted(found, key=lambda candidate: -candidate.score)


def _made(
    tasks: Sequence[Task], models: Models, stop: Stop | None, on_stage: Callable[[str], None]
) -> list[Result | ClipgenError]:
    """Make pictures in lockstep, or one by one if together they do not fit into memory after all."""
    try:
        return optimise_together(tasks, models, stop=stop, on_stage=on_stage)
    except OutOfMemoryError:
        if len(tasks) == 1:
            raise
    made: list[Result | ClipgenError] = []
    for task in tasks:
        made += optimise_together([replace(task, sinks=())], models, stop=stop, on_stage=on_stage)
        if stop and stop.asked:
            raise Interrupted(STOPPED)
    return made


def _label(start: int, size: int, count: int) -> str:
    return f"candidates {start + 1} to {start + size} of {count}"


def _scorer(plan: Plan, models: Models, inputs: Inputs) -> tuple[Scorer, tuple[str, ...]]:
    """Return what scores pictures, and the names of the perceptors by which it does."""
    prompts = judged_prompts(plan)
    by_text = any(prompt.weight for prompt in prompts)
    judged = plan if _can_judge(plan, by_text) else replace(plan, judges=())  # then the guides rank
    names = judged.judges or tuple(row.weights for row in plan.perceptors)
    judges, readings = load_judges(judged, models), judge_readings(judged)
    if by_text:
        asked = tuple(dict.fromkeys(name for name, texts in zip(names, readings, strict=True) if any(texts)))
        return partial(
            mean_similarities, prompts=prompts, judges=judges, device=models.device, readings=readings
        ), asked
    images = [(inputs.targets[place], weight) for place, weight in judged_images(plan)]
    able = {name: judge for name, judge in zip(names, judges, strict=True) if not name.startswith(CLASSIFIER)}
    return partial(mean_likenesses, images=images, judges=[*able.values()], device=models.device), tuple(able)


def _can_judge(plan: Plan, by_text: bool) -> bool:
    if by_text:
        return any(map(any, judge_readings(plan)))
    return any(not name.startswith(CLASSIFIER) for name in plan.judges)

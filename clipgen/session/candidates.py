"""Several seeds a short way, and the best of them the whole way.

DALL-E drew many pictures and let CLIP choose (Ramesh et al., 2021, section 2.6); FuseDream started from the best of
many (Liu et al., 2021, arXiv 2112.01573). A judge that does not guide chooses, where the plan names one: the guides are
the last to see that they were fooled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from clipgen.config.job import MAX_SEED
from clipgen.config.plan import Plan
from clipgen.core.contracts import Sink
from clipgen.engine.models import Models, load_judges
from clipgen.engine.optimise import Task, optimise_together
from clipgen.errors import ClipgenError, Interrupted
from clipgen.judge.score import mean_cosines
from clipgen.util.interrupts import Stop

SHARE = 0.2
"""Of the steps of a plan, in which a candidate is made from the first to the last."""
TOGETHER = 4
"""Candidates that are made in lockstep."""


@dataclass(frozen=True)
class Candidate:
    """A plan with its own seed, and how well the judge finds that a quick run of it shows the prompt."""

    plan: Plan
    score: float
    """Mean cosine between picture and texts, by their weights."""


def best_seeds(
    plan: Plan,
    count: int,
    models: Models,
    progress: Callable[[str], Sequence[Sink]] = lambda _label: (),
    *,
    init: Image.Image | None = None,
    stop: Stop | None = None,
) -> list[Candidate]:
    """Try `count` seeds of a plan, from its own on, and return them with the best first.

    A quick run has the whole schedule in fewer steps, so that what is judged is a picture. `progress` makes the sinks
    that watch the first of the candidates that are called so. Raises Interrupted where `stop` was asked for.
    """
    judges = load_judges(plan, models)
    plans = [replace(plan, seed=(plan.seed + k) % (MAX_SEED + 1)) for k in range(count)]
    steps = max(round(plan.steps * SHARE), 1)
    found: list[Candidate] = []
    for start in range(0, count, TOGETHER):
        group = plans[start : start + TOGETHER]
        tasks = [Task(replace(each, steps=steps), init) for each in group]
        label = f"candidates {start + 1} to {start + len(group)} of {count}"
        tasks[0] = replace(tasks[0], sinks=progress(label))
        made = optimise_together(tasks, models, stop=stop)
        if stop and stop.asked:
            raise Interrupted("stopped while seeds were tried")
        whole = [(each, one) for each, one in zip(group, made, strict=True) if not isinstance(one, ClipgenError)]
        if not whole:
            raise next(one for one in made if isinstance(one, ClipgenError))
        scores = mean_cosines([one.image for _, one in whole], plan.prompts, judges, models.device)
        found += [Candidate(each, score) for (each, _), score in zip(whole, scores, strict=True)]
    return sorted(found, key=lambda candidate: -candidate.score)

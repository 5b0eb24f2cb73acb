"""Which perceptors rank the candidates of a job, and by what. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import Preset
from clipgen.config.prompts import Prompt
from clipgen.config.readings import CLASSIFIER, share
from clipgen.config.settings import PerceptorSettings
from clipgen.config.targets import IMAGE, REGION, WHOLE, TargetSettings
from clipgen.errors import UsageError
from clipgen.util.text import quoted


def judges_of(job: Job, preset: Preset, guides: Sequence[PerceptorSettings]) -> tuple[str, ...]:
    """Return the names of the judges that a job names, or those of the preset that do not guide.

    Raises UsageError for one that is named and guides, or cannot judge what the job asks for.
    """
    guiding = list(dict.fromkeys(row.weights for row in guides))
    for name in job.judges:
        if name in guiding:
            raise UsageError(
                f"--judge {name} guides this picture, and a guide cannot tell that it was fooled; name another judge"
            )
    _check_heard(job, guiding)
    return job.judges or usual_judges(preset, guides)


def usual_judges(preset: Preset, guides: Sequence[PerceptorSettings]) -> tuple[str, ...]:
    """Return the judges of a preset that do not guide."""
    guiding = {row.weights for row in guides}
    return tuple(name for name in preset.judges if name not in guiding)


def _check_heard(job: Job, guiding: Sequence[str]) -> None:
    """Raise UsageError unless each judge that is named takes something of what the picture is to show."""
    counting = [prompt for prompt in job.prompts if prompt.peak]
    readings = share(counting, [*job.judges, *guiding])
    for k, name in enumerate(job.judges):
        if counting and not any(reading.taken[k] for reading in readings):
            texts = "|".join(prompt.text for prompt in counting)
            raise UsageError(f"--judge {name} takes nothing of {quoted(texts)}; name one that knows some of it")
        if not counting and name.startswith(CLASSIFIER):
            raise UsageError(f"--judge {name} compares pictures with texts alone, and there is none; name a CLIP")


def judged_prompts(plan: Plan) -> tuple[Prompt, ...]:
    """Return the prompts with the weights that they have at the end, which is what a finished picture is to show.

    Where all have faded out by then, their weights are the largest of the run.
    """
    last = [prompt.peak * prompt.share_at(plan.cross_fade, 1.0) if prompt.peak else 0.0 for prompt in plan.prompts]
    weights = last if any(last) else [prompt.peak for prompt in plan.prompts]
    return tuple(Prompt(prompt.text, weight) for prompt, weight in zip(plan.prompts, weights, strict=True))


def judge_readings(plan: Plan) -> list[tuple[str, ...]]:
    """Return, by judge, or by guide if the plan has no judges, what it takes of each text; "" for no weight, too."""
    counts = [bool(prompt.weight) for prompt in judged_prompts(plan)]
    return [tuple(text if on else "" for text, on in zip(row, counts, strict=True)) for row in _readings(plan)]


def _readings(plan: Plan) -> list[tuple[str, ...]]:
    if not plan.judges:
        return [plan.texts_of(k) for k in range(len(plan.perceptors))]
    guides = [row.weights for row in plan.perceptors]  # a judge of the starter set need not know what a classifier does
    shared = share(plan.prompts, [*plan.judges, *guides])
    return [tuple(reading.taken[k] for reading in shared) for k in range(len(plan.judges))]


def judged_images(plan: Plan) -> list[tuple[int, float]]:
    """Return the target images by which candidates can be ranked: the place among the plan's files, and the weight."""
    files = [row for row in plan.targets if row.is_file]
    return [(place, row.weight.at(1.0)) for place, row in enumerate(files) if _is_seen(row)]


def _is_seen(row: TargetSettings) -> bool:
    return row.kind in (IMAGE, WHOLE) and bool(row.weight.at(1.0))


def check_rankable(plan: Plan) -> None:
    """Raise UsageError unless a plan has something by which its candidates can be ranked."""
    if any(prompt.weight for prompt in judged_prompts(plan)) or judged_images(plan):
        return
    others = "regions" if any(row.kind == REGION for row in plan.targets) else "these targets"
    raise UsageError(
        f"--candidates ranks pictures by texts or target images, and {others} are neither; give a text a weight, or "
        "add --target-image FILE"
    )

"""What augmentation is worth: the same six things with one setting changed at a time, judged by who did not guide.

Run it as `python examples/photo/augmentation.py > table.md`. It takes about an hour on two cores.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Outcome, Step
from clipgen.engine.models import load_models, perceptor_of
from clipgen.engine.optimise import optimise
from clipgen.judge.classes import Verdict, verdicts
from clipgen.session.evaluation import JUDGES, prompt_of
from clipgen.util.images import to_pil

THINGS = ("goldfinch", "violin", "sports car", "school bus", "volcano", "castle")
Change = Callable[[Plan], Plan]


def views(**settings: float | bool) -> Change:
    return lambda plan: replace(plan, augmentations=replace(plan.augmentations, **settings))


def latent(**settings: int | float) -> Change:
    return lambda plan: replace(plan, generator=replace(plan.generator, **settings))


def cutouts(count: int) -> Change:
    return lambda plan: replace(plan, cutouts=count)


def one_size(plan: Plan) -> Plan:
    return replace(plan, perceptors=(replace(plan.perceptors[-1], since=0.0),), readings=plan.readings[-1:])


def unaugmented(plan: Plan) -> Plan:
    return one_size(cutouts(1)(views(share_plain=1.0, noise=0.0)(plan)))


CHANGES: dict[str, Change] = {
    "default: 4 whole views, shifted and scaled by up to 20 %, noise up to 0.2": lambda plan: plan,
    "no augmentation: the picture itself": unaugmented,
    "1 view": cutouts(1),
    "2 views": cutouts(2),
    "8 views": cutouts(8),
    "no noise": views(noise=0.0),
    "noise up to 0.5": views(noise=0.5),
    "no shifts, no scaling": views(zoom=0.0),
    "shifts and scaling up to 35 %": views(zoom=0.35),
    "half of the views crops of 40 to 95 %": views(share_whole=0.5),
    "all views crops": views(share_whole=0.0),
    "colours change by up to 20 %, half of the views mirrored": views(jitter=0.2, flip=True),
    "rotation 12°, shear 0.08, perspective 0.12": views(degrees=12.0, shear=0.08, perspective=0.12),
    "views of one size, not from coarse to fine": one_size,
    "one resolution of pixels": latent(levels=1),
    "five resolutions": latent(levels=5),
    "fine resolutions move as much as coarse ones": latent(fall=0.0),
    "total variation 10 instead of 40": lambda plan: plan.with_loss("total-variation", 10.0),
    "no total variation": lambda plan: plan.with_loss("total-variation", 0.0),
    "16 views": cutouts(16),
    "32 views": cutouts(32),
}


class Average:
    """The mean of the pictures of the last fifth of a run, beside the last one."""

    def __init__(self) -> None:
        self.total = torch.zeros(())
        self.count = 0

    def on_step(self, step: Step) -> None:
        if step.index > 0.8 * step.total:
            self.total, self.count = self.total + step.image, self.count + 1

    def close(self, outcome: Outcome) -> None:
        """Do nothing."""


def measure(name: str, change: Change, judges: Sequence[torch.nn.Module]) -> None:
    """Print a row of the table; after that of the default, one for averaged pictures."""
    plans = [change(resolve(Job(parse_prompts(prompt_of(thing)), preset="photo"))[0]) for thing in THINGS]
    models = load_models(plans[0], "cpu")
    averages = [Average() for _ in plans]
    start = time.perf_counter()
    pictures = [optimise(plan, models, [sink]).image for plan, sink in zip(plans, averages, strict=True)]
    seconds = f"{(time.perf_counter() - start) / len(plans):.1f}"
    print_row(name, [verdicts(pictures, THINGS, judge) for judge in judges], seconds)
    if name.startswith("default"):
        means = [to_pil(each.total / each.count) for each in averages]
        print_row("mean of the pictures of the last fifth", [verdicts(means, THINGS, judge) for judge in judges], "")


def print_row(name: str, given: Sequence[Sequence[Verdict]], seconds: str) -> None:
    cells = []
    for judged in given:
        first = sum(each.rank == 1 for each in judged)
        mean = statistics.fmean(each.probability for each in judged)
        cells += [f"{first}/{len(judged)}", f"{mean:.2f}"]
    sys.stdout.write(f"| {name} | {' | '.join(cells)} | {seconds} |\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table, a row as soon as it is known."""
    judges = [perceptor_of(name).eval() for name in JUDGES]
    sys.stdout.write("| changed | Lite1: first | probability | Lite2: first | probability | seconds |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    wanted = sys.argv[1:]
    for name, change in CHANGES.items():
        if not wanted or any(word in name for word in wanted):
            measure(name, change, judges)


if __name__ == "__main__":
    main()

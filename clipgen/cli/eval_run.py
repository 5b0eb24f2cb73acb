"""Making the pictures of an evaluation from the command line, whatever it asks for."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.downloads import fetch_missing
from clipgen.cli.eval_options import EvalOptions
from clipgen.cli.failures import say
from clipgen.cli.report import Notes
from clipgen.config.choice import chosen_preset
from clipgen.config.job import MAX_SEED, Job
from clipgen.config.resolve import with_hashes
from clipgen.errors import ClipgenError, Interrupted

if TYPE_CHECKING:
    from clipgen.judge.judges import Judge
    from clipgen.session.evaluation_run import Made, Maker, Wanted

SECONDS = "seconds a picture"
Report = Callable[["Maker", "list[Made]"], None]
"""Judges what was made, and writes the report."""
More = Callable[["Maker"], "list[Wanted]"]
"""Returns further pictures to make, once there is a folder."""


@dataclass(frozen=True)
class Run:
    """How an evaluation is made and reported."""

    template: Job
    """The settings of every picture, but for its prompt and its seed."""
    out: Path
    device: str
    options: EvalOptions
    offline: bool
    notes: Notes
    as_json: bool = False

    def with_preset(self) -> Run:
        """Return the run with the preset that it means on this machine, the same for all prompts."""
        name, reason = chosen_preset(self.template, self.device)
        self.notes.say([reason] if reason else [])
        return replace(self, template=replace(self.template, preset=name))

    def wanted(self, texts: Sequence[str]) -> list[Wanted]:
        """Return a picture of each text for the first seed, then for each further one. Raises UsageError."""
        from clipgen.session.evaluation_run import wanted_for

        seeds = [(self.template.seed + k) % (MAX_SEED + 1) for k in range(self.options.seeds)]
        return [wanted_for(text, seed, self.template, self.device) for seed in seeds for text in texts]

    def fetch(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Download the models that the options name, if they are missing; returns what is wanted, with their hashes.

        Raises WeightsMissingError.
        """
        others = [
            fetch_missing(plan, replace(self.template, prompts=plan.prompts), offline=self.offline, notes=self.notes)
            for plan in {each.plan.networks: each.plan for each in wanted}.values()
        ]
        return [replace(each, plan=with_hashes(each.plan)) for each in wanted] if any(others) else list(wanted)

    def judges(self, names: Sequence[str]) -> list[Judge]:
        """Load the judges. Raises WeightsMissingError."""
        import torch

        from clipgen.engine import models
        from clipgen.judge.judges import Judge
        from clipgen.util.devices import in_single

        device = torch.device(self.device)
        loaded = [in_single(models.perceptor_of(name), device).eval().requires_grad_(False) for name in names]
        return [Judge(name, perceptor.to(device), device) for name, perceptor in zip(names, loaded, strict=True)]

    def make(
        self, wanted: Sequence[Wanted], stem: str, report: Report, least: int = 1, more: More | None = None
    ) -> None:
        """Make the pictures, and report on them, also after Ctrl-C, if there are at least so many.

        Raises ClipgenError if a picture failed.
        """
        from clipgen.session.evaluation_folder import described, evaluation_folder, remove_if_empty

        chosen = {"candidates": self.options.candidates, "rank_by": self.options.rank_by} if more else {}
        settings = described([each.plan for each in wanted], **chosen)
        folder = evaluation_folder(self.out, stem, settings, redo=self.options.redo)
        maker = self._maker(folder)
        try:
            maker.make([*wanted, *(more(maker) if more else [])])
        except (Interrupted, KeyboardInterrupt):
            say("the same command continues the evaluation")
            raise
        finally:
            made = maker.made()
            if len(made) >= least:
                report(maker, made)
            remove_if_empty(folder)
        if maker.failed:
            raise ClipgenError(f"{len(maker.failed)} of {len(maker.wanted)} pictures failed")

    def _maker(self, folder: Path) -> Maker:
        from clipgen.session.evaluation_run import Maker

        def tell(place: int, seconds: float | None) -> None:
            took = "" if seconds is None else f"{seconds:.1f} s  "
            self.tell(f"{place + 1}/{len(maker.wanted)}  {took}{maker.wanted[place].text}")

        maker = Maker(folder, self.template, self.device, self.options.together, tell, self.notes.note, say)
        return maker

    def tell(self, line: str) -> None:
        """Print a line of progress, unless quiet."""
        if not self.notes.quiet:
            say(line)


def mean_seconds(made: Sequence[Made]) -> float | None:
    """Return the mean of the seconds that are known."""
    known = [each.seconds for each in made if each.seconds is not None]
    return statistics.fmean(known) if known else None


def guide_of(maker: Maker, wanted: Wanted, *, classifier: bool) -> Judge | None:
    """Return the first guide of a picture that is a CLIP, or a classifier, as a judge; None without any."""
    from clipgen.judge.judges import Judge

    models = maker.session.models(wanted.plan)
    named: list[Any] = [Judge(guide.settings.weights, guide.perceptor, models.device) for guide in models.guides]
    return next((each for each in named if each.is_classifier == classifier), None)

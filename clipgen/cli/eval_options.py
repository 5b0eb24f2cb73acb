"""The options of `clipgen eval`: what is asked for, who judges, and how often."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from clipgen.cli.option_groups import Option
from clipgen.config.checks import check_whole
from clipgen.config.preset import PHOTO
from clipgen.errors import UsageError
from clipgen.session.options import MAX_CANDIDATES, MAX_TOGETHER

COUNT, COUNT_OF_CLASSES = 48, 60
"""How many prompts by default."""
MAX_COUNT = 2000
"""Enough to measure a proportion to about one percentage point."""
MAX_SEEDS, MAX_VIEWS = 64, 256
ASKING, JUDGING, MAKING, PLOTTING = "What is asked for", "Judging", "Making", "Plots"


@dataclass(frozen=True)
class EvalOptions:
    """What an evaluation asks for, and how it is judged."""

    prompts: Annotated[
        Path | None,
        Option(
            "--prompts",
            "Ask for the prompts of a file, each taken as it is: one a line, or a table separated by tabs whose header "
            "has a column Prompt, as PartiPrompts has; by its column Category means are reported, too.",
            "FILE",
            panel=ASKING,
        ),
    ] = None
    classes: Annotated[
        bool,
        Option(
            "--classes",
            "Ask for things that classifiers of photographs know, instead of prompts of the drawn world; classifiers "
            "that do not guide judge.",
            panel=ASKING,
        ),
    ] = False
    count: Annotated[
        int | None,
        Option(
            "--n -n",
            "How many prompts, spread evenly over those of a file.",
            "NUMBER",
            panel=ASKING,
            default=f"{COUNT}; with --classes, {COUNT_OF_CLASSES}",
        ),
    ] = None
    seeds: Annotated[
        int,
        Option(
            "--seeds",
            "How many pictures of each prompt, with seeds that count up from --seed; of several, the diversity is "
            "reported.",
            "NUMBER",
            panel=ASKING,
        ),
    ] = 1
    judge: Annotated[
        list[str] | None,
        Option(
            "--judge",
            "With --prompts or --classes, a CLIP or a classifier that judges; repeat it for several.",
            "NAME",
            panel=JUDGING,
            default=f"those of the preset; with --classes, efficientnet-lite1 and -lite2, as with preset {PHOTO}, "
            "unless they guide",
        ),
    ] = None
    allow_guide: Annotated[
        bool,
        Option(
            "--allow-guide", "Allow a judge that also guides, and that cannot tell when it was fooled.", panel=JUDGING
        ),
    ] = False
    views: Annotated[
        int,
        Option(
            "--views",
            "Over how many random views of each picture its score is averaged, beside its scores under JPEG "
            "compression, blur and a shift; 0 leaves all of these out.",
            "NUMBER",
            panel=JUDGING,
        ),
    ] = 8
    candidates: Annotated[
        int,
        Option(
            "--candidates",
            "With --prompts: pick each picture among this many seeds, tried for a few steps, and compare the picks "
            "with the pictures of the first seed. The judge is then one that took no part in picking.",
            "NUMBER",
            panel=JUDGING,
        ),
    ] = 1
    rank_by: Annotated[
        str | None,
        Option(
            "--rank-by",
            "The CLIP or classifier that picks among the candidates.",
            "NAME",
            panel=JUDGING,
            default="those of the preset; without any, the guides",
        ),
    ] = None
    together: Annotated[
        int,
        Option(
            "--together",
            "Maximum number of pictures to optimise in lockstep; each then takes its share of the seconds.",
            "NUMBER",
            panel=MAKING,
        ),
    ] = 1
    redo: Annotated[
        bool,
        Option(
            "--redo", "Make all pictures again, in another folder, instead of continuing an evaluation.", panel=MAKING
        ),
    ] = False
    plots: Annotated[
        bool,
        Option(
            "--plots",
            "With --prompts: also plot the scores of judge and guide over the steps, for which some pictures are made "
            "once more. Needs Matplotlib, which the extra plots of the package installs.",
            panel=PLOTTING,
        ),
    ] = False
    plot: Annotated[
        list[Path] | None,
        Option(
            "--plot",
            "Make no pictures, and plot quality over seconds of the records of earlier evaluations; repeat it for "
            "several.",
            "FILE.json",
            panel=PLOTTING,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_whole("--seeds", self.seeds, 1, MAX_SEEDS)
        check_whole("--views", self.views, 0, MAX_VIEWS)
        check_whole("--candidates", self.candidates, 1, MAX_CANDIDATES)
        check_whole("--together", self.together, 1, MAX_TOGETHER)
        if self.classes and self.prompts:
            raise UsageError(f"--classes and --prompts {self.prompts} both say what to ask for; leave one out")
        for flag, is_given in (("--candidates", self.candidates > 1), ("--plots", self.plots)):
            if is_given and not self.prompts:
                raise UsageError(f"{flag} goes with --prompts FILE")
        if self.candidates > 1 and self.seeds > 1:
            raise UsageError("--candidates picks one seed of each prompt and --seeds keeps several; leave one out")
        if self.rank_by and self.candidates == 1:
            raise UsageError(f"--rank-by {self.rank_by} picks among candidates; add --candidates 8")
        if self.judge and not (self.classes or self.prompts):
            raise UsageError(
                f"--judge {self.judge[0]} goes with --classes or --prompts; the drawn world has a judge of its own"
            )

"""The options that commands share, each declared once and grouped by topic.

A field that is None was not given: its value comes from the job, the preset or the picture, as the help says.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.cli.judge_options import judge_names
from clipgen.cli.option_groups import Option
from clipgen.cli.values import expanded, parse_seed
from clipgen.config.job import parse_size
from clipgen.config.preset import LOCAL, PHOTO
from clipgen.config.presets import PRESETS
from clipgen.errors import UsageError
from clipgen.session.options import check_candidates

PICTURE, ENGINE = "Picture", "Engine"

SIZES = ", ".join(f"{preset.name} {preset.size[0]}x{preset.size[1]}" for preset in PRESETS.values())


def typed(**values: object) -> dict[str, Any]:
    """Return the values that were given: all but None."""
    return {name: value for name, value in values.items() if value is not None}


_PROMPT = typer.Argument(
    metavar="PROMPT",
    help='What to draw, in English; "-" reads it from standard input. Separate several prompts with "|" and weight '
    'them as in "a cat:2|fog:-0.5"; "a cat:1..0" fades, and TEXT:WEIGHT:STOP also sets a stop. Scenes are '
    'separated by " ^ ".',
    show_default=False,
)
Prompt = Annotated[str, _PROMPT]
PromptUnlessImplied = Annotated[str | None, _PROMPT]
"""Options may stand for the prompt."""
Picture = Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture that clipgen made.", show_default=False)]


@dataclass(frozen=True)
class PictureOptions:
    """What the picture starts from and how large it is."""

    init: Annotated[Path | None, Option("--init", "Start from this image.", "FILE", panel=PICTURE)] = None
    init_weight: Annotated[
        float | None,
        Option(
            "--init-weight",
            "How strongly the picture is held to the init image: 0 lets go of it, more keeps more of it.",
            "NUMBER",
            panel=PICTURE,
            default=f"{PRESETS[PHOTO].init_weight:g} with presets {' and '.join(LOCAL)}, less with --mask and "
            "--change; else 0",
        ),
    ] = None
    size: Annotated[
        str | None,
        Option(
            "--size",
            "Width and height in pixels.",
            "WxH",
            panel=PICTURE,
            default=f"{SIZES}; with --init, the shape of that image",
        ),
    ] = None
    upscale: Annotated[
        int | None,
        Option(
            "--upscale",
            "Enlarge the finished picture 2 or 4 times, by a network if one is here (see --upscaler), else by Lanczos.",
            "NUMBER",
            panel=PICTURE,
            default="1, which is not at all",
        ),
    ] = None
    seed: Annotated[
        str | None,
        Option(
            "--seed",
            "The same seed gives the same picture.",
            "NUMBER|random",
            panel=PICTURE,
            default="random, shown in the file name",
        ),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given; raises UsageError for an invalid size or seed."""
        return typed(
            init=None if self.init is None else str(expanded(self.init, "--init")),
            init_weight=self.init_weight,
            size=None if self.size is None else parse_size(self.size),
            seed=None if self.seed is None else parse_seed(self.seed),
            upscale=self.upscale,
        )


@dataclass(frozen=True)
class CandidateOptions:
    """How many seeds are tried, and how many of them become pictures."""

    candidates: Annotated[
        int,
        Option(
            "--candidates",
            "Try this many seeds for a few steps, counting up from --seed; a judge that takes no part in the "
            "guidance picks the best.",
            "NUMBER",
            panel=PICTURE,
        ),
    ] = 1
    keep: Annotated[int, Option("--keep", "How many of the candidates become pictures.", "NUMBER", panel=PICTURE)] = 1
    judge: Annotated[
        list[str] | None,
        Option(
            "--judge",
            "A CLIP or classifier that ranks the candidates and does not guide: ViT-B-32, efficientnet-lite1, "
            "starter/judge; repeat it to average several.",
            "NAME",
            panel=PICTURE,
            default="the preset's",
        ),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the field of a job that was given; raises UsageError for impossible numbers and unknown names."""
        check_candidates(self.candidates, self.keep)
        if self.judge and self.candidates == 1:
            raise UsageError(f"--judge {self.judge[0]} ranks candidates, and there is one picture; add --candidates 8")
        return typed(judges=tuple(judge_names(self.judge)) if self.judge else None)

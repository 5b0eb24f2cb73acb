"""The options that commands share, each declared once and grouped by topic.

A field that is None was not given: its value comes from the job, the preset or the picture, as the help says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.cli.judge_options import judge_names
from clipgen.cli.option_groups import Option
from clipgen.cli.values import expanded, parse_seed
from clipgen.config.courses import parse_cutouts, parse_rate
from clipgen.config.job import Job, parse_size
from clipgen.config.levels import LEVELLED
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, INIT, LOCAL, PHOTO, STARTS, GeneratorDefaults
from clipgen.config.presets import PRESETS
from clipgen.config.settings import BF16, OPTIMIZERS, PRECISIONS
from clipgen.config.strokes import COUNT, MAX_COUNT
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS
from clipgen.session.options import check_candidates

PICTURE, ENGINE = "Picture", "Engine"

SIZES = ", ".join(f"{preset.name} {preset.size[0]}x{preset.size[1]}" for preset in PRESETS.values())
_DEFAULT_BACKENDS = f"{DEFAULT_BACKEND}; with preset {PHOTO}, {PRESETS[PHOTO].backend}"
_BACKENDS = "; ".join(row.summary for row in GENERATORS.values())
_RECIPES = "; ".join(f"{name}: {row.summary}" for name, row in PEER_RECIPES.items())
_PRESETS = "; ".join(f"{preset.name}: {preset.summary}" for preset in PRESETS.values())


def _by_preset(pick: Callable[[GeneratorDefaults], object]) -> str:
    """Describe the default of a setting that depends on the preset."""
    shown = []
    for preset in PRESETS.values():
        text, with_init = _by_backend(preset.generators, pick), _by_backend(preset.guidance[INIT].generators, pick)
        shown.append(f"{preset.name} {text}" + (f" (with --init {with_init})" if with_init != text else ""))
    return "; ".join(shown)


def _by_backend(generators: Mapping[str, GeneratorDefaults], pick: Callable[[GeneratorDefaults], object]) -> str:
    values = {backend: str(pick(defaults)) for backend, defaults in generators.items()}
    first = next(iter(values.values()))
    if set(values.values()) == {first}:
        return first
    return ", ".join(f"{name} {value}" for name, value in values.items())


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
Picture = Annotated[
    Path, typer.Argument(metavar="PICTURE.png", help="A picture that clipgen made.", show_default=False)
]


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


@dataclass(frozen=True)
class EngineOptions:
    """How the latent is optimised, and where."""

    backend: Annotated[
        str | None,
        Option(
            "--backend",
            f"The image generator. {_BACKENDS}.",
            choices=tuple(GENERATORS),
            panel=ENGINE,
            default=_DEFAULT_BACKENDS,
        ),
    ] = None
    preset: Annotated[
        str | None,
        Option(
            "--preset",
            f"The models and their settings. {_PRESETS}.",
            choices=(AUTO, *PRESETS),
            panel=ENGINE,
            default=Job.preset,
        ),
    ] = None
    start: Annotated[
        str | None,
        Option(
            "--start",
            "Where the latent begins: noise, a picture proposed by the starter set's unCLIP, the init image, clouds "
            "(perlin), a gradient or coloured snow, or random codes.",
            choices=STARTS,
            panel=ENGINE,
            default="init with --init; that of --recipe; unclip with preset starter; else noise",
        ),
    ] = None
    recipe: Annotated[
        str | None,
        Option(
            "--recipe",
            f"The loop of another program, with the preset's models: {_RECIPES}. It sets cutouts, augmentations, "
            "optimiser, learning rate, steps and start; other options take the place of single settings.",
            choices=tuple(PEER_RECIPES),
            panel=ENGINE,
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        Option(
            "--optimizer",
            "What moves the latent along its gradient.",
            choices=OPTIMIZERS,
            panel=ENGINE,
            default="that of the preset or the recipe",
        ),
    ] = None
    steps: Annotated[
        int | None,
        Option(
            "--steps",
            "Optimisation steps; more take longer and follow the prompt more closely.",
            "NUMBER",
            panel=ENGINE,
            default=_by_preset(lambda row: row.steps),
        ),
    ] = None
    lr: Annotated[
        str | None,
        Option(
            "--lr",
            "Learning rate: how far each step moves the latent. 0.1..0.02 falls over the run, as does 0.1@0,0.02@50%.",
            "NUMBER",
            panel=ENGINE,
            default=_by_preset(lambda row: row.lr),
        ),
    ] = None
    cutouts: Annotated[
        str | None,
        Option(
            "--cutouts",
            "Cutouts of the image that CLIP sees in each step; 4..16 rises over the run, as does 4@0,16@50%.",
            "NUMBER",
            panel=ENGINE,
            default=_by_preset(lambda row: row.cutouts),
        ),
    ] = None
    levels: Annotated[
        int | None,
        Option(
            "--levels",
            f"Resolutions that the latent of {', '.join(LEVELLED)} is a sum of, each half of the one before.",
            "NUMBER",
            panel=ENGINE,
            default=_by_preset(lambda row: row.settings.levels),
        ),
    ] = None
    coarse_to_fine: Annotated[
        float | None,
        Option(
            "--coarse-to-fine",
            "Move the coarse of these resolutions first and the fine ones last. The number, such as 1.5, is the width "
            "in levels of the bump of the learning rate that goes over them; 0 moves all of them all the time.",
            "NUMBER",
            panel=ENGINE,
            default="0",
        ),
    ] = None
    strokes: Annotated[
        int | None,
        Option(
            "--strokes",
            f"How many strokes draw the picture with --backend strokes, from 1 to {MAX_COUNT}.",
            "NUMBER",
            panel=ENGINE,
            default=f"{COUNT}",
        ),
    ] = None
    stroke_width: Annotated[
        str | None,
        Option(
            "--stroke-width",
            "How wide these strokes begin, in pixels; 3,20 also says how wide they may get.",
            "START[,WIDEST]",
            panel=ENGINE,
            default="wider the fewer there are",
        ),
    ] = None
    precision: Annotated[
        str | None,
        Option(
            "--precision",
            "What the networks compute in: bf16 (bfloat16) takes half the time and memory where the device has it; "
            "latents and losses stay in fp32.",
            choices=PRECISIONS,
            panel=ENGINE,
            default=f"bf16 with presets {', '.join(name for name in PRESETS if PRESETS[name].precision == BF16)} where "
            "the device has it; else fp32",
        ),
    ] = None
    device: Annotated[
        str,
        Option(
            "--device",
            "Where to compute; auto uses a GPU if there is one.",
            "auto|cpu|cuda[:N]|mps",
            ("auto", "cpu", "cuda", "mps"),
            panel=ENGINE,
        ),
    ] = "auto"

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given."""
        return typed(
            backend=self.backend,
            preset=self.preset,
            start=self.start,
            steps=self.steps,
            lr=None if self.lr is None else parse_rate(self.lr),
            levels=self.levels,
            coarse_to_fine=self.coarse_to_fine,
            precision=self.precision,
            recipe=self.recipe,
            optimizer=self.optimizer,
            strokes=self.strokes,
            stroke_width=self.stroke_width,
            **({} if self.cutouts is None else parse_cutouts(self.cutouts)),
        )

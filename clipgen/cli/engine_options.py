"""The options of models and loop that commands share, each declared once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import ENGINE, typed
from clipgen.config.courses import parse_cutouts, parse_rate
from clipgen.config.job import Job
from clipgen.config.levels import LEVELLED
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, INIT, PHOTO, STARTS, GeneratorDefaults
from clipgen.config.presets import PRESETS
from clipgen.config.settings import BF16, OPTIMIZERS, PRECISIONS
from clipgen.config.strokes import COUNT, MAX_COUNT
from clipgen.generators import GENERATORS

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
            f"The models and their settings: a name, or a folder that `clipgen train` made. {_PRESETS}.",
            "NAME|FOLDER",
            (AUTO, *PRESETS),
            panel=ENGINE,
            default=Job.preset,
        ),
    ] = None
    start: Annotated[
        str | None,
        Option(
            "--start",
            "Where the latent begins: noise, a picture proposed by the starter set's unCLIP, by a prior over tokens or "
            "by DALL-E mini, the init image, clouds (perlin), a gradient or coloured snow, or random codes.",
            choices=STARTS,
            panel=ENGINE,
            default="init with --init; that of --recipe; unclip with preset starter; gradient for strokes with preset "
            "photo; else noise",
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
            "How wide these strokes begin with --start noise, in pixels; 3,20 also says how wide they may get.",
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

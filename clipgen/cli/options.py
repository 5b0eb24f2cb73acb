"""The options that commands share, each with its help; defaults and choices are read from where they are held."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.config.presets import AUTO, PRESETS, GeneratorDefaults
from clipgen.generators import GENERATORS

PICTURE, ENGINE, OUTPUT = "Picture", "Engine", "Output"
DEFAULT_FOLDER = Path("outputs")
_DEFAULT = " [dim]\\[default: "


def _preset_default(pick: Callable[[GeneratorDefaults], object]) -> str:
    """Put the default of a setting that presets hold into words."""
    by_preset = []
    for preset in PRESETS.values():
        values = {backend: str(pick(defaults)) for backend, defaults in preset.generators.items()}
        same = len(set(values.values())) == 1
        shown = next(iter(values.values())) if same else ", ".join(f"{name} {value}" for name, value in values.items())
        by_preset.append(f"{preset.name} {shown}")
    return "; ".join(by_preset)


def _with_default(text: str, default: str) -> str:
    """End a help text as Typer does where the default is a plain value of the option."""
    return f"{text}{_DEFAULT}{default}][/dim]"


def _output_flag(*names: str, text: str) -> Any:
    """Declare a switch; without an empty metavar Typer calls it "<bool>"."""
    return typer.Option(*names, metavar="", help=text, rich_help_panel=OUTPUT)


def _kept(option: Any, default: str = "the picture's") -> Any:
    """Declare the option of `run` again, for a command that takes its default from a picture."""
    info = copy(option.__metadata__[0])
    info.help = _with_default(info.help.split(_DEFAULT)[0], default)
    info.show_default = False
    return info


_SIZES = ", ".join(f"{preset.name} {preset.size[0]}x{preset.size[1]}" for preset in PRESETS.values())
_BACKENDS = "; ".join(row.summary for row in GENERATORS.values())
_PRESETS = "; ".join(f"{preset.name}: {preset.summary}" for preset in PRESETS.values())

Prompt = Annotated[
    str,
    typer.Argument(
        metavar="PROMPT",
        help='What to draw. Join several with "|"; give each a weight and a stop as in "a cat:2|fog:-0.5".',
        show_default=False,
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init", metavar="FILE", help="Start from this picture.", rich_help_panel=PICTURE, show_default=False
    ),
]
InitWeight = Annotated[
    float,
    typer.Option(
        "--init-weight",
        metavar="NUMBER",
        help="How strongly the result is held to the init picture.",
        rich_help_panel=PICTURE,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help=_with_default("Width and height in pixels.", f"{_SIZES}; with --init its shape"),
        rich_help_panel=PICTURE,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="NUMBER",
        help=_with_default("The same seed gives the same picture.", "random; the file name tells it"),
        rich_help_panel=PICTURE,
        show_default=False,
    ),
]
Candidates = Annotated[
    int,
    typer.Option(
        "--candidates",
        metavar="NUMBER",
        help="Seeds to try a short way, from --seed on; a judge that does not guide picks the best.",
        rich_help_panel=PICTURE,
    ),
]
Keep = Annotated[
    int,
    typer.Option("--keep", metavar="NUMBER", help="How many of them become pictures.", rich_help_panel=PICTURE),
]
BatchSeed = Annotated[
    int,
    typer.Option("--seed", metavar="NUMBER", help="The seed of every picture.", rich_help_panel=PICTURE),
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="|".join(GENERATORS),
        help=f"The image generator. {_BACKENDS}.",
        rich_help_panel=ENGINE,
        autocompletion=lambda: list(GENERATORS),
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="|".join((AUTO, *PRESETS)),
        help=f"The models and their settings. {_PRESETS}.",
        rich_help_panel=ENGINE,
        autocompletion=lambda: [AUTO, *PRESETS],
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        metavar="NUMBER",
        help=_with_default(
            "Optimisation steps; more take longer and follow the prompt further.",
            _preset_default(lambda row: row.steps),
        ),
        rich_help_panel=ENGINE,
        show_default=False,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        metavar="NUMBER",
        help=_with_default("Learning rate: how far each step moves the latent.", _preset_default(lambda row: row.lr)),
        rich_help_panel=ENGINE,
        show_default=False,
    ),
]
Cutouts = Annotated[
    int | None,
    typer.Option(
        "--cutouts",
        metavar="NUMBER",
        help=_with_default(
            "Views of the picture that CLIP judges in each step.", _preset_default(lambda row: row.cutouts)
        ),
        rich_help_panel=ENGINE,
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]",
        help="Where to compute; auto takes a GPU where there is one.",
        rich_help_panel=ENGINE,
        autocompletion=lambda: ["auto", "cpu", "cuda"],
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE.png|FOLDER",
        help=_with_default(
            "Where to write. Nothing is overwritten: a taken name gets a number.",
            f"{DEFAULT_FOLDER}/<prompt>-<seed>.png",
        ),
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
BatchOut = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="FOLDER",
        help="Where to write. Pictures that are there already are not made again.",
        rich_help_panel=OUTPUT,
    ),
]
Video = Annotated[bool, _output_flag("--video", text="Also write films of the run, MP4 and GIF.")]
Mp4 = Annotated[bool, _output_flag("--mp4", text="Also write the film as MP4.")]
Gif = Annotated[bool, _output_flag("--gif", text="Also write the film as GIF.")]
Json = Annotated[bool, _output_flag("--json", text="Print one JSON document instead of paths.")]
Quiet = Annotated[bool, _output_flag("-q", "--quiet", text="Say nothing but errors.")]
SaveEvery = Annotated[
    float,
    typer.Option(
        "--save-every",
        metavar="SECONDS",
        help="How often the state is saved from which `clipgen resume` goes on after a crash.",
        rich_help_panel=OUTPUT,
    ),
]
KeepState = Annotated[
    bool,
    _output_flag("--keep-state", text="Keep that state when the run has finished, to go on with more steps later."),
]
NoMetadata = Annotated[
    bool,
    _output_flag("--no-metadata", text="Write no recipe into the picture: the file holds pixels and nothing else."),
]
BatchNoMetadata = Annotated[
    bool,
    _output_flag(
        "--no-metadata",
        text="Write no recipe into the pictures. A later batch then cannot tell what they are and makes them again.",
    ),
]
InfoJson = Annotated[bool, _output_flag("--json", text="Print one JSON document instead of lines.")]

Picture = Annotated[
    Path, typer.Argument(metavar="PICTURE.png", help="A picture that clipgen made.", show_default=False)
]
NewPrompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="TEXT",
        help=_with_default("What to draw.", "the picture's"),
        rich_help_panel=PICTURE,
        show_default=False,
    ),
]
NewInit = Annotated[
    Path | None,
    typer.Option(
        "--init",
        metavar="FILE",
        help="Start from this picture. Needed where the first run had one: a recipe holds its name and hash only.",
        rich_help_panel=PICTURE,
        show_default=False,
    ),
]
_OF_OTHER_MODELS = "the picture's; with another --backend or --preset what suits that"
NewInitWeight = Annotated[float | None, _kept(InitWeight)]
NewSize = Annotated[str | None, _kept(Size)]
NewSeed = Annotated[int | None, _kept(Seed)]
NewBackend = Annotated[str | None, _kept(Backend)]
NewPreset = Annotated[str | None, _kept(Preset)]
NewSteps = Annotated[int | None, _kept(Steps, _OF_OTHER_MODELS)]
NewLearningRate = Annotated[float | None, _kept(LearningRate, _OF_OTHER_MODELS)]
NewCutouts = Annotated[int | None, _kept(Cutouts, _OF_OTHER_MODELS)]

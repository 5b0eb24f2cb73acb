"""The options of `clipgen train`: numbers that replace a recipe's, and all that is asked of one's own pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import typed
from clipgen.config.settings import PRECISIONS
from clipgen.errors import UsageError
from clipgen.training.settings import RESOLUTIONS, SIZES, Settings, default_out

OWN = "Your own pictures"
_THEIRS = {"metavar": "NUMBER", "default": "the recipe's"}
_FLAGS = {"start": "--from", "sheet_minutes": "--sheets"}


@dataclass(frozen=True)
class RecipeOptions:
    """Numbers that replace those of a recipe."""

    steps: Annotated[int | None, Option("--steps", "Training steps.", **_THEIRS)] = None
    batch: Annotated[int | None, Option("--batch", "Pictures in each step.", **_THEIRS)] = None
    rate: Annotated[float | None, Option("--lr", "Learning rate.", **_THEIRS)] = None
    seed: Annotated[int | None, Option("--seed", "Another seed gives other weights.", **_THEIRS)] = None
    pictures: Annotated[
        int | None, Option("--pictures", "How many pictures of the drawn world to train on.", **_THEIRS)
    ] = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, flag = getattr(self, field.name), "lr" if field.name == "rate" else field.name
            if value is not None and value <= 0 and flag != "seed":
                raise UsageError(f"--{flag} must be above 0, got {value}")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"--seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True)
class OwnOptions:
    """What to train on captioned pictures, and how."""

    data: Annotated[
        Path | None,
        Option(
            "--data",
            "Train on these pictures: a folder with name.txt beside name.jpg, a folder of folders named after what "
            "they show, a .tsv or .csv table, or WebDataset .tar archives.",
            "PATH",
            panel=OWN,
        ),
    ] = None
    out: Annotated[
        Path | None,
        Option(
            "--out",
            "The folder for the trained networks: a preset, to which later calls add.",
            "FOLDER",
            panel=OWN,
            default="named after the data",
        ),
    ] = None
    size: Annotated[
        str | None, Option("--size", "How large the network is.", choices=SIZES, panel=OWN, default=Settings.size)
    ] = None
    resolution: Annotated[
        int | None,
        Option(
            "--resolution",
            "Side of the pictures in pixels.",
            "NUMBER",
            panel=OWN,
            default=", ".join(f"{side} for {size}" for size, side in RESOLUTIONS.items()),
        ),
    ] = None
    minutes: Annotated[
        float | None,
        Option("--minutes", "Train for about so long, instead of a number of steps.", "NUMBER", panel=OWN),
    ] = None
    start: Annotated[
        str | None,
        Option("--from", "Fine-tune this network, such as ViT-B-32 or starter/vqgan, or a file.", "NAME", panel=OWN),
    ] = None
    radius: Annotated[
        float | None,
        Option(
            "--radius",
            "How far an adversary may move the pixels that a CLIP sees, which makes it a better guide; 0 is twice as "
            "fast.",
            "NUMBER",
            panel=OWN,
            default="1 at 64 pixels, in proportion to the side",
        ),
    ] = None
    flip: Annotated[
        bool, Option("--flip", "Mirror half of the pictures, where left and right do not matter.", panel=OWN)
    ] = False
    precision: Annotated[
        str | None,
        Option(
            "--precision",
            "What the networks compute in.",
            choices=PRECISIONS,
            panel=OWN,
            default="bf16 where the device has it, but fp32 for a dvae",
        ),
    ] = None
    patience: Annotated[
        int | None,
        Option(
            "--patience",
            "Stop after so many checks on held-out pictures that bring nothing; 0 never stops early.",
            "NUMBER",
            panel=OWN,
            default=f"{Settings.patience}",
        ),
    ] = None
    sheet_minutes: Annotated[
        float | None,
        Option(
            "--sheets",
            "Minutes between two sheets of samples.",
            "NUMBER",
            panel=OWN,
            default=f"{Settings.sheet_minutes:g}",
        ),
    ] = None

    def given(self) -> Iterator[str]:
        """Yield the flags that were given, but for --data."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "data" and value is not None and value is not False:
                yield _FLAGS.get(field.name, f"--{field.name}")

    def settings(self, kind: str, data: Path, changed: RecipeOptions) -> Settings:
        """Return what is asked; raises UsageError for what cannot be."""
        if changed.pictures is not None:
            raise UsageError("--pictures is for the drawn world: with --data all pictures there are used")
        named = ("size", "resolution", "minutes", "start", "radius", "precision", "patience", "sheet_minutes")
        values: dict[str, Any] = typed(
            **{name: getattr(self, name) for name in named},
            **{name: getattr(changed, name) for name in ("steps", "batch", "rate", "seed")},
        )
        return Settings(kind, data, self.out or default_out(data), flip=self.flip, **values)

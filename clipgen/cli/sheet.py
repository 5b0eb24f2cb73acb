"""`clipgen sheet FOLDER`: a labelled contact sheet of any pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.report import Notes, echo_path
from clipgen.cli.slips import PICTURES
from clipgen.cli.values import expanded
from clipgen.config.checks import check_choice, check_whole
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.config.plan import Plan

MAX_PICTURES = 1024
MAX_COLUMNS = 64
USUAL_COLUMNS = 8
NAME, PROMPT, SEED, NONE = "name", "prompt", "seed", "none"
LABELS: dict[str, Callable[[Plan], str] | None] = {
    NAME: None,
    PROMPT: lambda plan: plan.text,
    SEED: lambda plan: f"seed {plan.seed}",
    NONE: None,
}
"""What each kind of label takes from a recipe."""
OUT = Path("sheet.png")

Pictures = Annotated[
    list[Path],
    typer.Argument(
        metavar="FOLDER|PICTURE",
        help=f"Pictures, and folders of pictures, up to {MAX_PICTURES}. Of folders all are taken but earlier sheets.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    Option(
        "-o --out",
        "Where to write. Nothing is ever overwritten: a name that is taken gets a number.",
        "FILE.png|FOLDER",
        default=f"{OUT}",
    ),
]
Columns = Annotated[
    int | None,
    Option("--columns", "How many pictures stand side by side.", "NUMBER", default=f"at most {USUAL_COLUMNS}"),
]
Labels = Annotated[
    str,
    Option("--labels", "What stands below a picture; a picture without a recipe has its name.", choices=tuple(LABELS)),
]


@flat
def sheet(
    pictures: Pictures,
    *,
    out: Out = OUT,
    columns: Columns = None,
    labels: Labels = PROMPT,
    output: Annotated[OutputOptions, only("quiet")],
) -> None:
    """Put pictures on one labelled contact sheet, and print its path.

    A picture that is damaged is left out.
    """
    check_choice("--labels", labels, tuple(LABELS))
    if columns is not None:
        check_whole("--columns", columns, 1, MAX_COLUMNS)
    path = _path(out)
    found = list(_found([expanded(each, "sheet") for each in pictures]))
    if len(found) > MAX_PICTURES:
        raise UsageError(
            f"sheet takes up to {MAX_PICTURES} pictures, got {len(found):,}; name fewer, or a part of them"
        )
    across = columns or min(USUAL_COLUMNS, math.ceil(math.sqrt(len(found))))
    _write(path, found, across, labels, output.notes())


def _write(path: Path, found: Sequence[Path], columns: int, labels: str, notes: Notes) -> None:
    from clipgen.outputs.sheet import cell_side, contact_sheet, write_sheet

    side = cell_side(columns, -(-len(found) // columns))
    cells = _images(found, side, notes)
    captions = [] if labels == NONE else [_label(each, labels) for each in cells]
    drawn = contact_sheet(list(cells.values()), min(columns, len(cells)), captions=captions, side=side)
    echo_path(write_sheet(drawn, path.parent, path.stem, path.stem))


def _path(out: Path) -> Path:
    """Return the file that `-o` means; raises UsageError if it is of another format."""
    path = expanded(out, "-o")
    if path.is_dir() if lexists(path) else not path.suffix:
        return path / OUT
    if path.suffix.lower() != ".png":
        raise UsageError(
            f"-o {out} is not a PNG file, and no other format is written; use -o {path.with_suffix('.png')}"
        )
    return path


def _found(asked: Sequence[Path]) -> Iterator[Path]:
    """Yield the pictures that are named, and those in folders in the order of their names. Raises UsageError."""
    count = 0
    for each in asked:
        if not lexists(each):
            raise UsageError(f"there is no file or folder {each}; check the path")
        inside = _in_folder(each) if each.is_dir() else [each]
        count += len(inside)
        yield from inside
    if not count:
        named = ", ".join(map(str, asked))
        raise UsageError(f"there is no picture in {named}; name a folder that holds PNG, JPEG or other pictures")


def _in_folder(folder: Path) -> list[Path]:
    from clipgen.outputs.sheet import is_sheet

    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file()]
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be read ({error.strerror}); check the path") from error
    return sorted((path for path in files if not is_sheet(path)), key=_in_order)


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Return a key by which "a-2.png" comes before "a-10.png"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,18})", path.name)]


def _images(found: Sequence[Path], side: int, notes: Notes) -> dict[Path, Image]:
    """Return the pictures, small, that can be read, with a note on each other one; raises UsageError if none can."""
    from clipgen.outputs.sheet import fitted
    from clipgen.util.images import load_image

    images: dict[Path, Image] = {}
    problems: list[str] = []
    for path in found:
        try:
            images[path] = fitted(load_image(path, "the picture")[0], side)
        except UsageError as error:
            problems.append(str(error))
    if not images:
        raise UsageError(problems[0] + (f"; {len(problems) - 1} more cannot be read either" if problems[1:] else ""))
    notes.say(f"left out: {problem}" for problem in problems)
    return images


def _label(path: Path, labels: str) -> str:
    """Return what stands below a picture: what its recipe says, or its name."""
    from clipgen.outputs.metadata import read_recipe

    say = LABELS[labels]
    try:
        return say(read_recipe(path).plan) if say else path.name
    except UsageError:  # it has no recipe
        return path.name

"""`clipgen sheet FOLDER`: a labelled contact sheet of any pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.picture_files import picture_files
from clipgen.cli.report import Notes, echo_path
from clipgen.cli.sheet_axes import SETTINGS, Table, check_axes, placed
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
X = Annotated[
    str | None,
    Option(
        "--x",
        "Place the pictures by this setting of their recipes, a column for each of its values.",
        choices=tuple(SETTINGS),
        default="none",
    ),
]
Y = Annotated[
    str | None,
    Option("--y", "Likewise, a row for each of its values.", choices=tuple(SETTINGS), default="none"),
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
    x: X = None,
    y: Y = None,
    labels: Labels = PROMPT,
    output: Annotated[OutputOptions, only("quiet")],
) -> None:
    """Put pictures on one labelled contact sheet, and print its path.

    A picture that is damaged is left out; with --x or --y, one without a recipe, too.
    """
    check_axes(x, y, columns)
    check_choice("--labels", labels, tuple(LABELS))
    if columns is not None:
        check_whole("--columns", columns, 1, MAX_COLUMNS)
    path = _path(out)
    found = picture_files(pictures, "sheet")
    if len(found) > MAX_PICTURES:
        raise UsageError(
            f"sheet takes up to {MAX_PICTURES} pictures, got {len(found):,}; name fewer, or a part of them"
        )
    if x or y:
        _write_table(path, placed(_plans(found, output.notes()), x, y), output.notes())
        return
    across = columns or min(USUAL_COLUMNS, math.ceil(math.sqrt(len(found))))
    _write(path, found, across, labels, output.notes())


def _write(path: Path, found: Sequence[Path], columns: int, labels: str, notes: Notes) -> None:
    from clipgen.outputs.embedded import source_in
    from clipgen.outputs.sheet import cell_side, contact_sheet, write_sheet

    side = cell_side(columns, -(-len(found) // columns))
    cells = _images(found, side, notes)
    captions = [] if labels == NONE else [_label(each, labels) for each in cells]
    drawn = contact_sheet(list(cells.values()), min(columns, len(cells)), captions=captions, side=side)
    echo_path(write_sheet(drawn, path.parent, path.stem, path.stem, sources=map(source_in, cells)))


def _write_table(path: Path, table: Table, notes: Notes) -> None:
    from clipgen.outputs.embedded import source_in
    from clipgen.outputs.sheet import cell_side, contact_sheet, write_sheet

    columns = max(len(table.columns), 1)
    side = cell_side(columns, max(len(table.rows), 1))
    images = _images([cell for cell in table.cells if cell], side, notes)
    drawn = contact_sheet(
        [images.get(cell) if cell else None for cell in table.cells], columns, table.rows, table.columns, side=side
    )
    echo_path(write_sheet(drawn, path.parent, path.stem, path.stem, sources=map(source_in, images)))


def _plans(found: Sequence[Path], notes: Notes) -> dict[Path, Plan]:
    """Return the plans in the recipes of pictures, with a note on each that has none; raises UsageError if none has."""
    from clipgen.outputs.metadata import read_recipe

    plans: dict[Path, Plan] = {}
    problems: list[str] = []
    for path in found:
        try:
            plans[path] = read_recipe(path).plan
        except UsageError as error:
            problems.append(str(error))
    if not plans:
        raise UsageError(f"--x and --y place pictures by their recipes, and there is none: {problems[0]}")
    notes.say(f"left out: {problem}" for problem in problems)
    return plans


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

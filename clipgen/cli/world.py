"""`clipgen world`: shows the drawn world that the starter models know, as pictures or as words."""

import json
import textwrap
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path
from typing import Annotated

import typer

from clipgen.cli.option_groups import Option, flat
from clipgen.cli.output_options import JsonOnly
from clipgen.cli.report import echo_path
from clipgen.cli.values import expanded
from clipgen.errors import UsageError
from clipgen.starter.words import TABLES

Sheet = Annotated[Path | None, Option("--sheet", "Where to write the contact sheet.", "FILE.png", default="world.png")]
Words = Annotated[
    bool, Option("--words", "Print what can be drawn, in words, instead of pictures; with --json all words for it.")
]
WIDTH = 80
"""Columns of the list of words."""
INDENT = "  "


@flat
def world(
    *,
    words: Words = False,
    sheet: Sheet = None,
    count: Annotated[int, typer.Option("--count", "-n", metavar="NUMBER", help="Pictures on the sheet.")] = 60,
    seed: Annotated[int, typer.Option("--seed", metavar="NUMBER", help="Another seed gives other pictures.")] = 0,
    size: Annotated[int, typer.Option("--size", metavar="PIXELS", help="Side of a picture.")] = 128,
    output: JsonOnly,
) -> None:
    """Draw a contact sheet of the world that the starter models were trained on, each picture with a true caption.

    With --words, list that world instead.
    """
    if words and sheet:
        raise UsageError(f"--words prints a list and --sheet {sheet} draws pictures; leave one out")
    if output.as_json and not words:
        raise UsageError("--json goes with --words; a contact sheet is a picture")
    if words:
        _print_words(as_json=output.as_json)
        return
    if not (1 <= count <= 1000 and 32 <= size <= 1024 and seed >= 0):
        raise UsageError("world takes --count from 1 to 1000, --size from 32 to 1024 and --seed from 0")
    path = _sheet_path(sheet)
    from clipgen.starter.world.sheet import world_sheet
    from clipgen.util.files import replacing, reserved

    with reserved(path.parent, path.stem, (".png",), "--sheet") as paths:
        with replacing(paths[".png"]) as partial:
            world_sheet(count, seed, size).save(partial, format="PNG")
        echo_path(paths[".png"])


def _sheet_path(sheet: Path | None) -> Path:
    """Return where to write the contact sheet; raises UsageError unless that is a PNG file."""
    path = expanded(sheet or Path("world.png"), "--sheet")
    if path.is_dir() if lexists(path) else not path.suffix:
        return path / "world.png"
    if path.suffix.lower() != ".png":
        raise UsageError(
            f"--sheet {sheet} is not a PNG file, and no other format is written; use --sheet {path.with_suffix('.png')}"
        )
    return path


def _print_words(*, as_json: bool) -> None:
    """Print the tables of the world: for people one way to say each value, for programs all ways."""
    if as_json:
        typer.echo(json.dumps(TABLES, indent=2))
        return
    for name, table in TABLES.items():
        listed = ", ".join(said[0].format("").strip(" ,") for said in table.values())
        typer.echo(f"{name}:\n{textwrap.fill(listed, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)}")

"""`clipgen world`: shows the drawn world that the starter models know."""

from pathlib import Path
from typing import Annotated

import typer

from clipgen.cli.report import echo_path
from clipgen.errors import UsageError


def world(
    sheet: Annotated[
        Path, typer.Option("--sheet", metavar="FILE.png", help="Where to write the contact sheet.")
    ] = Path("world.png"),
    count: Annotated[int, typer.Option("--count", "-n", metavar="NUMBER", help="Pictures on the sheet.")] = 60,
    seed: Annotated[int, typer.Option("--seed", metavar="NUMBER", help="Another seed gives other pictures.")] = 0,
    size: Annotated[int, typer.Option("--size", metavar="PIXELS", help="Side of a picture.")] = 128,
) -> None:
    """Draw a contact sheet of the world that the starter models were trained on, each picture with a true caption."""
    if not (1 <= count <= 1000 and 32 <= size <= 1024 and seed >= 0):
        raise UsageError("world takes --count from 1 to 1000, --size from 32 to 1024 and --seed from 0")
    from clipgen.starter.world.sheet import world_sheet
    from clipgen.util.files import reserved

    with reserved(sheet.parent, sheet.stem, (".png",), "--sheet") as paths:
        world_sheet(count, seed, size).save(paths[".png"], format="PNG")
        echo_path(paths[".png"])

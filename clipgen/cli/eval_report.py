"""The report of an evaluation: tables on stderr, a JSON record and a contact sheet as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.eval_run import Run
from clipgen.cli.report import echo_path

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.judge.intervals import Interval
    from clipgen.judge.judges import Judge

COLUMNS, ON_SHEET = 8, 400
"""How many pictures stand side by side on a contact sheet, and how many are on it: the first ones."""
DRAWN = "drawn pictures"
Row = Sequence[str]
Robustness = dict[str, dict[str, "Interval"]]
"""By what was done to the pictures: "score", and "loss" against the pictures as they are."""


def print_table(run: Run, title: str, header: Row, rows: Sequence[Row]) -> None:
    """Print a table on stderr, unless quiet."""
    if run.notes.quiet:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title)
    for row in rows:
        table.add_row(*row)
    Console(stderr=True).print(table)


def robustness(run: Run, judge: Judge, pictures: Sequence[Image], texts: Sequence[str]) -> Robustness:
    """Return the scores of altered pictures; {} if they are not asked for."""
    from clipgen.judge.robustness import altered_scores, losses

    views = run.options.views
    if not (views and pictures):
        return {}
    found = losses(altered_scores(pictures, texts, judge, views, run.template.seed))
    return {name: {"score": score, "loss": loss} for name, (score, loss) in found.items()}


def print_robustness(run: Run, judge: Judge, found: Robustness, drawn: Robustness | None = None) -> None:
    """Print the scores of altered pictures, beside those of drawn ones."""
    if not found:
        return
    header = ["picture", f"judge {judge.unit}", "loss", *([DRAWN, "loss"] if drawn else [])]
    rows = [[name, *_shown(row), *(_shown(drawn[name]) if drawn else [])] for name, row in found.items()]
    print_table(run, f"scores of altered pictures, by {judge.name}", header, rows)


def _shown(row: Mapping[str, Interval]) -> list[str]:
    return [f"{row['score'].value:.3f}", str(row["loss"]) if row["loss"].value else ""]


def plain(value: Any) -> Any:
    """Return nested mappings with intervals as mappings of numbers."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def write_report(
    run: Run, stem: str, record: Mapping[str, Any], pictures: Sequence[Image], captions: Sequence[str]
) -> Path:
    """Write the JSON record and the contact sheet, under a number if the name is taken; prints and returns paths."""
    from clipgen.outputs.picture_file import write_marked
    from clipgen.outputs.xmp import TRAINED
    from clipgen.starter.world.sheet import contact_sheet
    from clipgen.util.files import replacing, reserved

    with reserved(run.out, stem, (".json", ".png")) as paths:
        with replacing(paths[".json"]) as partial:
            partial.write_text(json.dumps(plain(record), indent=2) + "\n", encoding="utf-8")
        with replacing(paths[".png"]) as partial:
            shown = pictures[:ON_SHEET], captions[:ON_SHEET]
            write_marked(partial, contact_sheet(*shown, min(COLUMNS, len(pictures))), TRAINED)
        if run.as_json:
            files = {"record": str(paths[".json"]), "sheet": str(paths[".png"])}
            typer.echo(json.dumps({**files, **plain(record)}, indent=2))
        for path in paths.values() if not run.as_json else ():
            echo_path(path)
        return paths[".json"]


def text_of(value: float | None) -> str:
    """Format a score; counts are whole."""
    return "" if value is None else f"{value:.3f}" if value % 1 else f"{value:.0f}"

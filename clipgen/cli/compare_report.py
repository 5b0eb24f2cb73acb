"""What `clipgen compare` reports: a table, sentences, a JSON file, contact sheets and a page for a blind vote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.report import Notes
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from clipgen.session.pairing import Pair

STEM = "compare"
SHEET_ROWS = 16
MAX_SHEETS = 8
WIDTH = 110
"""Columns of the table at least, also where it is written to a file."""


@dataclass(frozen=True)
class Side:
    """One of the things that are compared."""

    name: str
    source: str
    """As it was typed."""
    pictures: int
    seconds: float | None = None
    """A picture took, of those that were made for this comparison; None if none was."""


Judged = Sequence[tuple["Pair", Mapping[str, Sequence[float]]]]


def summary(sides: Sequence[Side], judged: Judged, judges: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the record of a comparison."""
    from clipgen.outputs.vote_page import questions
    from clipgen.session.votes import FORMAT

    pairs = [{"prompt": pair.text, "pictures": list(map(str, pair.paths)), "scores": scores} for pair, scores in judged]
    record = {
        "format": FORMAT,
        "n": len(pairs),
        "sides": [{**asdict(side), "left_out": side.pictures - len(pairs)} for side in sides],
        "judges": {name: _of_judge(name, sides, judged) for name in judges},
        "questions": [asdict(question) for question in questions(len(pairs), len(sides), seed)],
        "pairs": pairs,
    }
    return {**record, "comparison": hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]}


def _of_judge(judge: str, sides: Sequence[Side], judged: Judged) -> dict[str, Any]:
    """Return the means of the sides by a judge, and the paired difference of every two of them."""
    from clipgen.judge.intervals import mean_interval
    from clipgen.judge.paired import paired_difference

    rows = [scores[judge] for _, scores in judged if judge in scores]
    columns = list(zip(*rows, strict=True))
    found = []
    for first, second in combinations(range(len(sides)), 2):
        names = sides[first].name, sides[second].name
        difference = paired_difference(columns[first], columns[second])
        found.append({"sides": list(names), **asdict(difference), "verdict": difference.in_words(*names)})
    means = {side.name: asdict(mean_interval(column)) for side, column in zip(sides, columns, strict=True)}
    return {"n": len(rows), "means": means, "differences": found}


def print_report(record: Mapping[str, Any], notes: Notes) -> None:
    """Print the table and the sentences that follow from it on stderr, unless that is quiet."""
    if notes.quiet:
        return
    from rich.console import Console
    from rich.table import Column, Table

    names = [side["name"] for side in record["sides"]]
    table = Table(Column("judge", no_wrap=True), "n", *names, "difference", "gain [95 %]", "share won [95 %]")
    for judge, found in record["judges"].items():
        means = [_interval(found["means"][name], 4) for name in names]
        for number, row in enumerate(found["differences"]):
            first = [judge, str(found["n"]), *means] if number == 0 else [""] * (2 + len(names))
            label = f"{row['sides'][1]} - {row['sides'][0]}"
            table.add_row(*first, label, _interval(row["gain"], 4), _interval(row["wins"], 2))
    console = Console(stderr=True)
    console.width = max(console.width, WIDTH)
    console.print(table)
    notes.say(_sentences(record))


def _sentences(record: Mapping[str, Any]) -> Iterator[str]:
    asked, sides = len(record["questions"]), len(record["sides"])
    if asked < (every := record["n"] * sides * (sides - 1) // 2):
        yield f"the page for a vote asks about {asked} of {every:,} pairs"
    for side in record["sides"]:
        took = "" if side["seconds"] is None else f", {side['seconds']:.1f} s a picture"
        yield f"{side['name']} is {side['source']}{took}"
    for judge, found in record["judges"].items():
        for row in found["differences"]:
            yield f"by {judge}, {row['sides'][0]} and {row['sides'][1]}: {row['verdict']}"


def _interval(row: Mapping[str, float], digits: int) -> str:
    return f"{row['value']:.{digits}f} \\[{row['low']:.{digits}f}, {row['high']:.{digits}f}]"


def write(record: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the JSON file, the vote page and the sheets under one free name; returns their paths."""
    from clipgen.outputs.sheet import write_sheet
    from clipgen.outputs.vote_page import page
    from clipgen.util.files import replacing, reserved

    with reserved(folder, STEM, (".json", ".html")) as paths:
        text = page(record["comparison"], _shown(record), _side(record))
        for suffix, content in ((".json", json.dumps(record, indent=1) + "\n"), (".html", text)):
            with replacing(paths[suffix]) as partial:
                partial.write_text(content, encoding="utf-8")
        written = list(paths.values())
    title = " and ".join(side["source"] for side in record["sides"])
    for number, (sheet, marks) in enumerate(_sheets(record), start=1):
        written.append(write_sheet(sheet, folder, f"{written[0].stem}-sheet-{number}", title, sources=marks))
    return written


def _shown(record: Mapping[str, Any]) -> Iterator[tuple[str, Image, Image]]:
    """Yield what the vote page asks: a prompt and the pictures on the left and on the right."""
    for question in record["questions"]:
        pair = record["pairs"][question["prompt"]]
        left, right = (_image(pair["pictures"][question[side]]) for side in ("left", "right"))
        yield pair["prompt"], left, right


def _side(record: Mapping[str, Any]) -> int:
    """Return the longer side of the pictures on the vote page."""
    from clipgen.outputs.vote_page import common_side

    return common_side([_image(path).size for path in record["pairs"][0]["pictures"]])


def _sheets(record: Mapping[str, Any]) -> Iterator[tuple[Image, list[str]]]:
    """Yield contact sheets: a row for each prompt, a column for each side; the first prompts if there are many.

    With each comes the DigitalSourceType of every picture on it.
    """
    from clipgen.outputs.embedded import source_in
    from clipgen.outputs.sheet import contact_sheet, fitted

    columns = [f"{side['name']}: {side['source']}" for side in record["sides"]]
    for start in range(0, min(len(record["pairs"]), SHEET_ROWS * MAX_SHEETS), SHEET_ROWS):
        rows = record["pairs"][start : start + SHEET_ROWS]
        paths = [path for row in rows for path in row["pictures"]]
        sheet = contact_sheet(
            [fitted(_image(path)) for path in paths], len(columns), [row["prompt"] for row in rows], columns
        )
        yield sheet, [source_in(Path(path)) for path in paths]


def _image(path: str) -> Image:
    from clipgen.util.images import load_image

    return load_image(path, "the picture")[0]


def known_judges(judged: Judged, judges: Sequence[str], notes: Notes) -> list[str]:
    """Return the judges that know at least two of the prompts; raises UsageError if there is none."""
    known = {name: sum(name in scores for _, scores in judged) for name in judges}
    for name, count in known.items():
        if count < len(judged):
            notes.note(f"{name} knows {count} of the {len(judged)} prompts; the others do not count for it")
    if not any(count >= 2 for count in known.values()):
        raise UsageError(f"{' and '.join(judges)} know fewer than 2 of the prompts; name another judge by --judge")
    return [name for name, count in known.items() if count >= 2]

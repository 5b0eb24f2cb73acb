"""What `clipgen score` found, as a table for people, aligned text, CSV and JSON. Torch-free."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.inventory import print_table
from clipgen.cli.report import echo_path
from clipgen.cli.values import expanded
from clipgen.errors import UsageError
from clipgen.util.text import visible

if TYPE_CHECKING:
    from clipgen.judge.zero_shot import Member

AVERAGE = 0
"""The row of scores that is the average over the CLIPs; the others follow in their order."""
ACCURACY_PLACES = (1, 5)
MAX_MATRIX = 10
"""Up to so many labels, a whole confusion matrix is shown; else the most frequent confusions."""
MAX_PAIRS = 10


@dataclass(frozen=True)
class Place:
    """A label of a picture: cosines and probabilities on average and by each CLIP; NaN for what does not exist."""

    label: str
    cosines: list[float]
    probabilities: list[float]


@dataclass(frozen=True)
class Row:
    """A picture's best labels; and where it has a true one, that, its ranks from 1, and the label that was best."""

    path: Path
    places: list[Place]
    truth: str = ""
    ranks: Sequence[int] = ()
    best: str = ""


@dataclass
class Scored:
    """The labels, the CLIPs, and what has been found so far."""

    labels: list[str]
    truths: bool
    top: int
    clips: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Why pictures could not be read."""
    templates: bool = False
    complete: bool = False

    def __post_init__(self) -> None:
        self.number = {label: number for number, label in enumerate(self.labels)}

    def judged_by(self, members: Sequence[Member], *, templates: bool) -> None:
        """Note what is to be said of the CLIPs."""
        from clipgen.judge.zero_shot import is_sigmoid

        self.templates = templates
        self.clips = [
            {
                "name": member.name,
                "weight": member.weight,
                "probability": "sigmoid of each" if is_sigmoid(member.perceptor) else "softmax over the labels",
                "logit_scale": float(member.perceptor.clip.logit_scale.exp()),
            }
            for member in members
        ]

    @property
    def judges(self) -> list[str]:
        """The names of the rows of scores: of the CLIP, or the average and each CLIP."""
        names = [clip["name"] for clip in self.clips]
        return ["average", *names] if names[1:] else names


def print_scored(scored: Scored, written: Path | None, *, as_json: bool) -> None:
    """Print a JSON document; else the path of the table that was written, or it itself; and how many are right."""
    if as_json:
        typer.echo(json.dumps(_record(scored, written), indent=2))
        return
    if written:
        echo_path(written)
    else:
        _print(_head(scored), [[visible(cell) for cell in line] for line in _lines(scored, "{:.4f}")])
    if scored.truths:
        _print_accuracy(scored)


def csv_path(path: Path) -> Path:
    """Return where to write a table; raises UsageError unless that is a CSV file."""
    path = expanded(path, "--csv")
    if path.suffix.lower() != ".csv":
        raise UsageError(f"--csv {path} is not a CSV file; use --csv {path.with_suffix('.csv')}")
    return path


def write_csv(path: Path, scored: Scored) -> Path:
    """Write all lines to a free name and return it."""
    from clipgen.util.files import replacing, reserved

    with reserved(path.parent, path.stem, (path.suffix,), "--csv") as paths:
        with replacing(paths[path.suffix]) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_head(scored), *_lines(scored, "{:.8g}")])
        return paths[path.suffix]


def _head(scored: Scored) -> list[str]:
    others = scored.judges[1:]
    scores = ["probability", "cosine", *(f"{what} {name}" for name in others for what in ("probability", "cosine"))]
    return ["picture", *(["folder"] if scored.truths else []), "rank", "label", *scores]


def _lines(scored: Scored, form: str) -> Iterator[list[str]]:
    for row in scored.rows:
        for rank, place in enumerate(row.places, start=1):
            shown = range(len(scored.judges))
            numbers = [values[k] for k in shown for values in (place.probabilities, place.cosines)]
            cells = ["" if math.isnan(number) else form.format(number) for number in numbers]
            yield [str(row.path), *([row.truth] if scored.truths else []), str(rank), place.label, *cells]


def _print(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table: drawn in a terminal, in columns elsewhere."""
    if not (sys.stdout and sys.stdout.isatty()):
        typer.echo(title) if title else None
        print_table(tuple(head), [tuple(row) for row in rows])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def accuracy(scored: Scored) -> dict[str, dict[str, Any]]:
    """Return top-1 and, of more than five labels, top-5 accuracy with its interval, by judge."""
    from clipgen.judge.intervals import share_interval

    found: dict[str, dict[str, Any]] = {}
    for number, judge in enumerate(scored.judges):
        ranks = [row.ranks[number] for row in scored.rows]
        found[judge] = {
            f"top-{place}": share_interval(sum(rank <= place for rank in ranks), len(ranks))
            for place in ACCURACY_PLACES
            if place < len(scored.labels)
        }
    return found


def _print_accuracy(scored: Scored) -> None:
    found = accuracy(scored)
    names = list(next(iter(found.values())))
    chance = [f"{int(name.removeprefix('top-')) / len(scored.labels):.3f}" for name in names]
    title = f"\naccuracy, {len(scored.rows):,} pictures, {len(scored.labels):,} labels"
    rows = [[judge, *(str(shares[name]) for name in names)] for judge, shares in found.items()]
    _print(["judge", *names], [*rows, ["chance", *chance]], title)
    _print_confusion(scored)


def _print_confusion(scored: Scored) -> None:
    """Print how often each label was taken for each, by the average."""
    counts = Counter((row.truth, row.best) for row in scored.rows)
    if len(scored.labels) <= MAX_MATRIX:
        shown = [label for label in scored.labels if any(label == truth for truth, _ in counts)]
        rows = [[visible(truth), *(str(counts[truth, best]) for best in scored.labels)] for truth in shown]
        _print(["folder", *map(visible, scored.labels)], rows, "\nconfusion: folders down, best labels across")
        return
    wrong = [(pair, count) for pair, count in counts.most_common() if pair[0] != pair[1]][:MAX_PAIRS]
    if wrong:
        rows = [[visible(truth), visible(best), str(count)] for (truth, best), count in wrong]
        _print(["folder", "taken for", "pictures"], rows, "\nmost frequent confusions")


def _record(scored: Scored, written: Path | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "clips": scored.clips,
        "templates": scored.templates,
        "labels": scored.labels,
        "complete": scored.complete,
        "left_out": scored.left_out,
        "pictures": [_described(row, scored) for row in scored.rows],
    }
    if written:
        record["csv"] = str(written)
    if scored.truths:
        record["accuracy"] = {
            judge: {
                name: {"value": share.value, "low": share.low, "high": share.high} for name, share in shares.items()
            }
            for judge, shares in accuracy(scored).items()
        }
        counts = Counter((row.truth, row.best) for row in scored.rows)
        record["confusion"] = [{"folder": t, "best": b, "pictures": count} for (t, b), count in counts.items()]
    return record


def _described(row: Row, scored: Scored) -> dict[str, Any]:
    names = [clip["name"] for clip in scored.clips]
    top = [
        {
            "label": place.label,
            **_numbers(place, AVERAGE),
            "by_clip": {name: _numbers(place, number) for number, name in enumerate(names, start=1)},
        }
        for place in row.places
    ]
    true = {"folder": row.truth, "ranks": dict(zip(scored.judges, row.ranks, strict=False))} if scored.truths else {}
    return {"path": str(row.path), **true, "top": top}


def _numbers(place: Place, row: int) -> dict[str, float | None]:
    probability = place.probabilities[row]
    return {"probability": None if math.isnan(probability) else probability, "cosine": place.cosines[row]}

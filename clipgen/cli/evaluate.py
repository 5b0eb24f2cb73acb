"""`clipgen eval`: how often the pictures show what was asked, by a judge that never guides."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli import options
from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.config.job import Job, parse_prompts, parse_size
from clipgen.errors import UsageError
from clipgen.util.devices import pick_device

if TYPE_CHECKING:
    from clipgen.starter.evaluation import Answer

COLUMNS = 8
MAX_COUNT = 2000
"""Enough to know a share to about one in a hundred."""


def evaluate(
    count: Annotated[int, typer.Option("--n", "-n", metavar="NUMBER", help="Prompts to draw and to make.")] = 48,
    seed: Annotated[int, typer.Option("--seed", metavar="NUMBER", help="Of the prompts and of every picture.")] = 0,
    size: options.Size = None,
    backend: options.Backend = Job.backend,
    preset: options.Preset = Job.preset,
    steps: options.Steps = None,
    lr: options.LearningRate = None,
    cutouts: options.Cutouts = None,
    device: options.Device = "auto",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where to write.")] = Path("eval"),
) -> None:
    """Make pictures for prompts of the drawn world and report how many show what was asked.

    Writes a table, a JSON file and a contact sheet; prints the paths of the last two. Ctrl-C measures what was made.
    """
    if not 2 <= count <= MAX_COUNT:
        raise UsageError(f"--n must be from 2 to {MAX_COUNT}, got {count}")
    template = Job(
        prompts=parse_prompts("the prompts follow"),
        backend=backend,
        preset=preset,
        size=None if size is None else parse_size(size),
        steps=steps,
        seed=seed,
        lr=lr,
        cutouts=cutouts,
    )
    place = pick_device(device)
    from clipgen.starter.evaluation import answers, questions
    from clipgen.util.files import reserved

    made: list[Answer] = []
    with reserved(out, f"eval-{backend}-{count}", (".json", ".png")) as paths:
        try:
            for answer in answers(questions(count, seed), template, place):
                made.append(answer)
                say(f"{len(made)}/{count}  {answer.seconds:.1f} s  {answer.question.text}")
        finally:
            if len(made) > 1:  # after Ctrl-C too: what was made is measured
                _write(template, made, paths, place)


def _write(template: Job, made: "list[Answer]", paths: dict[str, Path], device: str) -> None:
    """Print the table, write the other two, and print their paths."""
    from clipgen.starter.evaluation import measure, measure_drawn
    from clipgen.starter.world.sheet import contact_sheet

    scores = measure(made, device)
    ideal = measure_drawn([answer.question for answer in made], template.seed, device)
    _print_table(f"{template.backend}, {len(made)} prompts", scores, ideal)
    texts = [answer.question.text for answer in made]
    record = {"backend": template.backend, "scores": scores, "drawn": ideal, "prompts": texts}
    paths[".json"].write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    contact_sheet([answer.picture for answer in made], texts, COLUMNS).save(paths[".png"], format="PNG")
    for path in paths.values():
        echo_path(path)


def _print_table(title: str, scores: dict[str, float], ideal: dict[str, float]) -> None:
    """What was reached, with the chance levels and, where that says something, what drawn pictures reach."""
    from rich.console import Console
    from rich.table import Table

    table = Table("measure", "value", "chance", "drawn pictures", title=title)
    for name, value in scores.items():
        if not name.endswith(" chance"):
            chance = scores.get(f"{name.removesuffix(' accuracy')} chance")
            table.add_row(name, _text(value), _text(chance), _text(ideal.get(name)))
    Console(stderr=True).print(table)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value % 1 else f"{value:.0f}"

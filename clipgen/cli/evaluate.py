"""`clipgen eval`: how often pictures show what was asked for, according to judges that do not guide them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from clipgen.cli.evaluate_classes import evaluate_classes
from clipgen.cli.failures import say
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import SIZES, EngineOptions, PictureOptions
from clipgen.cli.report import echo_path
from clipgen.config.job import Job
from clipgen.config.presets import AUTO, NOISE, PHOTO, PRESETS, UNCLIP
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import chosen_preset
from clipgen.errors import UsageError, unknown_value
from clipgen.util.devices import pick_device
from clipgen.weights.registry import known_network, networks

if TYPE_CHECKING:
    from clipgen.starter.evaluation import Answer

COLUMNS = 8
COUNT, COUNT_OF_CLASSES = 48, 60
"""How many prompts by default."""
MAX_COUNT = 2000
"""Enough to measure a proportion to about one percentage point."""


EvalPicture = Annotated[PictureOptions, only("size"), redeclared(size={"default": SIZES})]
EvalEngine = Annotated[
    EngineOptions,
    redeclared(
        start={
            "text": "Where the latent begins: noise, or a picture proposed by the starter set's unCLIP.",
            "choices": (NOISE, UNCLIP),
            "default": "unclip with preset starter; else noise",
        },
        preset={"default": f"{AUTO}; with --classes, {PHOTO}"},
    ),
]
Classes = Annotated[
    bool,
    Option(
        "--classes",
        "Ask for things that classifiers of photographs know, instead of prompts of the drawn world; classifiers that "
        "do not guide judge.",
    ),
]
Count = Annotated[
    int | None,
    Option(
        "--n -n",
        "How many prompts to draw; each gets one picture.",
        "NUMBER",
        default=f"{COUNT}; with --classes, {COUNT_OF_CLASSES}",
    ),
]
Judges = Annotated[
    list[str] | None,
    Option(
        "--judge",
        "With --classes, a classifier that judges; repeat it for several.",
        "NAME",
        default="efficientnet-lite1 and -lite2, unless they guide",
    ),
]


@flat
def evaluate(
    *,
    classes: Classes = False,
    count: Count = None,
    judge: Judges = None,
    seed: Annotated[int, Option("--seed", "The seed of the prompts and of every picture.", "NUMBER")] = Job.seed,
    picture: EvalPicture,
    engine: EvalEngine,
    out: Annotated[Path, Option("-o --out", "Where to write.", "FOLDER")] = Path("eval"),
) -> None:
    """Make pictures for prompts of the drawn world, or of things, and report how many show what was asked for.

    Writes a table, a JSON file and a contact sheet; prints the paths of the last two.

    Ctrl-C stops early and reports on what has been made.
    """
    fields = {"seed": seed, **picture.job_fields(), **engine.job_fields()}
    prompts, device = parse_prompts("the prompts follow"), pick_device(engine.device)
    if classes:
        template = Job(prompts, **{"preset": PHOTO, **fields})
        count = COUNT_OF_CLASSES if count is None else count
        evaluate_classes(template, count, [_judge(name) for name in judge or []], out, device)
        return
    if judge:
        raise UsageError(
            f"--judge {judge[0]} goes with --classes; pictures of the drawn world have a judge of their own"
        )
    _evaluate(Job(prompts, **fields), COUNT if count is None else count, out, device)


def _judge(text: str) -> str:
    """Return the name of the weights of a classifier, such as "classifier/efficientnet-lite1"."""
    name = known_network("classifier", text)
    if name is None:
        raise unknown_value("--judge", text, networks("classifier"))
    return name


def _evaluate(template: Job, count: int, out: Path, device: str) -> None:
    """Measure on the drawn world."""
    if not 2 <= count <= MAX_COUNT:
        raise UsageError(f"--n must be from 2 to {MAX_COUNT}, got {count}")
    template = replace(template, backend=template.backend or PRESETS[chosen_preset(template, device)[0]].backend)
    from clipgen.starter.evaluation import answers, questions
    from clipgen.util.files import reserved

    made: list[Answer] = []
    with reserved(out, f"eval-{template.backend}-{count}", (".json", ".png")) as paths:
        try:
            for answer in answers(questions(count, template.seed), template, device):
                made.append(answer)
                say(f"{len(made)}/{count}  {answer.seconds:.1f} s  {answer.question.text}")
        finally:
            if len(made) > 1:  # after Ctrl-C, too: score what was made
                _write(template, made, paths, device)


def _write(template: Job, made: "list[Answer]", paths: dict[str, Path], device: str) -> None:
    """Print the table, write the JSON file and the contact sheet, and print their paths."""
    from clipgen.starter.evaluation import measure, measure_drawn
    from clipgen.starter.world.sheet import contact_sheet
    from clipgen.util.files import replacing

    scores = measure(made, device)
    ideal = measure_drawn([answer.question for answer in made], template.seed, device)
    _print_table(f"{template.backend}, {len(made)} prompts", scores, ideal)
    texts = [answer.question.text for answer in made]
    record = {"backend": template.backend, "scores": scores, "drawn": ideal, "prompts": texts}
    with replacing(paths[".json"]) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    with replacing(paths[".png"]) as partial:
        contact_sheet([answer.picture for answer in made], texts, COLUMNS).save(partial, format="PNG")
    for path in paths.values():
        echo_path(path)


def _print_table(title: str, scores: dict[str, float], ideal: dict[str, float]) -> None:
    """Print the scores, with chance levels and, where they are meaningful, the scores of drawn pictures."""
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

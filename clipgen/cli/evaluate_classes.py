"""`clipgen eval --classes`: how often pictures show the thing asked for, by classifiers that did not guide them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.config.job import Job

if TYPE_CHECKING:
    from clipgen.judge.classes import Verdict
    from clipgen.session.evaluation import Answer, Question

COLUMNS = 8
SECONDS = "seconds a picture"


def evaluate_classes(template: Job, count: int, judges: Sequence[str], out: Path, device: str) -> None:
    """Make pictures of things with the settings of `template` and report what the judges see in them."""
    from clipgen.engine.models import perceptor_of
    from clipgen.session.evaluation import answers, judges_for, questions
    from clipgen.util.files import reserved

    asked = questions(count, template, device)
    loaded = {
        name: perceptor_of(name).eval().requires_grad_(False).to(device) for name in judges_for(asked, judges)
    }  # first, so that weights that are missing cost no time
    made: list[Answer] = []
    stem = f"eval-classes-{template.preset}-{asked[0].plan.backend}-{count}"
    with reserved(out, stem, (".json", ".png")) as paths:
        try:
            for answer in answers(asked, device):
                made.append(answer)
                say(f"{len(made)}/{count}  {answer.seconds:.1f} s  {answer.question.plan.text}")
        finally:
            if made:  # after Ctrl-C, too: judge what was made
                _write(template, made, loaded, paths, device)


def _write(
    template: Job, made: Sequence[Answer], judges: Mapping[str, Any], paths: Mapping[str, Path], device: str
) -> None:
    """Print the table, write the JSON file and the contact sheet, and print their paths."""
    from clipgen.judge.classes import CHANCE, summary, verdicts
    from clipgen.starter.world.sheet import contact_sheet
    from clipgen.util.files import replacing

    things = [answer.question.thing for answer in made]
    pictures = [answer.picture for answer in made]
    given = {name: verdicts(pictures, things, judge, device) for name, judge in judges.items()}
    scores = {name: summary(things, found) for name, found in given.items()}
    seconds = sum(answer.seconds for answer in made) / len(made)
    _print_table(f"preset {template.preset}, {len(made)} things", scores, CHANCE, seconds)
    record = {
        "preset": template.preset,
        "judges": list(judges),
        "scores": scores,
        "chance": dict(CHANCE),
        SECONDS: seconds,
        "pictures": [
            _described(answer, {name: found[k] for name, found in given.items()}) for k, answer in enumerate(made)
        ],
    }
    with replacing(paths[".json"]) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    ranks = [verdict.rank for verdict in next(iter(given.values()))]
    captions = [f"{thing}: {rank}" for thing, rank in zip(things, ranks, strict=True)]
    with replacing(paths[".png"]) as partial:
        contact_sheet(pictures, captions, min(COLUMNS, len(made))).save(partial, format="PNG")
    for path in paths.values():
        echo_path(path)


def _described(answer: Answer, given: Mapping[str, Verdict]) -> dict[str, Any]:
    """Return what the JSON file says of one picture."""
    from clipgen.judge.classes import HELD_OUT

    question: Question = answer.question
    plan = question.plan
    return {
        "prompt": plan.text,
        "thing": question.thing,
        "held_out": question.thing in HELD_OUT,
        "preset": plan.preset,
        "backend": plan.backend,
        "size": list(plan.size),
        "steps": plan.steps,
        "seed": plan.seed,
        "guides": list(dict.fromkeys(row.weights for row in plan.perceptors)),
        "seconds": answer.seconds,
        "verdicts": {name: asdict(verdict) for name, verdict in given.items()},
    }


def _print_table(
    title: str, scores: Mapping[str, Mapping[str, float]], chance: Mapping[str, float], seconds: float
) -> None:
    """Print the scores by judge, with chance levels."""
    from rich.console import Console
    from rich.table import Table

    table = Table("measure", *(name.rpartition("/")[2] for name in scores), "chance", title=title)
    for measure in next(iter(scores.values())):
        values = [_text(measure, row[measure]) for row in scores.values()]
        table.add_row(measure, *values, _text(measure, chance[measure]) if measure in chance else "")
    table.add_row(SECONDS, f"{seconds:.1f}")
    Console(stderr=True).print(table)


def _text(measure: str, value: float) -> str:
    """Format a score; ranks and counts are whole or half."""
    return f"{value:g}" if measure.endswith(("rank", " n")) else f"{value:.3f}"

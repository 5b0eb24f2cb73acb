"""`clipgen words "PROMPT"`: which perceptor takes which part of a prompt, without making a picture."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.inventory import print_table
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.output_options import JsonOnly
from clipgen.config.choice import chosen_preset
from clipgen.config.class_words import groups
from clipgen.config.classes import Thing, class_names, things_in
from clipgen.config.english import SMALL_WORDS
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import DEFAULT_BACKEND
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts, prompt_notes
from clipgen.config.readings import CLASSIFIER, share
from clipgen.config.resolve import resolve
from clipgen.config.settings import FP32, PerceptorSettings
from clipgen.config.unknown import unknown_in
from clipgen.errors import UsageError
from clipgen.starter.words import unknown_words
from clipgen.util.text import visible
from clipgen.weights.registry import STARTER

SHOWN = 2
"""How many classes of a group are named."""

Words = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", help="A prompt as for `clipgen run`.", show_default=False),
]
WordsEngine = Annotated[EngineOptions, only("backend", "preset")]
WordsModels = Annotated[ModelOptions, only("clip", "clip_weights", "perceptor", "perceptor_weights", "ema")]
Listed = Annotated[
    bool, Option("--list", "Print everything that classifiers know by name: the 1,000 classes, then groups of them.")
]


@flat
def words(
    prompt: Words = None,
    *,
    listed: Listed = False,
    engine: WordsEngine,
    models: WordsModels,
    output: JsonOnly,
) -> None:
    """Show which perceptor takes which words of a prompt, and which words none of them knows."""
    if listed == (prompt is not None):
        raise UsageError("--list takes no prompt" if listed else "words needs a prompt, or --list")
    if prompt is None:
        _print_names(as_json=output.as_json)
        return
    fields = {**engine.job_fields(), **models.job_fields(engine.backend or DEFAULT_BACKEND)}
    fields["precision"] = FP32  # nothing is computed, so that no device needs to be looked at, which would load torch
    job = Job(parse_prompts(prompt), **fields)
    # Named CLIPs are the same in every preset of pretrained models, and only to look for a GPU would load torch.
    device = "cpu" if job.clips else "auto"
    plan, reason = resolve(job, device=device)[0], chosen_preset(job, device)[1]
    if output.as_json:
        typer.echo(json.dumps(_record(plan), indent=2))
        return
    chosen = [reason] if reason and not job.clips else []
    for note in [*models.notes, *chosen, *prompt_notes(job.prompts), *unknown_in(plan).notes()]:
        say(note)
    _print_shares(plan)


def _print_shares(plan: Plan) -> None:
    """Print what each perceptor takes, and the words that none takes."""
    rows = list(_rows(plan))
    if len(plan.prompts) == 1:
        print_table(("PERCEPTOR", "TAKES", "CLASSES"), [(name, text, classes) for name, _, text, classes in rows])
    else:
        print_table(("PERCEPTOR", "PROMPT", "TAKES", "CLASSES"), rows)
    for title, listed in (("left out", _left_out(plan)), ("not known", _unknown(plan))):
        if listed:
            typer.echo(f"{title}: " + ", ".join(f'"{visible(word)}"' for word in listed))


def _rows(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Yield perceptor, prompt, what it takes of it, and the classes that this means."""
    for index, row in _once(plan):
        for prompt, taken in zip(plan.prompts, plan.texts_of(index), strict=True):
            if row.weights.startswith(CLASSIFIER):
                for thing in things_in(prompt.text):
                    yield row.weights, visible(str(prompt)), visible(thing.name), _classes(thing)
            elif taken:
                yield row.weights, visible(str(prompt)), visible(taken), ""


def _once(plan: Plan) -> list[tuple[int, PerceptorSettings]]:
    """Return the perceptors with their indices; one that guides in several parts of the run takes the same in each."""
    last = {row.weights: (index, row) for index, row in enumerate(plan.perceptors)}
    return list(last.values())


def _classes(thing: Thing) -> str:
    if len(thing.classes) == 1:
        return "1 class"
    names = [class_names()[index] for index in thing.classes[:SHOWN]]
    more = ", …" if len(thing.classes) > SHOWN else ""
    return f"{len(thing.classes)} classes: {', '.join(names)}{more}"


def _left_out(plan: Plan) -> list[str]:
    """Return the words that nobody takes."""
    if not plan.readings:
        return []
    # Those of the preset that take nothing are not in the plan.
    asked = [row.weights for row in (*plan.perceptors, *PRESETS[plan.preset].perceptors)]
    left = dict.fromkeys(word for reading in share(plan.prompts, asked) for word in reading.left)
    return [word for word in left if word not in SMALL_WORDS]


def _unknown(plan: Plan) -> list[str]:
    """Return the words that the starter's CLIPs hear and do not know, where they take whole texts."""
    if plan.readings or not all(row.weights.startswith(STARTER) for row in plan.perceptors):
        return []
    heard = unknown_words(" ".join(prompt.text for prompt in plan.prompts))
    return [word for word in heard if word not in SMALL_WORDS]


def _record(plan: Plan) -> dict[str, Any]:
    return {
        "prompts": [{"text": prompt.text, "weight": prompt.weight} for prompt in plan.prompts],
        "perceptors": [
            {
                "name": row.weights,
                "weight": row.weight,
                "takes": list(plan.texts_of(index)),
                "things": _things(plan) if row.weights.startswith(CLASSIFIER) else [],
            }
            for index, row in _once(plan)
        ],
        "left_out": _left_out(plan),
        "unknown": _unknown(plan),
    }


def _things(plan: Plan) -> list[dict[str, Any]]:
    found = [thing for prompt in plan.prompts for thing in things_in(prompt.text)]
    return [{"words": thing.words, "name": thing.name, "classes": list(thing.classes)} for thing in found]


def _print_names(*, as_json: bool) -> None:
    """Print each name with its classes."""
    named: list[tuple[str, tuple[int, ...]]] = [(name, (index,)) for index, name in enumerate(class_names())]
    named += [(group.name, group.classes) for group in groups()]
    if as_json:
        typer.echo(json.dumps([{"name": name, "classes": list(classes)} for name, classes in named], indent=2))
        return
    for name, classes in named:
        typer.echo(f"{name}\t{_ranges(classes)}")


def _ranges(classes: Sequence[int]) -> str:
    """Format numbers in rising order, "101 385-386": ranges include both ends."""
    spans: list[list[int]] = []
    for index in classes:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)

"""The lines of a file of prompts: alternatives in braces, and settings that hold for one line."""

import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.option_groups import flat, only
from clipgen.cli.options import PictureOptions
from clipgen.cli.prompt_text import STDIN, read_lines
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.story_options import StoryOptions, joined_scenes
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MAX_PICTURES = 10_000
"""How many pictures the braces of all lines can ask for."""
END = " :: "
"""Ends the settings of a line."""

_PARTS = re.compile(r"\{([^{}]*)\}")
_LIST = "@"
_LOOP = ("recipe", "optimizer", "start", "steps", "lr", "cutouts", "strokes", "stroke_width")
_ENGINE = ("backend", "preset", *_LOOP, "precision")


class PromptLine(NamedTuple):
    """A picture that a line asks for."""

    number: int
    """Of the line in the file, from 1."""
    text: str
    settings: dict[str, Any]
    """Fields of a job that the line sets."""


def prompt_lines(file: str) -> list[PromptLine]:
    """Return what the lines of a file ask for, "-" for standard input; lines that start with "#" are skipped.

    "a {red|blue} cat" asks for two pictures, "a {@animals.txt}" for one for each line of that file, and
    "--steps 200 --seed 3 :: a cat" for one with settings of its own. Raises UsageError, which names the line.
    """
    found: list[PromptLine] = []
    for number, line in read_lines(file):
        if line.startswith("#"):
            continue
        try:
            settings, text = _with_settings(line)
            found += [PromptLine(number, each, settings) for each in itertools.islice(expanded(text), MAX_PICTURES + 1)]
            if len(found) > MAX_PICTURES:
                raise UsageError(f"braces ask for more than {MAX_PICTURES} pictures; use fewer alternatives")
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from error
    if not found:
        name = "standard input" if file == STDIN else f"the prompts file {file}"
        raise UsageError(f"{name} holds no prompt; write one on each line")
    return found


def expanded(text: str) -> Iterator[str]:
    """Yield the texts for each choice of alternatives, the last braces varying first. Raises UsageError.

    Braces with neither "|" nor "@" are text.
    """
    if _PARTS.sub("", text).translate({ord(each): None for each in "{}"}) != _PARTS.sub("", text):
        raise UsageError(f'{quoted(text)} has a brace without its partner, as in "a {{red|blue}} cat"')
    pieces = _PARTS.split(text)  # text and the insides of braces by turns
    choices = [_choices(piece) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    for chosen in itertools.product(*choices):
        yield "".join(chosen)


def _choices(inside: str) -> list[str]:
    """Return the alternatives inside braces."""
    if inside.startswith(_LIST):
        words = [line for _, line in read_lines(inside.removeprefix(_LIST)) if not line.startswith("#")]
        if not words:
            raise UsageError(f"{inside.removeprefix(_LIST)} holds no words; write one on each line")
        return words
    return [each.strip() for each in inside.split("|")] if "|" in inside else [f"{{{inside}}}"]


def _with_settings(line: str) -> tuple[dict[str, Any], str]:
    """Split a line into the fields of a job that it sets, and its prompt."""
    if not line.startswith("--"):
        return {}, line
    typed, end, text = line.partition(END)
    if not end:
        raise UsageError(f'{quoted(line)} has settings and no prompt; write it after "::", as in --steps 200 :: a cat')
    try:
        args = joined_scenes(shlex.split(typed))
    except ValueError as error:
        raise UsageError(f"{quoted(typed)} has a quotation mark without its partner") from error
    return told_by(args, text.strip())


def told_by(args: list[str], text: str = "") -> tuple[dict[str, Any], str]:
    """Return the fields of a job that the options of a line set, and the prompt with the scenes that they add.

    Raises UsageError.
    """
    command, found = _reader()
    found.clear()
    found["text"] = text
    try:
        command.main(args, prog_name="line", standalone_mode=False)
    except typer.TyperException as error:
        raise UsageError(error.format_message()) from error
    told = dict(found)
    return told, told.pop("text")


def fields_of(args: list[str]) -> dict[str, Any]:
    """Return the fields of a job that the options of a line set. Raises UsageError."""
    return told_by(args)[0]


def options_of_lines() -> dict[str, bool]:
    """Return the names of the options that a line can have, without hyphens, and whether each takes a value."""
    params = _reader()[0].params
    return {param.opts[-1].removeprefix("--"): not getattr(param, "is_flag", False) for param in params}


@cache
def _reader() -> tuple[Any, dict[str, Any]]:
    """Return the command that reads the options of a line, which takes a while to build, and what it reads into."""
    found: dict[str, Any] = {}

    @flat
    def settings(
        *,
        picture: Annotated[PictureOptions, only("init_weight", "size", "seed")],
        steering: SteeringOptions,
        scenes: StoryOptions,
        engine: Annotated[EngineOptions, only(*_ENGINE)],
    ) -> None:
        told, timing = scenes.told(found["text"])
        found["text"] = told or found["text"]
        found.update(picture.job_fields() | steering.job_fields() | engine.job_fields() | timing)

    app = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    app.command()(settings)
    return typer.main.get_command(app), found

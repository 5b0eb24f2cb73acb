"""Job files: `clipgen run job.toml` takes the prompt and the options of a run from a TOML file."""

import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from clipgen.cli.prompt_text import read_text
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted

SUFFIX = ".toml"
PROMPT = "prompt"
IN_PLACE = ("at", "mix", "change", "variations-of")
"""Options in place of a prompt."""
WIDTH = 100

_MARKUP = re.compile(r"\\?\[/?dim\]|\\(?=\[)")


def is_job_file(texts: Sequence[str]) -> bool:
    """Tell whether what was typed in place of a prompt is the name of a job file."""
    return len(texts) == 1 and texts[0].lower().endswith(SUFFIX)


def args_of(file: str, typed: Sequence[str], options: Mapping[str, int]) -> tuple[list[str], str | None]:
    """Return the arguments that a job file stands for, and its prompt, None for none. Raises UsageError.

    typed: the other arguments; an option among them takes the place of that in the file. options: those of a run, and
    how many values each takes.
    """
    table = _read(file)
    prompt = table.pop(PROMPT, None)
    stands_for_prompt = any(key in table or f"--{key}" in typed for key in IN_PLACE)
    if not isinstance(prompt, str) and not (prompt is None and stands_for_prompt):
        raise UsageError(f'{file}: prompt must be a text, as in prompt = "a cat", got {quoted(prompt)}')
    return _args(file, table, typed, options, (PROMPT,)), prompt


def settings_of(file: str, typed: Sequence[str], options: Mapping[str, int]) -> list[str]:
    """Return the arguments that a job file without a prompt stands for, as `args_of`. Raises UsageError."""
    table = _read(file)
    if PROMPT in table:
        raise UsageError(
            f"{file} holds a prompt, and what is compared are settings, for the same prompts; leave it out, and give "
            "prompts by --prompts FILE"
        )
    return _args(file, table, typed, options)


def _args(
    file: str, table: Mapping[str, Any], typed: Sequence[str], options: Mapping[str, int], others: Sequence[str] = ()
) -> list[str]:
    """Return options as they are typed, unless they are; others: keys that are named among those that exist."""
    given = {arg.partition("=")[0] for arg in typed}
    names = {name.removeprefix("--"): takes for name, takes in options.items() if name.startswith("--")}
    args: list[str] = []
    for key, value in table.items():
        if key not in names:
            raise unknown_value(f"{file}: the key", key, {*others, *names})
        if f"--{key}" not in given:
            args += _typed(file, key, value, names[key])
    return args


def _typed(file: str, key: str, value: object, count: int) -> list[str]:
    """Return an option as it is typed, which takes so many values."""
    if not count:
        if not isinstance(value, bool):
            raise UsageError(f"{file}: {key} must be true or false, got {quoted(value)}")
        return [f"--{key}"] if value else []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in values):
        raise UsageError(f"{file}: {key} must be a text or a number, or a list of these, got {quoted(value)}")
    if count == 1:
        return [f"--{key}={each}" for each in values]
    if len(values) != count:
        raise UsageError(f"{file}: {key} must be a list of {count} values, got {quoted(value)}")
    return [f"--{key}", *map(str, values)]


def _read(file: str) -> dict[str, Any]:
    name = f"the job file {file}"
    try:
        return tomllib.loads(read_text(file, name))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not TOML ({error})") from error


def job(
    context: typer.Context,
    _dump: Annotated[bool, typer.Option("--dump", help="Print the file, which is done anyway.")] = False,
) -> None:
    """Print a job file with every option, to be filled in and made by `clipgen run FILE.toml`.

    Options that are typed beside it take the place of those in the file, and so do variables of the environment, such
    as CLIPGEN_STEPS=100, CLIPGEN_MP4=1 or CLIPGEN_LOSS="seam;symmetry", which hold for every run and batch.
    """
    parent = context.parent
    commands: dict[str, Any] = getattr(parent.command, "commands", {}) if parent else {}
    typer.echo('prompt = "a lighthouse at sunset"')
    for param in commands["run"].params:
        if param.opts[0].startswith("-"):
            typer.echo("\n".join(_described(param)))


def _described(param: Any) -> Iterator[str]:
    """Yield the lines of an option: what it does, and an assignment that is commented out."""
    name = next(opt for opt in param.opts if opt.startswith("--")).removeprefix("--")
    yield ""
    for line in textwrap.wrap(_MARKUP.sub("", param.help or ""), WIDTH):
        yield f"# {line}"
    is_number = param.metavar in ("NUMBER", "SECONDS")
    value = "true" if getattr(param, "is_flag", False) else param.metavar if is_number else f'"{param.metavar}"'
    if param.nargs > 1:
        value = json.dumps(param.metavar.split())
    yield f"# {name} = {value}"

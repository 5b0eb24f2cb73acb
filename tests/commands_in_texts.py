"""The commands in the code blocks of Markdown, and whether the program understands them."""

import re
import shlex
from typing import Any

from typer.main import get_command

from clipgen.cli.app import app

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
VARIABLE = re.compile(r"[A-Z_]+=.*")
JOINS = {"|", "||", "&&", ">", ";"}


def blocks_of(text: str) -> list[list[list[str]]]:
    """Return the lines of each `sh` block that are not empty, each as the words that a shell makes of it."""
    blocks = [block.replace("\\\n", " ").splitlines() for block in BLOCK.findall(text)]
    return [[words for line in block if (words := shlex.split(line, comments=True))] for block in blocks]


def commands_of(text: str) -> list[list[str]]:
    """Return the arguments of each `clipgen` in the blocks, without variables before it and what follows a pipe."""
    found = []
    for words in (line for block in blocks_of(text) for line in block):
        while words and VARIABLE.fullmatch(words[0]):
            words = words[1:]
        end = next((k for k, word in enumerate(words) if word in JOINS), len(words))
        if words[:1] == ["clipgen"]:
            found.append(words[1:end])
    return found


def make_context(args: list[str]) -> Any:
    return get_command(app).make_context("clipgen", list(args))


def understood(args: list[str]) -> None:
    """Parse arguments as the program does; raises what it raises. The help of a command ends it before."""
    if args[-1:] == ["--help"] or args[:1] == ["help"]:
        return
    context: Any = make_context(args)
    group = context.command
    while hasattr(group, "commands"):
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
        group = command

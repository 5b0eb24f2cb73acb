"""Questions to the user, in a terminal."""

import sys

import typer

from clipgen.config.plan import Plan
from clipgen.config.unknown import unknown_in
from clipgen.errors import ClipgenError


def can_ask() -> bool:
    """Tell whether somebody can answer: stdin and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def agreed(question: str) -> bool:
    """Ask on stderr; Typer's own prompt writes a blank to stdout, which is for results only."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_about_unknown(plan: Plan) -> None:
    """Ask whether to go on if nothing that the prompt names is known; nobody is asked who cannot answer.

    Raises ClipgenError if the user does not want to.
    """
    if can_ask() and unknown_in(plan).nothing_known and not agreed("Draw it all the same?"):
        raise ClipgenError("nothing was drawn")

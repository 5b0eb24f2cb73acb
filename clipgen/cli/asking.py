"""Questions to the user, in a terminal."""

import sys

import typer


def can_ask() -> bool:
    """Tell whether somebody can answer: stdin and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def agreed(question: str) -> bool:
    """Ask on stderr; Typer's own prompt writes a blank to stdout, which is for results only."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")

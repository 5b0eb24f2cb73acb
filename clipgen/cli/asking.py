"""Questions to the user, in a terminal."""

import sys

import typer


def can_ask() -> bool:
    """Tell whether there is somebody to answer."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def agreed(question: str) -> bool:
    """Ask on stderr; Typer's own question puts a blank on stdout, where only results go."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")

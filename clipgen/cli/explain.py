"""`clipgen help TOPIC`: texts about what several commands share. Markdown, shown as such in a terminal."""

import difflib
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Annotated

import typer

from clipgen.cli.slips import shown
from clipgen.errors import UsageError
from clipgen.util.text import quoted

LIKE = 0.6
"""How similar a word is to a topic or a command that may be meant."""
SHORT = 100
"""Letters of what is said of a command in the list."""

_FOLDER = files("clipgen.cli") / "topics"


def topics() -> list[str]:
    """Return the names of the topics, in the order of the alphabet."""
    names = (each.name for each in _FOLDER.iterdir())
    return sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))


def text_of(topic: str) -> str:
    """Return the Markdown of a topic; its first line is its title."""
    return (_FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def _completions(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in [*topics(), *_commands(ctx)] if name.startswith(incomplete)]


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="TOPIC|COMMAND", help="What to explain.", show_default=False, autocompletion=_completions),
]


def explain(ctx: typer.Context, words: Words = None) -> None:
    """Explain a topic or a command; without either, list them."""
    if not words:
        typer.echo("\n".join(_listed(ctx)))
        return
    name = "-".join(words).lower()
    if name not in topics():
        raise _unknown(ctx, words)
    _show(text_of(name))


def _show(text: str) -> None:
    """Print Markdown: laid out in a terminal, as it is elsewhere."""
    if sys.stdout is None or not sys.stdout.isatty():
        typer.echo(text.rstrip())
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, code_theme="ansi_dark"))


def _listed(ctx: typer.Context) -> Iterator[str]:
    """Yield the lines of the list of topics and commands."""
    rows = {topic: text_of(topic).splitlines()[0].removeprefix("# ") for topic in topics()}
    commands = _commands(ctx)
    width = max(map(len, (*rows, *commands)))
    yield "Topics, as in clipgen help masks:"
    yield from (f"  {name:{width}}  {title}" for name, title in rows.items())
    yield "\nCommands, as in clipgen help zoom:"
    yield from (f"  {name:{width}}  {about}" for name, about in commands.items())
    yield "\nAll options of a picture: clipgen --help"


def _commands(ctx: typer.Context) -> dict[str, str]:
    """Return what each command does, by name."""
    commands = getattr(ctx.find_root().command, "commands", {})
    return {name: each.get_short_help_str(SHORT) for name, each in commands.items()}


def _unknown(ctx: typer.Context, words: list[str]) -> UsageError:
    """Make the error for words that are neither a topic nor a command."""
    near = difflib.get_close_matches("-".join(words).lower(), [*topics(), *_commands(ctx)], 1, LIKE)
    hint = f"did you mean clipgen help {near[0]}? " if near else ""
    return UsageError(
        f"there is no topic or command {quoted(' '.join(words))}; {hint}topics: {', '.join(topics())}; to draw the "
        f"words: clipgen run {shown(' '.join(('help', *words)))}"
    )

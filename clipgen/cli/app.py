"""The `clipgen` program and its commands."""

import atexit
from collections.abc import Callable
from typing import Annotated

import typer

from clipgen import __version__
from clipgen.cli.assistants import mcp
from clipgen.cli.batch import batch
from clipgen.cli.bench import bench
from clipgen.cli.compare import compare
from clipgen.cli.decode import decode
from clipgen.cli.doctor import doctor
from clipgen.cli.evaluate import evaluate
from clipgen.cli.group import DEBUG_FLAG, DEFAULT_COMMAND, PromptOrCommand
from clipgen.cli.info import info
from clipgen.cli.job_files import job
from clipgen.cli.losses import losses
from clipgen.cli.models import models
from clipgen.cli.morph import morph
from clipgen.cli.rank import rank
from clipgen.cli.reconstruct import reconstruct
from clipgen.cli.replay import replay
from clipgen.cli.report import escape_what_cannot_be_shown
from clipgen.cli.restyle import restyle
from clipgen.cli.resume import resume
from clipgen.cli.run import run
from clipgen.cli.score import score
from clipgen.cli.sheet import sheet
from clipgen.cli.train import train
from clipgen.cli.web import web
from clipgen.cli.words import words
from clipgen.cli.world import world
from clipgen.cli.zoom import zoom
from clipgen.util.streams import forgive_standard_streams, let_go_of_standard_streams

COMMANDS: dict[str, Callable[..., None]] = {
    DEFAULT_COMMAND: run,
    "zoom": zoom,
    "morph": morph,
    "restyle": restyle,
    "batch": batch,
    "web": web,
    "mcp": mcp,
    "resume": resume,
    "info": info,
    "replay": replay,
    "sheet": sheet,
    "score": score,
    "rank": rank,
    "reconstruct": reconstruct,
    "decode": decode,
    "compare": compare,
    "words": words,
    "losses": losses,
    "job": job,
    "doctor": doctor,
    "eval": evaluate,
    "bench": bench,
    "world": world,
    "train": train,
}
"""Every command, in the order of the help."""

app = typer.Typer(
    cls=PromptOrCommand,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(models, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clipgen {__version__}")
        raise typer.Exit


@app.callback()
def clipgen(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG_FLAG, help="Show the traceback of an error.")] = False,
) -> None:
    """Turn a sentence into a picture: clipgen "a city in the style of Van Gogh".

    An option can be set in the environment, too, as in CLIPGEN_STEPS=100, for run and batch.
    """


def main() -> None:
    """Run the program on `sys.argv`."""
    escape_what_cannot_be_shown()
    forgive_standard_streams()
    atexit.register(let_go_of_standard_streams)
    app(prog_name="clipgen")

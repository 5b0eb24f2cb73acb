"""`clipgen info PICTURE`: the recipe inside a picture, which is untrusted: it is shown, not followed."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from clipgen.cli.option_groups import flat
from clipgen.cli.options import Picture
from clipgen.cli.output_options import JsonOnly
from clipgen.config.tokens import FLAG
from clipgen.session.plan_rows import plan_rows
from clipgen.util.text import visible

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe


@flat
def info(picture: Picture, output: JsonOnly) -> None:
    """Print the recipe inside a picture, and the command that makes it again.

    Shows what was asked for and how the run ended.
    """
    from clipgen.outputs.metadata import read_recipe

    recipe = read_recipe(picture)
    if output.as_json:
        typer.echo(json.dumps({"path": str(picture), **recipe.to_dict()}, indent=2))
        return
    for line in recipe_lines(picture, recipe):
        typer.echo(line)


def recipe_lines(picture: Path, recipe: "Recipe") -> list[str]:
    """Return the lines that tell what was asked for, how the run ended, and the command that repeats it."""
    rows = {**plan_rows(recipe.plan, recipe.init_sha256), **_reached(recipe), "again": _command(picture, recipe)}
    width = max(map(len, rows))
    return [f"{name:{width}}  {visible(value)}" for name, value in rows.items()]


def _reached(recipe: "Recipe") -> dict[str, str]:
    return {
        "outcome": recipe.outcome.value,
        "steps done": str(recipe.steps_done),
        "score": f"{recipe.score:.4g}",
        "loss": f"{recipe.loss:.4g}",
        "version": recipe.version,
    }


def _command(picture: Path, recipe: "Recipe") -> str:
    """Return a shell command; only the name of the file comes from outside this program."""
    name = f"./{picture}" if str(picture).startswith("-") else str(picture)
    return f"clipgen replay {shlex.quote(name)}" + (
        " --init FILE" if recipe.plan.init else f" {FLAG} FILE" if recipe.plan.init_tokens else ""
    )

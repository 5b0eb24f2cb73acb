"""`clipgen info PICTURE.png`: the recipe inside a picture, which may come from a stranger: shown, not followed."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from clipgen.cli.option_groups import flat
from clipgen.cli.options import JsonOnly, Picture
from clipgen.util.text import visible

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe


@flat
def info(picture: Picture, output: JsonOnly) -> None:
    """Print the recipe inside a picture, and the command that makes it again.

    Shows what was asked for and what came of it.
    """
    from clipgen.outputs.metadata import read_recipe

    recipe = read_recipe(picture)
    if output.as_json:
        typer.echo(json.dumps({"path": str(picture), **recipe.to_dict()}, indent=2))
        return
    rows = {**_asked(recipe), **_reached(recipe), "again": _command(picture, recipe)}
    width = max(map(len, rows))
    for name, value in rows.items():
        typer.echo(f"{name:{width}}  {visible(value)}")


def _asked(recipe: "Recipe") -> dict[str, str]:
    job = recipe.job
    size = job.size and f"{job.size[0]}x{job.size[1]}"
    settings = {"size": size, "steps": job.steps, "seed": job.seed, "lr": job.lr, "cutouts": job.cutouts}
    rows = {"prompt": job.text, "backend": job.backend, "preset": job.preset}
    rows |= {name: "default" if value is None else str(value) for name, value in settings.items()}
    if job.init is not None:
        rows |= {"init": job.init, "init sha256": str(recipe.init_sha256), "init weight": f"{job.init_weight:g}"}
    return rows


def _reached(recipe: "Recipe") -> dict[str, str]:
    return {
        "outcome": recipe.outcome.value,
        "steps done": str(recipe.steps_done),
        "score": f"{recipe.score:.4g}",
        "loss": f"{recipe.loss:.4g}",
        "version": recipe.version,
    }


def _command(picture: Path, recipe: "Recipe") -> str:
    """Return the command for a shell; only the name of the file comes from outside this program."""
    name = f"./{picture}" if str(picture).startswith("-") else str(picture)
    return f"clipgen replay {shlex.quote(name)}" + (" --init FILE" if recipe.job.init is not None else "")

"""`clipgen train NAME`: the recipes behind the starter models."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.cli import options
from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.errors import UsageError, unknown_value
from clipgen.util.devices import pick_device

NAMES = (
    "vqgan",
    "vqgan-restoring",
    "dvae",
    "judge",
    "judge-texts",
    "prior",
    "clip-wide",
    "clip",
    "clip-fine",
    "clip-texts",
    "clip-fine-texts",
    "feature-prior",
    "sketcher",
    "painter",
    "upsampler",
)
"""The recipes in the order in which they need one another; `recipes.RECIPES` holds them."""


def train(
    name: Annotated[str, typer.Argument(metavar="|".join(NAMES), help="What to train.", show_default=False)],
    runs: Annotated[
        Path, typer.Option("--runs", metavar="FOLDER", help="Holds drawn pictures, states, logs and weights.")
    ] = Path("runs"),
    steps: Annotated[int | None, typer.Option("--steps", metavar="NUMBER", show_default="the recipe's")] = None,
    batch: Annotated[int | None, typer.Option("--batch", metavar="NUMBER", show_default="the recipe's")] = None,
    rate: Annotated[float | None, typer.Option("--lr", metavar="NUMBER", show_default="the recipe's")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="NUMBER", show_default="the recipe's")] = None,
    pictures: Annotated[
        int | None,
        typer.Option("--pictures", metavar="NUMBER", help="Drawn to learn from.", show_default="the recipe's"),
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Train one of the starter models on the drawn world, or go on where an earlier call was stopped.

    Prints the path of the weights. Put them in clipgen/starter/weights to have every run use them.
    """
    if name not in NAMES:
        raise unknown_value("NAME", name, NAMES)
    given: dict[str, Any] = {"steps": steps, "batch": batch, "rate": rate, "seed": seed}
    for flag, value in {**given, "pictures": pictures}.items():
        if value is not None and not value > 0 and flag != "seed":
            raise UsageError(f"--{'lr' if flag == 'rate' else flag} must be above 0, got {value}")
    if seed is not None and seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {seed}")
    import torch

    from clipgen.starter.train.recipe import Bench
    from clipgen.starter.train.recipes import RECIPES
    from clipgen.starter.train.recipes import train as run_recipe

    recipe = RECIPES[name]
    plan = replace(recipe.plan, **{key: value for key, value in given.items() if value is not None})
    recipe = replace(recipe, plan=plan, pictures=pictures or recipe.pictures)
    echo_path(run_recipe(name, recipe, Bench(runs, torch.device(pick_device(device)), say)))

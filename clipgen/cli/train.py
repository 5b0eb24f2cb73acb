"""`clipgen train NAME`: the recipes behind the starter models."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.options import typed
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
    "token-prior",
)
"""The recipes, each after those that it depends on; `recipes.RECIPES` holds them."""


_THEIRS = {"metavar": "NUMBER", "default": "the recipe's"}


@dataclass(frozen=True)
class RecipeOptions:
    """Settings that replace those of a recipe."""

    steps: Annotated[int | None, Option("--steps", "Training steps.", **_THEIRS)] = None
    batch: Annotated[int | None, Option("--batch", "Pictures in each step.", **_THEIRS)] = None
    rate: Annotated[float | None, Option("--lr", "Learning rate.", **_THEIRS)] = None
    seed: Annotated[int | None, Option("--seed", "Another seed gives other weights.", **_THEIRS)] = None
    pictures: Annotated[int | None, Option("--pictures", "How many pictures to draw and train on.", **_THEIRS)] = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, flag = getattr(self, field.name), "lr" if field.name == "rate" else field.name
            if value is not None and value <= 0 and flag != "seed":
                raise UsageError(f"--{flag} must be above 0, got {value}")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"--seed must be 0 or more, got {self.seed}")


@flat
def train(
    name: Annotated[str, typer.Argument(metavar="|".join(NAMES), help="What to train.", show_default=False)],
    *,
    runs: Annotated[Path, Option("--runs", "For drawn pictures, states, logs and weights.", "FOLDER")] = Path("runs"),
    changed: RecipeOptions,
    engine: Annotated[EngineOptions, only("device")],
) -> None:
    """Train one of the starter models on the drawn world, or continue where an earlier call was stopped.

    Prints the path of the weights. Put them in clipgen/starter/weights for every run to use them.
    """
    if name not in NAMES:
        raise unknown_value("NAME", name, NAMES)
    from clipgen.training.progress import never_silent

    with never_silent(say) as report:
        report(f"training {name} in {runs}")
        import torch

        from clipgen.starter.train.recipe import Bench
        from clipgen.starter.train.recipes import RECIPES
        from clipgen.starter.train.recipes import train as run_recipe

        recipe = RECIPES[name]
        given = typed(steps=changed.steps, batch=changed.batch, rate=changed.rate, seed=changed.seed)
        recipe = replace(recipe, plan=replace(recipe.plan, **given), pictures=changed.pictures or recipe.pictures)
        path = run_recipe(name, recipe, Bench(runs, torch.device(pick_device(engine.device)), report))
    echo_path(path)

"""`clipgen train NAME`: networks for pictures of one's own, and the recipes behind the starter models."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.options import typed
from clipgen.cli.report import echo_path
from clipgen.cli.train_options import OwnOptions, RecipeOptions
from clipgen.cli.values import expanded
from clipgen.errors import UsageError, unknown_value
from clipgen.training.settings import KINDS
from clipgen.util.devices import pick_device
from clipgen.util.files import no_empty_folders
from clipgen.util.text import quoted

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
RUNS = Path("runs")
_NAME = f"With --data: {', '.join(KINDS)}. Without, of the starter set: {', '.join(NAMES)}."


@flat
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAME, show_default=False)],
    *,
    own: OwnOptions,
    runs: Annotated[
        Path | None,
        Option(
            "--runs", "For drawn pictures, states, logs and weights of the drawn world.", "FOLDER", default=str(RUNS)
        ),
    ] = None,
    changed: RecipeOptions,
    engine: Annotated[EngineOptions, only("device")],
) -> None:
    """Train networks on your own captioned pictures, or the starter models on the drawn world.

    Prints the path of the weights; with --data their folder is a preset. After a stop the same command goes on.
    """
    if own.data is not None:
        path = _train_own(name, own, runs, changed, engine.device)
    elif name not in NAMES:
        raise unknown_value("NAME", name, {*NAMES, *KINDS})
    elif flag := next(own.given(), None):
        raise UsageError(f"{flag} is for pictures of your own: add --data PATH, or leave it out")
    else:
        path = _train_starter(name, runs or RUNS, changed, engine.device)
    echo_path(path)


def _train_starter(name: str, runs: Path, changed: RecipeOptions, device: str) -> Path:
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
        return run_recipe(name, recipe, Bench(runs, torch.device(pick_device(device)), report))


def _train_own(name: str, own: OwnOptions, runs: Path | None, changed: RecipeOptions, device: str) -> Path:
    if name not in KINDS:
        what = "learns from the drawn world only" if name in NAMES else "is unknown"
        raise UsageError(f"NAME {quoted(name)} {what}: with --data it is one of {', '.join(KINDS)}")
    if runs is not None:
        raise UsageError(f"--runs {runs} is for the drawn world: with --data name the folder by --out")
    settings = own.settings(name, expanded(Path(str(own.data)), "--data"), changed)
    from clipgen.training.progress import never_silent

    with no_empty_folders(), never_silent(say) as report:
        report(f"training a {name} in {settings.out}")
        import torch

        from clipgen.training.own import train_own

        return train_own(settings, torch.device(pick_device(device)), report)

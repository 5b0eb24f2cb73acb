"""`clipgen info PICTURE`: the recipe inside a picture, which is untrusted: it is shown, not followed."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from clipgen.cli.option_groups import flat
from clipgen.cli.options import Picture
from clipgen.cli.output_options import JsonOnly
from clipgen.config.plan import Plan, spell
from clipgen.config.prompts import scenes_in
from clipgen.config.schedules import KEYFRAMES
from clipgen.config.targets import APART
from clipgen.config.timing import spelled_over, typed_anew
from clipgen.config.tokens import FLAG
from clipgen.session.reading_plans import init_weight_of
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
    rows = {**_planned(recipe), **_reached(recipe), "again": _command(picture, recipe)}
    width = max(map(len, rows))
    for name, value in rows.items():
        typer.echo(f"{name:{width}}  {visible(value)}")


def _planned(recipe: "Recipe") -> dict[str, str]:
    plan = recipe.plan
    rows = {
        "prompt": plan.text,
        "backend": plan.backend,
        "preset": plan.preset,
        "start": plan.start,
        "size": spell(plan.size),
        "steps": str(plan.steps),
        "seed": str(plan.seed),
        "lr": spelled_over(plan.lr, plan.lr_schedule) if typed_anew(plan) else str(plan.lr),
        "cutouts": _cutouts(plan),
        "precision": plan.precision,
        "models": ", ".join(plan.networks),
    }
    if plan.recipe:
        rows["recipe"] = f"{plan.recipe}, moved by {plan.generator.optimizer}"
    if len(scenes := scenes_in(plan.prompts)) > 1:
        rows["scenes at"] = ", ".join(f"{100 * since:.4g}%" for since, _ in scenes)
    if plan.cross_fade:
        rows["cross-fade"] = f"{100 * plan.cross_fade:.4g}%"
    for upscale in plan.upscale:
        rows["upscale"] = f"{upscale.factor}, by {upscale.network or 'Lanczos'}"
    if plan.tile:
        rows["tile"] = "yes"
    if plan.motion:
        rows["motion"] = str(plan.motion[0])
    if losses := ", ".join(str(row) for row in plan.losses if row.name != "prompt"):
        rows["losses"] = losses
    if plan.targets:
        rows["targets"] = ", ".join(row.typed for row in plan.targets)
    if plan.blend != APART:
        rows["blend"] = plan.blend
    for edit in plan.edit:
        rows["mask"] = f"{edit.mask or 'what is added'}, feather {edit.feather:g}, inside {edit.inside}"
        rows |= {"extend": ",".join(map(str, edit.extend))} if any(edit.extend) else {}
    for overlay in plan.overlay:
        rows["overlay"] = f"{overlay.file}, every {overlay.every} steps"
    for tokens in plan.init_tokens:
        rows |= {"init tokens": tokens.file, "tokens sha256": tokens.sha256, "init weight": f"{init_weight_of(plan):g}"}
    if plan.init:
        weight = f"{init_weight_of(plan):g}"
        rows |= {"init": plan.init, "init sha256": str(recipe.init_sha256), "init weight": weight}
        rows |= {"init noise": f"{plan.init_noise:g}"} if plan.init_noise else {}
    return rows


def _cutouts(plan: Plan) -> str:
    if plan.cutout_schedule.kind == KEYFRAMES:
        return spelled_over(plan.cutouts, plan.cutout_schedule)
    first = plan.cutouts_at(0.0)
    return str(first) if first == plan.cutouts else f"{first}..{plan.cutouts}"


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

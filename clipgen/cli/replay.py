"""`clipgen replay PICTURE`: repeats the run of an earlier picture, unchanged or with some settings changed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from clipgen import __version__
from clipgen.cli.edit_options import EditOptions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, redeclared
from clipgen.cli.options import PICTURE, Picture, PictureOptions, typed
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.sessions import job_fields, open_for_plan
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.story_options import StoryOptions
from clipgen.cli.target_options import TargetOptions
from clipgen.cli.token_options import TokenOptions
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import INIT, TOKENS
from clipgen.config.prompts import parse_prompts
from clipgen.config.tokens import FLAG
from clipgen.errors import UsageError
from clipgen.session.naming import check_out
from clipgen.session.planning import change_plan
from clipgen.util.text import quoted

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe

HASH_DIGITS = 12
"""How many digits of a hash are shown: enough to tell files apart."""

_KEPT = {"default": "the picture's"}
_SUITED = {"default": "the picture's, unless --backend, --preset or --recipe changes"}

NewPrompt = Annotated[str | None, Option("--prompt", "What to draw.", "TEXT", panel=PICTURE, **_KEPT)]
ReplayPicture = Annotated[
    PictureOptions,
    redeclared(
        init={
            "text": "Start from this image. Required if the first run had one, as a recipe holds only its name and "
            "hash; --start noise leaves it out."
        },
        init_weight=_KEPT,
        size=_KEPT,
        seed=_KEPT,
    ),
]
ReplayEngine = Annotated[
    EngineOptions,
    redeclared(
        **dict.fromkeys(("backend", "preset", "recipe", "optimizer", "precision"), _KEPT),
        **dict.fromkeys(("start", "steps", "lr", "cutouts", "strokes", "stroke_width"), _SUITED),
    ),
]


@flat
def replay(
    picture: Picture,
    *,
    prompt: NewPrompt = None,
    parts: ReplayPicture,
    steering: SteeringOptions,
    story: StoryOptions,
    targets: TargetOptions,
    editing: EditOptions,
    tokens: TokenOptions,
    engine: ReplayEngine,
    models: ModelOptions,
    output: OutputOptions,
) -> None:
    """Make a picture again from the recipe inside it; options change single settings of the recipe."""
    check_out(output.out)
    begun = tokens.job_fields()
    recipe = _recipe_of(picture, needs_init=parts.init is None and not begun and engine.start in (None, INIT))
    told, scenes = story.told(prompt, recipe.plan.text)
    changes = scenes | typed(prompts=None if told is None else parse_prompts(told))
    changes |= job_fields(parts, steering, engine, models, recipe.plan.backend)
    changes |= {**targets.job_fields(), **changes} | editing.job_fields() | begun
    _check_files(recipe.plan, changes)
    planned = change_plan(recipe.plan, changes, engine.device)
    output.notes().say(models.notes)
    named = {name: value for name, value in changes.items() if name in ("preset", "clips", "classifiers", "network")}
    opened = open_for_plan(
        *planned,
        output,
        device=engine.device,
        offline=models.offline,
        typed=Job(planned[0].prompts, planned[0].backend, **named),
    )
    for doubt in (*_doubts(recipe, parts.init), *_other_tokens(recipe.plan, opened.plan)):
        opened.listener.note(doubt)
    try:
        opened.session.make_alone(opened.plan, opened.inputs, output.out)
    finally:
        opened.results.print_made()


def _recipe_of(picture: Path, *, needs_init: bool) -> "Recipe":
    """Read the recipe; the user must give an init image that it needs, as no path in a recipe is followed."""
    from clipgen.outputs.metadata import read_recipe

    recipe = read_recipe(picture)
    if recipe.init_sha256 is not None and needs_init:
        raise UsageError(
            f"{str(picture)!r} was started from {quoted(recipe.plan.init)}, "
            f"sha256 {recipe.init_sha256[:HASH_DIGITS]}..., which is not inside it; add --init FILE"
        )
    return recipe


def _check_files(plan: Plan, changes: Mapping[str, Any]) -> None:
    """Raise a UsageError unless the files that a recipe needs are given, as no path in it is followed."""
    if any(row.is_file for row in plan.targets) and "targets" not in changes:
        needed = " ".join(row.typed for row in plan.targets)
        raise UsageError(f"the recipe has target images, which are not inside it; add, with their paths: {needed}")
    if plan.overlay and "overlay" not in changes:
        raise UsageError(
            f"the recipe has the overlay {quoted(plan.overlay[0].file)}, which is not inside it; add --overlay FILE"
        )
    starts_otherwise = changes.keys() & {"init", "init_tokens"} or changes.get("start") not in (None, TOKENS)
    if plan.init_tokens and not starts_otherwise:
        [row] = plan.init_tokens
        raise UsageError(
            f"the recipe starts from the tokens {quoted(row.file)}, sha256 {row.sha256[:HASH_DIGITS]}..., which are "
            f"not inside it; add {FLAG} FILE"
        )
    edit = next(iter(plan.edit), None)
    if edit and edit.is_file and "mask" not in changes and changes.get("init"):
        raise UsageError(f"the recipe has the mask {quoted(edit.mask)}, which is not inside it; add --mask FILE")


def _other_tokens(recorded: Plan, here: Plan) -> Iterator[str]:
    """Warn about tokens that are not those of the recipe."""
    for before, now in zip(recorded.init_tokens, here.init_tokens, strict=False):
        if before.sha256 and before.sha256 != now.sha256:
            yield (
                f"warning: {FLAG} {now.file!r} is not the file that the first run started from: its sha256 begins with "
                f"{now.sha256[:HASH_DIGITS]}, not {before.sha256[:HASH_DIGITS]}; the picture will differ"
            )


def _doubts(recipe: "Recipe", init: Path | None) -> Iterator[str]:
    """Warn about reasons why the picture may differ even if no option changes it."""
    from clipgen.outputs.metadata import hash_file

    if recipe.version != __version__:
        yield f"warning: the recipe is from clipgen {recipe.version}, this is {__version__}; the picture may differ"
    if recipe.init_sha256 is not None and init is not None and (given := hash_file(str(init))) != recipe.init_sha256:
        yield (
            f"warning: --init {str(init)!r} is not the file that the first run started from: its sha256 begins with "
            f"{given[:HASH_DIGITS]}, not {recipe.init_sha256[:HASH_DIGITS]}; the picture will differ"
        )

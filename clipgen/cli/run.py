"""`clipgen run "prompt"`, which is also plain `clipgen "prompt"`."""

from clipgen.cli.edit_options import EditOptions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.first_options import FirstOptions
from clipgen.cli.grid import Grid, make_grid
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import flat
from clipgen.cli.options import CandidateOptions, PictureOptions, PromptUnlessImplied
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.sessions import job_fields, open_for_job
from clipgen.cli.slips import oddities
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.story_options import StoryOptions
from clipgen.cli.target_options import TargetOptions
from clipgen.cli.token_options import TokenOptions
from clipgen.config.job import Job
from clipgen.config.prompts import Prompt as Parsed
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError
from clipgen.session.naming import check_out
from clipgen.session.planning import random_seed
from clipgen.util.text import quoted

SAY = 'say what to draw, as in clipgen "a cat"'


@flat
def run(
    prompt: PromptUnlessImplied = None,
    *,
    picture: PictureOptions,
    first: FirstOptions,
    among: CandidateOptions,
    grid: Grid = None,
    steering: SteeringOptions,
    story: StoryOptions,
    targets: TargetOptions,
    editing: EditOptions,
    tokens: TokenOptions,
    engine: EngineOptions,
    models: ModelOptions,
    output: OutputOptions,
) -> None:
    """Turn a sentence into a picture.

    Prints the path of the picture, and those of its films, on stdout.
    """
    told, scenes = story.told(prompt)
    fields = job_fields(picture, steering, engine, models) | targets.job_fields() | editing.job_fields()
    fields |= tokens.job_fields() | scenes
    fields["prompts"] = _prompts(told, fields.get("prompts"))
    if not grid:
        check_out(output.out)
    fields |= first.job_fields(fields, engine, models, output)
    if grid:
        make_grid(fields, grid, among, engine, models, output)
        return
    fields |= among.job_fields()
    job = Job(**{"seed": random_seed(), **fields})
    output.notes().say(oddities(told or ""))
    opened = open_for_job(job, engine, models, output, asks=True)
    try:
        opened.session.make_best(opened.plan, opened.inputs, output.out, among.candidates, among.keep)
    finally:
        opened.results.print_made(several=among.candidates > 1)


def _prompts(prompt: str | None, meant: tuple[Parsed, ...] | None) -> tuple[Parsed, ...]:
    """Return the prompts that were typed, or that options stand for; raises UsageError for both, and for none."""
    if prompt is None and meant is None:
        raise UsageError(f"Missing argument PROMPT; {SAY}")
    if prompt is not None and meant is not None and any(one.weight for one in meant):
        raise UsageError(f"--mix and --change stand for the prompt {quoted(prompt)}; leave one out")
    return meant if prompt is None and meant is not None else parse_prompts(prompt or "")

"""`clipgen run "prompt"`, which is also plain `clipgen "prompt"`."""

from clipgen.cli.group import DEFAULT_COMMAND, MISSING
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import flat
from clipgen.cli.options import CandidateOptions, EngineOptions, OutputOptions, PictureOptions, Prompt
from clipgen.cli.sessions import job_fields, open_for_job
from clipgen.cli.slips import oddities
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.story_options import StoryOptions
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError
from clipgen.session.naming import check_out
from clipgen.session.options import check_candidates
from clipgen.session.planning import random_seed


@flat
def run(
    *,
    prompt: Prompt = None,
    picture: PictureOptions,
    among: CandidateOptions,
    steering: SteeringOptions,
    story: StoryOptions,
    engine: EngineOptions,
    models: ModelOptions,
    output: OutputOptions,
) -> None:
    """Turn a sentence into a picture.

    Prints the path of the picture, and those of its films, on stdout.
    """
    told, scenes = story.told(prompt)
    if told is None:
        raise UsageError(f"Missing argument 'PROMPT'; {MISSING[DEFAULT_COMMAND]}")
    prompts = parse_prompts(told)
    check_out(output.out)
    check_candidates(among.candidates, among.keep)
    fields = {"seed": random_seed(), **job_fields(picture, steering, engine, models), **scenes}
    job = Job(prompts, **fields)
    output.notes().say(oddities(told))
    opened = open_for_job(job, engine, models, output, asks=True)
    try:
        opened.session.make_best(opened.plan, opened.init, output.out, among.candidates, among.keep)
    finally:
        opened.results.print_made(several=among.candidates > 1)

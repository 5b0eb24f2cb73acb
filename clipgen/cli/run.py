"""`clipgen run "prompt"`, which is also plain `clipgen "prompt"`."""

import secrets

from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import flat
from clipgen.cli.options import CandidateOptions, EngineOptions, OutputOptions, PictureOptions, Prompt
from clipgen.cli.sessions import job_fields, open_session
from clipgen.config.job import Job, parse_prompts

# Short enough to read out of a file name and to type again.
_RANDOM_SEEDS = 2**32


@flat
def run(
    prompt: Prompt,
    picture: PictureOptions,
    among: CandidateOptions,
    engine: EngineOptions,
    models: ModelOptions,
    output: OutputOptions,
) -> None:
    """Turn a sentence into a picture.

    Prints the path of the picture, and those of its films, on stdout.
    """
    prompts = parse_prompts(prompt)
    fields = {"seed": secrets.randbelow(_RANDOM_SEEDS), **job_fields(picture, engine, models)}
    job = Job(prompts, **fields)
    session = open_session(job, output, device=engine.device, offline=models.offline, typed=job)
    session.studio.make_best(job, output.out, among.candidates, among.keep)

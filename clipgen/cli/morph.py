"""`clipgen morph "a cat" "a house"`: a film of a picture that turns from one thing into another."""

from dataclasses import replace
from typing import Annotated

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import PICTURE, PictureOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.sessions import job_fields, open_for_job
from clipgen.cli.slips import oddities
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.zoom import FILMED, with_film
from clipgen.config.checks import check_whole
from clipgen.config.job import Job
from clipgen.config.prompts import Prompt
from clipgen.config.targets import MORPH, MORPH_SINCE, MORPH_UNTIL, plain_text
from clipgen.session.naming import check_out
from clipgen.session.planning import random_seed

FPS = 15
STEPS_PER_FRAME = 4
MAX_FRAMES = 3000

First = Annotated[
    str, typer.Argument(metavar="FIRST", help='What the film begins with, such as "a cat".', show_default=False)
]
Second = Annotated[
    str, typer.Argument(metavar="SECOND", help='What it turns into, such as "a house".', show_default=False)
]
Frames = Annotated[
    int, Option("--frames", "Pictures of the film while one thing turns into the other.", "NUMBER", panel=PICTURE)
]
MorphPicture = Annotated[PictureOptions, only("size", "seed")]
MorphEngine = Annotated[
    EngineOptions,
    redeclared(start={"default": "noise"}, steps={"default": f"enough for {STEPS_PER_FRAME} between two pictures"}),
]
MorphOutput = Annotated[
    OutputOptions,
    FILMED,
    redeclared(fps={"default": f"{FPS}"}, film_length={"default": "as long as the pictures take"}),
]


@flat
def morph(
    first: First,
    second: Second,
    *,
    frames: Frames = 60,
    picture: MorphPicture,
    steering: SteeringOptions,
    engine: MorphEngine,
    models: ModelOptions,
    output: MorphOutput,
) -> None:
    """Make a film in which one thing turns into another.

    The target moves between the two texts on a great circle. Prints the paths of the last picture and of the film.
    """
    check_whole("--frames", frames, 2, MAX_FRAMES)
    prompts = Prompt(plain_text(first, "morph")), Prompt(plain_text(second, "morph"))
    output = _timed(with_film(output), frames)
    check_out(output.out)
    steps = round(STEPS_PER_FRAME * frames / (MORPH_UNTIL - MORPH_SINCE))
    fields = {"seed": random_seed(), "steps": steps, **job_fields(picture, steering, engine, models)}
    job = Job(prompts, blend=MORPH, **fields)
    output.notes().say(oddities(f"{first} {second}"))
    opened = open_for_job(job, engine, models, output, asks=True)
    try:
        opened.session.make_alone(opened.plan, opened.inputs, output.out)
    finally:
        opened.results.print_made()


def _timed(output: OutputOptions, frames: int) -> OutputOptions:
    """Return the options with as many pictures in the film as there are to be, unless its length was typed."""
    fps = output.fps or FPS
    share = (1.0 - MORPH_SINCE) / (MORPH_UNTIL - MORPH_SINCE)  # the film goes on to the end of the run
    return replace(output, fps=fps, film_length=output.film_length or max(share * frames / fps, 0.5))

"""`clipgen zoom "prompt"`: a film in which the camera moves through the picture while it is being made."""

from dataclasses import replace
from typing import Annotated

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.motion_options import MotionOptions
from clipgen.cli.option_groups import flat, redeclared
from clipgen.cli.options import PictureOptions, Prompt
from clipgen.cli.output_options import DEFAULT_FOLDER, OutputOptions
from clipgen.cli.sessions import job_fields, open_for_job
from clipgen.cli.slips import oddities
from clipgen.cli.steering_options import SteeringOptions
from clipgen.config.job import Job
from clipgen.config.motion import MOVES
from clipgen.config.prompts import parse_prompts
from clipgen.session.naming import check_out
from clipgen.session.planning import random_seed

FILMS = (".mp4", ".gif")

ZoomPicture = Annotated[PictureOptions, redeclared(init_weight={"default": "0"})]
ZoomEngine = Annotated[
    EngineOptions,
    redeclared(
        start={"default": "init with --init; else noise"},
        steps={"default": f"enough for {MOVES} moves, and as many as a still picture takes"},
    ),
]
FILMED = redeclared(
    out={
        "text": "Where to write the last picture, with the film beside it. Nothing is ever overwritten: a name "
        "that is taken gets a number.",
        "metavar": "FILE.mp4|FILE.png|FOLDER",
        "default": f"{DEFAULT_FOLDER}/<prompt>-<seed>.mp4",
    },
    mp4={"text": "Write the film as MP4, which is done anyway."},
    gif={"text": "Also write the film as GIF."},
    video={"text": "The same as --gif."},
)
"""For commands whose result is the film."""
ZoomOutput = Annotated[OutputOptions, FILMED]


@flat
def zoom(
    prompt: Prompt,
    picture: ZoomPicture,
    camera: MotionOptions,
    steering: SteeringOptions,
    engine: ZoomEngine,
    models: ModelOptions,
    output: ZoomOutput,
) -> None:
    """Make a film of a camera that moves through a picture while it is made.

    Every few steps the picture is enlarged, shifted or turned, and the run goes on from there. Prints the paths of the
    last picture and of the film.
    """
    prompts = parse_prompts(prompt)
    output = with_film(output)
    check_out(output.out)
    fields = {"seed": random_seed(), **job_fields(picture, steering, engine, models)}
    job = Job(prompts, motion=camera.motion(), **fields)
    output.notes().say(oddities(prompt))
    opened = open_for_job(job, engine, models, output, asks=True)
    try:
        opened.session.make_alone(opened.plan, opened.inputs, output.out)
    finally:
        opened.results.print_made()


def with_film(output: OutputOptions) -> OutputOptions:
    """Return the options with the film, and with the name of the picture beside it if `-o` names a film."""
    suffix = output.out.suffix.lower()
    out = output.out.with_suffix(".png") if suffix in FILMS else output.out
    return replace(output, out=out, mp4=True, gif=output.gif or output.video or suffix == ".gif")

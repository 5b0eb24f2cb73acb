"""`clipgen restyle FILM "prompt"`: every frame of a film made anew, with the sound of the film."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import ENGINE, PICTURE, PictureOptions, Prompt
from clipgen.cli.output_options import DEFAULT_FOLDER, OUTPUT, OutputOptions
from clipgen.cli.sessions import job_fields, open_for_plan
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.values import expanded
from clipgen.config.checks import check_whole, checked_number
from clipgen.config.job import Job
from clipgen.config.preset import INIT
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import with_hashes
from clipgen.engine.inputs import Inputs
from clipgen.errors import UsageError
from clipgen.session.planning import plan_job
from clipgen.util.files import slug

if TYPE_CHECKING:
    from clipgen.config.plan import Plan
    from clipgen.outputs.video_source import VideoSource

STEPS = 20
BLEND = 0.3
WEIGHT = 1.0
MAX_EVERY = 10_000

Film = Annotated[
    Path, typer.Argument(metavar="FILM", help="A film: MP4, MOV, MKV, WebM, AVI or GIF.", show_default=False)
]
Blend = Annotated[
    float,
    Option(
        "--blend",
        "How much of the picture before is in the image from which a frame begins, from 0 to 1; more flickers less.",
        "NUMBER",
        panel=PICTURE,
    ),
]
Every = Annotated[int, Option("--every", "Take only every N-th frame.", "N", panel=PICTURE)]
KeepFrames = Annotated[bool, Option("--keep-frames", "Keep the folder of frames when the film is whole.", panel=OUTPUT)]
RestylePicture = Annotated[
    PictureOptions,
    only("init_weight", "size", "seed"),
    redeclared(
        init_weight={"text": "How strongly each picture is held to its frame.", "default": f"{WEIGHT:g}"},
        size={"default": "the shape of the film, at the area of the preset"},
        seed={"default": f"{Job.seed}"},
    ),
]
RestyleEngine = Annotated[
    EngineOptions,
    only("backend", "preset", "steps", "lr", "cutouts", "precision", "device"),
    redeclared(steps={"text": "Optimisation steps of each frame.", "default": f"{STEPS}", "panel": ENGINE}),
]
RestyleOutput = Annotated[
    OutputOptions,
    only("out", "preview", "as_json", "quiet", "no_mark"),
    redeclared(
        out={
            "text": "Where to write. Nothing is ever overwritten: a name that is taken gets a number. Finished frames "
            "are in a folder beside it until the film is whole; the same command again goes on from there.",
            "metavar": "FILE.mp4|FOLDER",
            "default": f"{DEFAULT_FOLDER}/<film>-<prompt>.mp4",
        }
    ),
]


@flat
def restyle(
    film: Film,
    prompt: Prompt,
    *,
    blend: Blend = BLEND,
    every: Every = 1,
    picture: RestylePicture,
    steering: Annotated[SteeringOptions, only("loss")],
    engine: RestyleEngine,
    models: ModelOptions,
    output: RestyleOutput,
    keep_frames: KeepFrames = False,
) -> None:
    """Make every frame of a film anew, such as in the style of Van Gogh.

    Keeps the sound and the frame rate. A run that was stopped goes on if the same command is typed again.
    """
    job, source = _asked(film, prompt, job_fields(picture, steering, engine, models))
    check_whole("--every", every, 1, MAX_EVERY)
    blend = checked_number("--blend", blend, 0.0, 1.0)
    folder, stem = _destination(output.out, source.path, prompt)
    plan, notes = _plan(job, source, engine.device)
    output.notes().say(models.notes)
    opened = open_for_plan(plan, Inputs(), notes, output, device=engine.device, offline=models.offline, typed=job)
    from clipgen.session.restyle import Restyler, Restyling, claimed

    what = Restyling(source, plan, blend, every)
    with claimed(what, folder, stem) as (path, frames):
        restyler = Restyler(opened.session, opened.listener, what)
        record = restyler.make(path, frames, keep_frames=keep_frames, mark=opened.written.mark)
    opened.results.add(path, (), record)
    opened.results.print_made()


def _asked(film: Path, prompt: str, fields: Mapping[str, Any]) -> tuple[Job, "VideoSource"]:
    """Return the job of each frame, and the film. Raises UsageError."""
    from clipgen.outputs.video_source import VideoSource

    path = expanded(film, "restyle")
    job = Job(parse_prompts(prompt), **{"init": str(path), "steps": STEPS, "init_weight": WEIGHT, **fields})
    return job, VideoSource.open(path)


def _plan(job: Job, source: "VideoSource", device: str) -> tuple["Plan", list[str]]:
    """Return the plan of each frame, and notes; nothing is proposed, as each frame would get another proposal."""
    from PIL import Image

    plan, _, notes = plan_job(job, device, Image.new("RGB", source.size))
    if plan.unclip:
        usual = PRESETS[plan.preset].moving_guidance.generators[plan.backend]
        plan = with_hashes(replace(plan, unclip=(), cutouts=plan.cutouts if job.cutouts else usual.cutouts))
    return plan, [note.replace(f"{INIT} image", "film") for note in notes]


def _destination(out: Path, film: Path, prompt: str) -> tuple[Path, str]:
    """Return the folder and the stem that `-o` means; raises UsageError for a file that is no MP4."""
    suffix = out.suffix.lower()
    if suffix == ".mp4" and not out.is_dir():
        return out.parent, out.stem
    if suffix and not out.is_dir():
        raise UsageError(f"-o {out} is not an MP4 file, and no other film is written; use -o {out.with_suffix('.mp4')}")
    return out, f"{slug(film.stem)}-{slug(prompt)}"

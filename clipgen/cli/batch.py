"""`clipgen batch FILE`: a picture for every line, with the models loaded once."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.cli.edit_options import EditOptions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import ENGINE, PictureOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.prompt_lines import PromptLine, prompt_lines
from clipgen.cli.sessions import Opened, job_fields, open_for_job
from clipgen.cli.sharing import SharingOptions
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.target_options import TargetOptions
from clipgen.cli.token_options import TokenOptions
from clipgen.config.checks import check_whole
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.saving import FORMATS
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.naming import check_folder
from clipgen.session.options import MAX_TOGETHER

MAX_NAMED = 20

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE|-",
        help='Text file with one prompt per line; "-" for standard input. Blank lines and lines that start with # '
        'are skipped. "a {red|blue} cat" is two pictures, "a {@animals.txt}" one for each line of that file, and '
        '"--steps 200 :: a cat" has settings of its own.',
        show_default=False,
    ),
]
Together = Annotated[
    int,
    Option(
        "--together",
        "Maximum number of pictures to optimise in lockstep; fewer if memory is estimated to be short.",
        "NUMBER",
        panel=ENGINE,
    ),
]
Shard = Annotated[
    str | None,
    Option(
        "--shard",
        "Make only every N-th picture, beginning with the I-th, so that N machines share the file: 1/N, 2/N ... N/N.",
        "I/N",
        panel=ENGINE,
    ),
]
BatchPicture = Annotated[
    PictureOptions,
    redeclared(
        seed={
            "text": 'The seed of every picture; "random" picks one for the whole batch, which then '
            "recognises no picture of an earlier one.",
            "default": f"{Job.seed}",
        }
    ),
]
BatchTargets = Annotated[
    TargetOptions,
    only("image_prompt", "target_image", "noise_prompt", "embedding", "region", "style_image", "templates", "as_sum"),
]
BatchOutput = Annotated[
    OutputOptions,
    only(
        *("out", "format", "quality", "video", "mp4", "webm", "gif", "apng", "fps", "film_length"),
        *("film_by_stroke", "save_every_step", "preview", "sign", "sign_key", "sign_time"),
        *("as_json", "quiet", "no_metadata", "no_mark", "save_every"),
    ),
    redeclared(
        out={
            "text": "Where to write. Pictures that already exist are not made again.",
            "metavar": "FOLDER",
            "default": "",
        },
        format={"text": "Format of the pictures.", "default": FORMATS[0]},
        no_metadata={
            "text": "Write no recipe into the pictures. A later batch then cannot recognise them and makes them again."
        },
    ),
]


@flat
def batch(
    file: File,
    *,
    together: Together = MAX_TOGETHER,
    shard: Shard = None,
    sharing: SharingOptions,
    picture: BatchPicture,
    steering: SteeringOptions,
    targets: BatchTargets,
    editing: EditOptions,
    tokens: TokenOptions,
    engine: EngineOptions,
    models: ModelOptions,
    output: BatchOutput,
) -> None:
    """Make a picture for every line of a file, or several.

    Continues after a line that fails, and skips pictures that an earlier batch has finished.
    """
    check_whole("--together", together, 1, MAX_TOGETHER)
    check_folder(output.out)
    fields = job_fields(picture, steering, engine, models) | targets.job_fields() | editing.job_fields()
    fields |= tokens.job_fields()
    lines = prompt_lines(file)
    job = _first_job(lines, fields, engine.device)
    lines = share_of(lines, shard)
    opened = open_for_job(job, engine, models, output)
    failed = _make_all(lines, opened, job, sharing, engine.device, together, output.out)
    if failed:
        numbers = list(dict.fromkeys(str(failure["line"]) for failure in failed))
        named = ", ".join([*numbers[:MAX_NAMED], "..."][: len(numbers)])
        raise ClipgenError(f"{len(failed)} of {len(lines)} prompts failed, on line {named}")


def _make_all(
    lines: list[PromptLine],
    opened: Opened,
    job: Job,
    sharing: SharingOptions,
    device: str,
    together: int,
    folder: Path,
) -> list[dict[str, object]]:
    """Make the pictures of all lines, here or by workers; returns the lines that failed, and why."""
    from clipgen.session.batch import Asked, Batch
    from clipgen.session.fleet import Fleet

    asked = [
        Asked(line.number, line.text, f"[{place}/{len(lines)}]", tuple(line.settings.items()))
        for place, line in enumerate(lines, start=1)
    ]
    session, listener, written = opened.session, opened.listener, opened.written
    made: Batch | Fleet
    if sharing.shares:
        made = Fleet(sharing.executor(opened, job, folder, device, together), listener, session.stop)
    else:
        made = Batch(
            session, opened.job or job, opened.inputs, folder, written, listener, device=device, together=together
        )
    try:
        made.make_all(asked)
    finally:
        pictures = opened.results.pictures
        opened.results.print_json({"pictures": pictures, "skipped": made.skipped, "failed": made.failed})
    return made.failed


def _first_job(lines: list[PromptLine], fields: dict[str, Any], device: str) -> Job:
    """Return the job of the first line that can be planned, without settings of its own.

    Raises what is wrong with the first line if none can be.
    """
    errors: list[Exception] = []
    for line in lines:
        try:
            job = Job(parse_prompts(line.text), **fields)
            _check_settings(line, job, device)
            return job
        except Exception as error:  # reported with its line, once another one begins the batch
            errors.append(error)
    raise errors[0]


def _check_settings(line: PromptLine, job: Job, device: str) -> None:
    """Raise what is wrong with a job once a line has set its own settings; it is then the line that is named."""
    try:
        resolve(replace(job, **line.settings), device=device)
    except UsageError as error:
        if line.settings:
            raise UsageError(f"line {line.number}: {error}") from error
        raise


def share_of(lines: list[PromptLine], shard: str | None) -> list[PromptLine]:
    """Return the lines of a shard such as "2/8"; all without one. Raises UsageError."""
    if shard is None:
        return lines
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard, re.ASCII)
    place, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= place <= count:
        raise UsageError(f"--shard must be I/N with I from 1 to N, as in 2/8, got {shard!r}")
    return lines[place - 1 :: count]

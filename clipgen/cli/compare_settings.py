"""The sides of `clipgen compare` that are files of settings: pictures of the same prompts, made with each of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.batch import BatchPicture, BatchTargets
from clipgen.cli.edit_options import EditOptions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.job_files import settings_of
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import flat
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.prompt_lines import prompt_lines
from clipgen.cli.sessions import Opened, job_fields, open_for_job
from clipgen.cli.steering_options import SteeringOptions
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.errors import ClipgenError, Interrupted, UsageError
from clipgen.session.naming import check_folder
from clipgen.session.options import MAX_TOGETHER
from clipgen.session.planning import plan_job

if TYPE_CHECKING:
    from clipgen.config.plan import Plan
    from clipgen.session.batch import Asked, Batch


@dataclass(frozen=True)
class Settings:
    """A file of settings, and what it says."""

    file: str
    fields: dict[str, Any]
    engine: EngineOptions
    models: ModelOptions

    def job(self, text: str, **settings: Any) -> Job:
        """Return the job of a prompt."""
        return Job(parse_prompts(text), **{**self.fields, **settings})


@dataclass
class Made:
    """The pictures of one side, by the number of the prompt, and the seconds that those took which were made here."""

    batch: Batch
    asked: Sequence[Asked]
    seconds: float = 0.0
    timed: int = 0


def read_settings(file: str, seed: int | None, device: str) -> Settings:
    """Read a file of settings; the seed, if there is one, and the device take the place of its own.

    Raises UsageError, which names the file.
    """
    command, found = _reader()
    typed = ["--device", device] if device != EngineOptions.device else []
    typed += [] if seed is None else ["--seed", str(seed)]
    options = {
        name: 0 if getattr(param, "is_flag", False) else param.nargs for param in command.params for name in param.opts
    }
    args = [*settings_of(file, typed, options), *typed]
    found.clear()
    try:
        command.main(args, prog_name="settings", standalone_mode=False)
    except typer.TyperException as error:
        raise UsageError(f"{file}: {error.format_message()}") from error
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    return Settings(file, **found)


@cache
def _reader() -> tuple[Any, dict[str, Any]]:
    """Return the command that reads the options of a side, and what it reads into."""
    found: dict[str, Any] = {}

    @flat
    def settings(
        *,
        picture: BatchPicture,
        steering: SteeringOptions,
        targets: BatchTargets,
        editing: EditOptions,
        engine: EngineOptions,
        models: ModelOptions,
    ) -> None:
        fields = job_fields(picture, steering, engine, models) | targets.job_fields() | editing.job_fields()
        found.update(fields=fields, engine=engine, models=models)

    app = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    app.command()(settings)
    return typer.main.get_command(app), found


def asked_for(prompts: str | None, count: int, seed: int) -> list[Asked]:
    """Return the lines of a file of prompts, or so many prompts of the drawn world."""
    from clipgen.session.batch import Asked

    if prompts is not None:
        lines = [(line.text, line.settings) for line in prompt_lines(prompts)]
        for number, (text, _) in enumerate(lines, start=1):
            _check(number, text)
    else:
        from clipgen.starter.evaluation import questions

        lines = [(question.text, {}) for question in questions(count, seed)]
    return [
        Asked(number, text, f"[{number}/{len(lines)}]", tuple(settings.items()))
        for number, (text, settings) in enumerate(lines, start=1)
    ]


def _check(number: int, text: str) -> None:
    """Raise a UsageError, which names the prompt, unless a text is one."""
    try:
        parse_prompts(text)
    except UsageError as error:
        raise UsageError(f"--prompts, prompt {number}: {error}") from error


def one_seed(sides: Sequence[Settings]) -> int:
    """Return the seed of all sides; raises UsageError if they have several."""
    seeds = [int(side.fields.get("seed", Job.seed)) for side in sides]
    for side, seed in zip(sides, seeds, strict=True):
        if seed != seeds[0]:
            raise UsageError(
                f"{sides[0].file} has seed {seeds[0]} and {side.file} has seed {seed}; the pictures of all sides need "
                "the same one: give it by --seed"
            )
    return seeds[0]


def planned(sides: Sequence[Settings], asked: Sequence[Asked]) -> list[list[Plan]]:
    """Return the plans of the pictures of each side; raises UsageError if one cannot be made or two are the same."""
    plans = [_plans(side, asked) for side in sides]
    for number, mine in enumerate(plans):
        if mine in plans[:number]:
            other = sides[plans.index(mine)].file
            raise UsageError(f"{other} and {sides[number].file} have the same settings, so that nothing can be told")
    return plans


def _plans(side: Settings, asked: Sequence[Asked]) -> list[Plan]:
    device = side.engine.device
    try:
        jobs = [side.job(one.text, **dict(one.settings)) for one in asked]
        inputs = plan_job(jobs[0], device)[1]
        return [resolve(job, inputs.size, device)[0] for job in jobs]
    except UsageError as error:
        raise UsageError(f"{side.file}: {error}") from error


def make(sides: Sequence[Settings], asked: Sequence[Asked], names: Sequence[str], output: OutputOptions) -> list[Made]:
    """Make the pictures of all sides, each in a folder of its name, by turns, so that all meet the same conditions.

    Those that an earlier run has finished are not made again. Raises Interrupted after Ctrl-C.
    """
    check_folder(output.out, "a comparison writes folders of pictures")
    opened = [_opened(side, asked, output) for side in sides]
    folders = [output.out / name.lower() for name in names]
    made = [_made(*row, asked, opened[0]) for row in zip(opened, sides, folders, strict=True)]
    try:
        for start in range(0, len(asked), MAX_TOGETHER):
            turn = made if start // MAX_TOGETHER % 2 == 0 else made[::-1]
            for one in turn:
                _make_some(one, asked[start : start + MAX_TOGETHER], opened[0])
                if opened[0].session.stop.asked:
                    raise Interrupted("stopped")
    except (Interrupted, KeyboardInterrupt):
        opened[0].listener.error("the same command continues the comparison")
        raise
    return made


def _opened(side: Settings, asked: Sequence[Asked], output: OutputOptions) -> Opened:
    """Open a session, and download what is missing."""
    opened = open_for_job(side.job(asked[0].text), side.engine, side.models, output)
    opened.results.collects = True
    opened.listener.idle()  # so that the display of one side does not go on beside that of another
    return opened


def _made(own: Opened, side: Settings, folder: Path, asked: Sequence[Asked], shared: Opened) -> Made:
    """Return the batch of a side; all share one session, so that models which they have in common are loaded once."""
    from clipgen.session.batch import Batch

    batch = Batch(
        shared.session,
        own.job or side.job(asked[0].text),
        own.inputs,
        folder,
        shared.written,
        shared.listener,
        device=side.engine.device,
        together=MAX_TOGETHER,
        unit="prompt",
    )
    return Made(batch, asked)


def _make_some(made: Made, asked: Sequence[Asked], opened: Opened) -> None:
    """Make some pictures, timed without the loading of the models."""
    try:
        left = made.batch.plans_left(asked)
    except ClipgenError:  # the batch itself reports it
        left = []
    if left:
        opened.session.models(left[0])
    before, started = len(made.batch.pictures), time.perf_counter()
    made.batch.make_all(asked)
    skipped = len(asked) - len(left)
    made.timed += max(len(made.batch.pictures) - before - skipped, 0) if left else 0
    made.seconds += (time.perf_counter() - started) if left else 0.0

"""`clipgen batch FILE`: a picture for every line, with the models loaded once."""

import codecs
import contextlib
import glob
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.failures import say
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import flat, only, redeclared
from clipgen.cli.options import EngineOptions, OutputOptions, PictureOptions
from clipgen.cli.resume import own_paths, resume_in
from clipgen.cli.sessions import Session, job_fields, open_session
from clipgen.config.job import Job, parse_prompts
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.session import default_stem
from clipgen.util.files import make_folder

if TYPE_CHECKING:
    from clipgen.session.state import Workspace
MAX_BYTES = 20_000_000
MAX_NAMED = 20

# `str.splitlines` also breaks at characters that editors do not count as line ends.
_LINE_END = re.compile(r"\r\n|\n|\r")

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE|-",
        help='Text file with a prompt on each line, "-" for standard input. Blank lines and lines that start with # '
        "are skipped.",
        show_default=False,
    ),
]
BatchPicture = Annotated[
    PictureOptions, redeclared(seed={"text": "The seed of every picture.", "default": f"{Job.seed}"})
]
BatchOutput = Annotated[
    OutputOptions,
    only("out", "video", "mp4", "gif", "as_json", "quiet", "no_metadata", "save_every"),
    redeclared(
        out={
            "text": "Where to write. Pictures that are there already are not made again.",
            "metavar": "FOLDER",
            "default": "",
        },
        no_metadata={
            "text": "Write no recipe into the pictures. A later batch then cannot recognise them and makes them again."
        },
    ),
]


@flat
def batch(file: File, picture: BatchPicture, engine: EngineOptions, models: ModelOptions, output: BatchOutput) -> None:
    """Make a picture for every line of a file.

    Carries on after a line that fails, and skips pictures that an earlier batch has finished.
    """
    settings = Job(parse_prompts("the prompts follow"), **job_fields(picture, engine, models))
    lines = _read_lines(file)
    session = open_session(settings, output, device=engine.device, offline=models.offline, typed=settings)
    make_folder(output.out)
    _Batch(session, output.out).make_all(settings, lines)


class _Batch:
    """Makes one line after the other and keeps track of what was skipped and what failed."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.skipped: list[str] = []
        self.failed: list[dict[str, object]] = []
        self._studio, delivery, self._results, self._notes = session
        self._films = delivery.films
        self._folder = folder

    def make_all(self, settings: Job, lines: list[tuple[int, str]]) -> None:
        """Make the pictures of all lines; ClipgenError at the end if one failed."""
        try:
            for place, (number, text) in enumerate(lines, start=1):
                self.make(settings, number, text, f"[{place}/{len(lines)}]")
        finally:
            pictures = self._results.pictures
            self._results.print_json({"pictures": pictures, "skipped": self.skipped, "failed": self.failed})
        if self.failed:
            shown = [str(failure["line"]) for failure in self.failed[:MAX_NAMED]]
            failed = ", ".join([*shown, "..."][: len(self.failed)])
            raise ClipgenError(f"{len(self.failed)} of {len(lines)} prompts failed, on line {failed}")

    def make(self, settings: Job, line: int, text: str, label: str) -> None:
        """Make the picture of one line unless it exists; an error is reported and noted, not raised."""
        try:
            job = self._studio.resolve(replace(settings, prompts=parse_prompts(text)))
            self._make(job, f"{label} {job.text}")
        except ClipgenError as error:
            self.failed.append({"line": line, "error": str(error)})
            say(f"error: line {line}: {error}")

    def _make(self, job: Job, label: str) -> None:
        from clipgen.session.state import BusyError

        stem = default_stem(job)
        try:
            if (done := self._finished(job)) is not None:
                self._skip(done, f"{label}: already made, {done}")
            elif unfinished := self._unfinished(job):
                resume_in(self._studio, unfinished, own_paths(unfinished), label)
            else:
                with self._studio.claimed(job, self._folder, stem) as (workspace, paths):
                    self._check_rivals(workspace)
                    self._studio.make(workspace, paths, label)
        except BusyError as busy:
            self._skip(self._folder / f"{stem}.png", f"{label}: {busy}")

    def _skip(self, picture: Path, note: str) -> None:
        self.skipped.append(str(picture))
        self._notes.say([note])

    def _finished(self, job: Job) -> Path | None:
        return _finished_picture(self._folder, job, self._films)

    def _unfinished(self, job: Job) -> "Workspace | None":
        """Open the state that an earlier batch left of this job; BusyError where another process is working on it."""
        from clipgen.session.state import Workspace

        same = self._others(job)
        return Workspace.open(same[0]) if same else None

    def _check_rivals(self, workspace: "Workspace") -> None:
        """Leave the picture to another process that started the same line a moment earlier: BusyError."""
        from clipgen.session.state import BusyError

        job, mine = workspace.order.job, workspace.folder
        earlier = [path for path in self._others(job) if (len(path.name), path.name) < (len(mine.name), mine.name)]
        if earlier or self._finished(job):
            workspace.discard()
            raise BusyError(f"{(earlier or [mine])[0].with_suffix('.png')} is being made by another process")

    def _others(self, job: Job) -> list[Path]:
        """Return the folders that hold the state of exactly this job."""
        from clipgen.outputs.metadata import describe_job
        from clipgen.session.state import PATIENCE, read_order, workspaces

        orders = {path: read_order(path, PATIENCE) for path in workspaces(self._folder, default_stem(job))}
        asked = describe_job(job) if orders else {}
        return [path for path, order in orders.items() if order and (order.asked, order.films) == (asked, self._films)]


def _read_lines(file: str) -> list[tuple[int, str]]:
    """Return the prompts of a file with their line numbers."""
    text = _decode(file, _read(file))
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1)]
    prompts = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not prompts:
        raise UsageError(f"the prompts file {file} holds no prompt; write one on each line")
    return prompts


def _read(file: str) -> bytes:
    """Return the bytes of a file or of standard input; UsageError where they are too many or cannot be read."""
    try:
        if file == "-" and sys.stdin is None:
            raise UsageError("standard input is closed; name a file with prompts")
        with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the prompts file {file} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise UsageError(f"the prompts file {file} cannot be read ({error}); check the path") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"the prompts file {file} is larger than {MAX_BYTES // 10**6} MB; split it")
    return content


def _decode(file: str, content: bytes) -> str:
    found = "UTF-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "not UTF-8"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the prompts file {file} is {found} text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise UsageError(f"the prompts file {file} is not text (byte {content.index(0)} is 0); save it as UTF-8")
    return text


def _finished_picture(folder: Path, job: Job, films: tuple[str, ...]) -> Path | None:
    """Find the picture of exactly this job in `folder`, if it is there with all its films."""
    from clipgen.outputs.metadata import is_done

    candidates = sorted(folder.glob(f"{glob.escape(default_stem(job))}*.png"))
    return next((path for path in candidates if _has_films(path, films) and is_done(path, job)), None)


def _has_films(picture: Path, films: tuple[str, ...]) -> bool:
    return all(picture.with_suffix(suffix).exists() for suffix in films)

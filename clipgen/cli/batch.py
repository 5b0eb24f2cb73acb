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

from clipgen.cli import choosing, options
from clipgen.cli.failures import say
from clipgen.cli.report import Notes, Results
from clipgen.cli.resume import own_paths, resume_in
from clipgen.config.job import Job, parse_prompts, parse_size
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.session import SAVE_SECONDS, Delivery, Studio, default_stem, film_suffixes
from clipgen.util.files import make_folder

if TYPE_CHECKING:
    from clipgen.session.state import Workspace
MAX_BYTES = 20_000_000
MAX_NAMED = 20

# Those of text files. `str.splitlines` knows others, which editors do not count as lines.
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


def batch(
    file: File,
    init: options.Init = None,
    init_weight: options.InitWeight = Job.init_weight,
    size: options.Size = None,
    seed: options.BatchSeed = Job.seed,
    backend: options.Backend = Job.backend,
    preset: options.Preset = Job.preset,
    steps: options.Steps = None,
    lr: options.LearningRate = None,
    cutouts: options.Cutouts = None,
    clip: choosing.Clip = None,
    clip_weights: choosing.ClipWeights = None,
    vqgan: choosing.Vqgan = None,
    vqgan_config: choosing.VqganConfig = None,
    dvae: choosing.Dvae = None,
    offline: choosing.Offline = False,
    device: options.Device = "auto",
    out: options.BatchOut = options.DEFAULT_FOLDER,
    video: options.Video = False,
    mp4: options.Mp4 = False,
    gif: options.Gif = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    no_metadata: options.BatchNoMetadata = False,
    save_every: options.SaveEvery = SAVE_SECONDS,
) -> None:
    """Make a picture for every line of a file.

    Goes on past a line that fails, and skips pictures that an earlier batch has finished.
    """
    notes = Notes(quiet=quiet or as_json)
    settings = Job(
        prompts=parse_prompts("the prompts follow"),
        backend=backend,
        preset=preset,
        size=None if size is None else parse_size(size),
        steps=steps,
        seed=seed,
        lr=lr,
        cutouts=cutouts,
        init=None if init is None else str(init),
        init_weight=init_weight,
        **choosing.Choice(clip, clip_weights, vqgan, vqgan_config, dvae).for_job(backend),
    )
    lines = _read_lines(file)
    results = Results(as_json=as_json)
    films = film_suffixes(video=video, mp4=mp4, gif=gif)
    delivery = Delivery(films, not no_metadata, save_every)
    studio = Studio(
        settings,
        device=device,
        delivery=delivery,
        results=results,
        notes=notes,
        offline=offline,
        typed=settings,
    )
    make_folder(out)
    _Batch(studio, out, films, notes).make_all(settings, lines, results)


class _Batch:
    """Makes one line after the other and keeps account of what was skipped and what failed."""

    def __init__(self, studio: Studio, folder: Path, films: tuple[str, ...], notes: Notes) -> None:
        self.skipped: list[str] = []
        self.failed: list[dict[str, object]] = []
        self._studio = studio
        self._folder = folder
        self._films = films
        self._notes = notes

    def make_all(self, settings: Job, lines: list[tuple[int, str]], results: Results) -> None:
        """Make the pictures of all lines; ClipgenError at the end where one failed."""
        try:
            for place, (number, text) in enumerate(lines, start=1):
                self.make(settings, number, text, f"[{place}/{len(lines)}]")
        finally:
            results.print_json({"pictures": results.pictures, "skipped": self.skipped, "failed": self.failed})
        if self.failed:
            shown = [str(failure["line"]) for failure in self.failed[:MAX_NAMED]]
            failed = ", ".join([*shown, "..."][: len(self.failed)])
            raise ClipgenError(f"{len(self.failed)} of {len(lines)} prompts failed, on line {failed}")

    def make(self, settings: Job, line: int, text: str, label: str) -> None:
        """Make the picture of one line, unless it is there; an error is said and noted, not raised."""
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
        """Take up the state that an earlier batch has left of this job; BusyError where another process is at it."""
        from clipgen.session.state import Workspace

        same = self._others(job)
        return Workspace.open(same[0]) if same else None

    def _check_rivals(self, workspace: "Workspace") -> None:
        """Leave the picture to another process that was a moment earlier with the same line: BusyError."""
        from clipgen.session.state import BusyError

        job, mine = workspace.order.job, workspace.folder
        earlier = [path for path in self._others(job) if (len(path.name), path.name) < (len(mine.name), mine.name)]
        if earlier or self._finished(job):
            workspace.discard()
            raise BusyError(f"{(earlier or [mine])[0].with_suffix('.png')} is being made by another process")

    def _others(self, job: Job) -> list[Path]:
        """Return the folders with states of this very job."""
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
    """Return the bytes of a file, or of standard input; of a source without end only `UsageError` comes."""
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
        raise UsageError(f"the prompts file {file} is no text (byte {content.index(0)} is 0); save it as UTF-8")
    return text


def _finished_picture(folder: Path, job: Job, films: tuple[str, ...]) -> Path | None:
    """Find the picture of this very job in `folder`, if it is there with all its films."""
    from clipgen.outputs.metadata import is_done

    candidates = sorted(folder.glob(f"{glob.escape(default_stem(job))}*.png"))
    return next((path for path in candidates if _has_films(path, films) and is_done(path, job)), None)


def _has_films(picture: Path, films: tuple[str, ...]) -> bool:
    return all(picture.with_suffix(suffix).exists() for suffix in films)

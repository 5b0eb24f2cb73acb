"""From jobs to files: what the commands that make pictures share. Torch and the models are loaded for the first one."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from clipgen.cli import notices
from clipgen.cli.downloads import fetch_missing, offered_preset
from clipgen.cli.failures import say
from clipgen.cli.report import Notes, Results
from clipgen.config.job import Job, check_whole
from clipgen.config.presets import AUTO, STARTER, Size
from clipgen.config.resolving import resolve
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.devices import pick_device
from clipgen.util.files import reserved, slug
from clipgen.util.text import one_line, readable_time

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.core.contracts import Sink
    from clipgen.engine.cost import Models
    from clipgen.engine.scene import Snapshot
    from clipgen.outputs.film import FilmSink
    from clipgen.outputs.png import PngSink
    from clipgen.session.candidates import Candidate
    from clipgen.session.state import Workspace

SAVE_SECONDS = 30.0
MAX_SECONDS = 86_400.0
MAX_LABEL = 100
MAX_CANDIDATES = 64

# What a user may expect -o to write, and does not get.
_OTHER_FORMATS = {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".mp4", ".tif", ".tiff", ".webp"}


def film_suffixes(*, video: bool, mp4: bool, gif: bool) -> tuple[str, ...]:
    """Return the films that the three flags ask for."""
    return tuple(suffix for suffix, wanted in ((".mp4", video or mp4), (".gif", video or gif)) if wanted)


def default_stem(job: Job) -> str:
    """Name a job's picture, without suffix."""
    return f"{slug(job.text)}-{job.seed}"


def destination(out: Path, job: Job) -> tuple[Path, str]:
    """Return the folder and stem that `-o` means: a PNG file, or a folder that gets the default name."""
    suffix = out.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise UsageError(
            f"-o {out} is not a PNG file; use -o {out.with_suffix('.png')}, with --mp4 or --gif for a film"
        )
    if suffix == ".png" and not out.is_dir():
        return out.parent, out.stem
    return out, default_stem(job)


@dataclass(frozen=True)
class Delivery:
    """What is to be written of a run, beside the picture."""

    films: tuple[str, ...] = ()
    metadata: bool = True
    save_every: float = SAVE_SECONDS
    """Seconds between two saves of the state from which a killed run goes on."""
    keep_state: bool = False
    """Whether that state stays when the run has finished, for more steps."""

    def __post_init__(self) -> None:
        if not 0 <= self.save_every <= MAX_SECONDS:
            raise UsageError(f"--save-every must be from 0 to {MAX_SECONDS:g} seconds, got {self.save_every:g}")


class Studio:
    """Makes pictures that differ only in prompt and seed, with models and init image loaded once.

    `settings` is a job with everything but the prompt; it is checked here, before anything slow. Models that `typed`
    names are downloaded if need be: a job of which all was typed by the user, and no file told.
    """

    def __init__(
        self,
        settings: Job,
        *,
        device: str,
        delivery: Delivery,
        results: Results,
        notes: Notes,
        offline: bool = False,
        typed: Job | None = None,
    ) -> None:
        self._delivery = delivery
        self._results = results
        self._notes = notes
        self._models: Models | None = None
        self._is_timed = notes.quiet
        self._init, self._init_notes = _load_init(settings.init)
        self._wish = device
        resolved, self._reasons = self._resolve(settings)
        self._device = pick_device(device)
        if settings.preset == AUTO and resolved.preset == STARTER and self._device != "cpu":
            offered = offered_preset(settings, offline=offline, notes=notes)
            if offered:
                typed = replace(settings, preset=offered)
                resolved, self._reasons = self._resolve(typed)
        self._preset = resolved.preset  # for all jobs, whatever else changes on this machine
        fetch_missing(resolved, typed, offline=offline, notes=notes)

    def resolve(self, job: Job) -> Job:
        """Fill in every default of a job; says what was decided and what the models will not understand."""
        reasons = self._reasons if job.preset == AUTO else []
        resolved, notes = self._resolve(replace(job, preset=self._preset))
        self._notes.say(
            [*self._init_notes, *reasons, *notes, *notices.unknown_word_warnings(resolved), *notices.licences(resolved)]
        )
        return resolved

    def _resolve(self, job: Job) -> tuple[Job, list[str]]:
        return resolve(job, self._init.size if self._init else None, self._wish)

    def make_alone(self, job: Job, out: Path) -> None:
        """Make the picture of the one job there is, where `-o` says, and print its JSON document if asked to."""
        folder, stem = destination(out, job)
        try:
            with self.claimed(self.resolve(job), folder, stem) as (workspace, paths):
                self.make(workspace, paths, job.text)
        finally:
            self.print_json()

    def make_best(self, job: Job, out: Path, candidates: int, keep: int) -> None:
        """Make pictures of the seeds that are best among some candidates, the best first."""
        check_whole("--candidates", candidates, 1, MAX_CANDIDATES)
        check_whole("--keep", keep, 1, candidates)
        if candidates == 1:
            self.make_alone(job, out)
            return
        best = self._best(self.resolve(job), candidates)
        self._notes.say(f"seed {each.job.seed}: {each.score:.3f} by the judge" for each in best)
        try:
            for place, each in enumerate(best[:keep], start=1):
                folder, stem = destination(out, each.job)
                with self.claimed(each.job, folder, stem) as (workspace, paths):
                    self.make(workspace, paths, f"[{place}/{keep}] {each.job.text}" if keep > 1 else each.job.text)
        finally:
            self._results.print_json({"pictures": self._results.pictures})

    def _best(self, job: Job, count: int) -> "list[Candidate]":
        from clipgen.engine.runner import load_models
        from clipgen.session.candidates import best_seeds

        self._models = self._models or load_models(job, self._device, self._notes.note)
        return best_seeds(job, count, self._models, self._progress, init=self._init)

    def print_json(self) -> None:
        """Print the JSON document of the one picture there is, if asked to."""
        for picture in self._results.pictures:
            self._results.print_json(picture)

    @contextmanager
    def claimed(self, job: Job, folder: Path, stem: str) -> "Iterator[tuple[Workspace, dict[str, Path]]]":
        """Hold free names for the files of a resolved job, and a place for its state."""
        from clipgen.session.state import SUFFIX, Order, Workspace

        order = Order.of(job, self._delivery.films, metadata=self._delivery.metadata)
        with reserved(folder, stem, (".png", *order.films), avoid=SUFFIX) as paths:
            workspace = Workspace.create(paths[".png"].with_suffix(SUFFIX), order, self._init)
            try:
                yield workspace, paths
            finally:
                if workspace.is_held and not workspace.has_snapshot:  # stopped before there was anything to go on from
                    workspace.discard()

    def make(self, workspace: "Workspace", paths: dict[str, Path], label: str) -> None:
        """Make the picture of a workspace, from the start or from where it was stopped, with its films.

        `ClipgenError` where a part of that failed. What is needed to go on stays if the run does not finish.
        """
        from clipgen.outputs.film import FilmSink
        from clipgen.outputs.png import PngSink

        order = workspace.order
        picture, *film_paths = paths.values()
        png = PngSink(picture, order.job, asked=order.asked, metadata=order.metadata)
        films: list[FilmSink] = []
        try:
            snapshot = workspace.snapshot()
            done = snapshot.done if snapshot else 0
            films += [FilmSink(path, workspace.folder, done) for path in film_paths]
            self._run(workspace, snapshot, png, films, label)
        finally:
            self._leave(workspace, png)
            self._results.add(picture, film_paths, png.record)  # after Ctrl-C too: what was reached is there
            problems = "; ".join(film.problem for film in films if film.problem)
            if problems and sys.exc_info()[0] is not None:
                say(f"error: {problems}")
        if problems:
            raise ClipgenError(problems)

    def _run(
        self,
        workspace: "Workspace",
        snapshot: "Snapshot | None",
        png: "PngSink",
        films: "list[FilmSink]",
        label: str,
    ) -> None:
        from clipgen.engine.runner import load_models, run
        from clipgen.session.state import PeriodicKeeper

        job, delivery = workspace.order.job, self._delivery
        self._models = self._models or load_models(job, self._device, self._notes.note)
        self._notes.say(notices.truncation_warnings(job, self._models))
        before = [*(film.keep for film in films), png.keep]
        self._say_duration(job, self._models, snapshot.done if snapshot else 0)
        keeper = PeriodicKeeper(workspace, delivery.save_every, before, last=delivery.keep_state)
        sinks: list[Sink] = [png, *films, *self._progress(label)]
        run(job, self._models, sinks, init=workspace.init, keeper=keeper, snapshot=snapshot)
        self._notes.say(notices.memory_notes(png.record))
        self._notes.say([f"warning: {keeper.problem}"] if keeper.problem else [])

    def _say_duration(self, job: Job, models: "Models", done: int) -> None:
        """Say once about how long a run takes, with models that may take minutes or hours on this machine."""
        from clipgen.engine.cost import Sample
        from clipgen.engine.memory import is_memory_error

        if self._is_timed or (job.preset == STARTER and not job.network):
            return
        self._is_timed = True
        size, steps = cast(Size, job.size), cast(int, job.steps)
        try:
            seconds = Sample(job, models).seconds() * (steps - done) / steps
        except (MemoryError, RuntimeError) as error:
            if is_memory_error(error):
                return  # the run itself says so, and knows what to do
            raise
        self._notes.note(f"{steps - done} steps at {size[0]}x{size[1]} take about {readable_time(seconds)} here")

    def _leave(self, workspace: "Workspace", png: "PngSink") -> None:
        """Let go of the workspace, which stays only where it is of use."""
        outcome = png.record.get("outcome")
        finished = outcome in ("finished", "diverged") and not self._delivery.keep_state
        if finished or not workspace.has_snapshot:
            workspace.discard()
            return
        workspace.release()
        if outcome != "finished":
            say(f"go on with: clipgen resume {shlex.quote(str(png.path))}")

    def _progress(self, label: str) -> Iterator["Sink"]:
        from clipgen.outputs.progress import progress_sink

        if sys.stderr is not None and not self._notes.quiet:  # None: the shell closed it
            yield progress_sink(one_line(label, MAX_LABEL), sys.stderr)


def _load_init(path: str | None) -> "tuple[Image | None, list[str]]":
    if path is None:
        return None, []
    from clipgen.util.images import load_image

    return load_image(path)

"""From jobs to files: what `run` and `batch` share. Torch and the models are loaded when the first picture is made."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipgen.cli.failures import say
from clipgen.cli.report import Notes, Results
from clipgen.device import pick_device
from clipgen.errors import ClipgenError, UsageError, one_line
from clipgen.job import Job
from clipgen.naming import reserved, slug
from clipgen.presets import resolve
from clipgen.starter.grammar import unknown_words

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.runner import Models
    from clipgen.sinks.base import Sink
    from clipgen.sinks.video import FilmSink

MAX_LABEL = 100
MAX_STRANGE_WORDS = 10

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


class Studio:
    """Makes pictures that differ only in prompt and seed, with models and init image loaded once.

    `settings` is a job with everything but the prompt; it is checked here, before anything slow.
    """

    def __init__(self, settings: Job, *, device: str, films: tuple[str, ...], results: Results, notes: Notes) -> None:
        self._films = films
        self._results = results
        self._notes = notes
        self._models: Models | None = None
        self._init, self._init_notes = _load_init(settings.init)
        self._resolve(settings)
        self._device = pick_device(device)

    def resolve(self, job: Job) -> Job:
        """Fill in every default of a job; says what was decided and what the models will not understand."""
        resolved, notes = self._resolve(job)
        self._notes.say([*self._init_notes, *notes, *_strange_words(resolved)])
        return resolved

    def _resolve(self, job: Job) -> tuple[Job, list[str]]:
        return resolve(job, self._init.size if self._init else None)

    def make(self, job: Job, folder: Path, stem: str, label: str) -> None:
        """Make the picture of a resolved job, with its films; `ClipgenError` where a part of that failed."""
        from clipgen.runner import load_models, run
        from clipgen.sinks.png import PngSink
        from clipgen.sinks.video import FilmSink

        with reserved(folder, stem, (".png", *self._films)) as paths:
            picture, *film_paths = paths.values()
            films = [FilmSink(path) for path in film_paths]
            sinks: list[Sink] = [PngSink(picture, job), *films, *self._progress(label)]
            self._models = self._models or load_models(job, self._device)
            self._notes.say(_unread_words(job, self._models))
            try:
                run(job, self._models, sinks, init=self._init)
            except KeyboardInterrupt:
                if problems := _problems(films):
                    say(f"error: {problems}")
                raise
            finally:
                self._results.add(picture, film_paths)  # after Ctrl-C too: what was reached is there
        if problems := _problems(films):
            raise ClipgenError(problems)

    def _progress(self, label: str) -> Iterator["Sink"]:
        from clipgen.sinks.progress import progress_sink

        if sys.stderr is not None and not self._notes.quiet:  # None: the shell closed it
            yield progress_sink(one_line(label, MAX_LABEL), sys.stderr)


def _problems(films: "Sequence[FilmSink]") -> str:
    return "; ".join(film.problem for film in films if film.problem)


def _unread_words(job: Job, models: "Models") -> Iterator[str]:
    """Warn of each text that is longer than the models read."""
    reader = models.perceptors[0].perceptor
    for prompt in job.prompts:
        if over := reader.overlong(prompt.text):
            text = one_line(prompt.text, MAX_LABEL)
            yield f'warning: the last words of "{text}" are not read: it is {over} tokens too long'


def _load_init(path: str | None) -> "tuple[Image | None, list[str]]":
    if path is None:
        return None, []
    from clipgen.images import load_image

    return load_image(path)


def _strange_words(job: Job) -> Iterator[str]:
    """Warn of the words that the starter models have never met."""
    if job.preset != "starter":
        return
    strange = unknown_words(" ".join(prompt.text for prompt in job.prompts), MAX_STRANGE_WORDS + 1)
    for word, nearest in strange[:MAX_STRANGE_WORDS]:
        hint = f'; the nearest that it knows is "{nearest}"' if nearest else ""
        yield f'warning: the starter set does not know the word "{word}"{hint}'
    if len(strange) > MAX_STRANGE_WORDS:
        yield "warning: there are more words that the starter set does not know"

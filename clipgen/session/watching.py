"""Who watches the picture that `clipgen.generate` makes: a display, functions of the user, and films."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import TextIO, cast

from clipgen.config.films import FPS
from clipgen.config.plan import Plan
from clipgen.core.contracts import Sink
from clipgen.errors import UsageError
from clipgen.outputs.callbacks import Progress, ProgressCalls
from clipgen.outputs.film import FilmSink
from clipgen.outputs.notebook import NotebookProgress
from clipgen.outputs.progress import progress_sink
from clipgen.session.picture import filmed
from clipgen.util.files import reserved
from clipgen.util.streams import Forgiving
from clipgen.util.text import one_line, quoted

Wanted = bool | Callable[[Progress], object] | None
FilmPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
MAX_LABEL = 60
_displaying = Lock()


def check_watching(progress: object, on_step: object) -> None:
    """Raise a UsageError unless these are what `generate` takes."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise UsageError(f"progress must be True, False, None or a function of the progress, got {quoted(progress)}")
    if not (on_step is None or callable(on_step)):
        raise UsageError(f"on_step must be a function of a step, got {quoted(on_step)}")


@contextmanager
def display(plan: Plan, notes: Sequence[str], wanted: Wanted) -> Iterator[Sequence[Sink]]:
    """Yield what shows the progress, if it is wanted: the user's function, or a display below the notes.

    There is one display at a time; other threads show none meanwhile.
    """
    label = one_line(plan.text, MAX_LABEL)
    if callable(wanted):
        yield [ProgressCalls(wanted).begin(label)]
        return
    if not (_is_watched() if wanted is None else wanted) or not _displaying.acquire(blocking=False):
        yield ()
        return
    try:
        yield _displays(label, notes)
    finally:
        _displaying.release()


def _displays(label: str, notes: Sequence[str]) -> Sequence[Sink]:
    if _is_notebook():
        return [NotebookProgress(notes).begin(label)]
    if sys.stderr is None:
        return ()
    stream = Forgiving(sys.stderr)
    for note in notes:
        stream.write(f"{note}\n")
    return [progress_sink(label, cast(TextIO, stream))]


def _is_watched() -> bool:
    """Whether stderr is a terminal, or this is a notebook."""
    return _is_notebook() or (sys.stderr is not None and Forgiving(sys.stderr).isatty())


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) is not None if ipython else False


@contextmanager
def films_of(plan: Plan, paths: FilmPaths) -> Iterator[Sequence[FilmSink]]:
    """Yield the sinks of films, under the names that `paths` give, or numbered ones if those are taken.

    Raises UsageError for a name that is not that of a film, or cannot be written.
    """
    given = paths if isinstance(paths, Sequence) and not isinstance(paths, str) else () if paths is None else (paths,)
    with ExitStack() as names:
        yield [FilmSink(_reserve(path, names), **filmed(plan)) for path in given]


def _reserve(film: object, names: ExitStack) -> Path:
    """Return a free path for a film, which is held until `names` are released."""
    path = Path(film) if isinstance(film, str | os.PathLike) else None
    if path is None or path.suffix not in FPS:
        raise UsageError(f"film must be a path that ends in {', '.join(FPS)}, or several, got {quoted(film)}")
    return names.enter_context(reserved(path.parent, path.stem, (path.suffix,), flag="film"))[path.suffix]

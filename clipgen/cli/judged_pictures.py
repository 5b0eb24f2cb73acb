"""Pictures that a command judges: named as arguments or on standard input, and looked at with progress. Torch-free."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clipgen.cli.failures import say
from clipgen.cli.picture_files import picture_files
from clipgen.cli.prompt_text import STDIN, read_lines
from clipgen.cli.report import Notes
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.judge.pictures import Seen

LINE_SECONDS = 10.0
"""Between lines of progress where there is no terminal."""
Step = Callable[[int], object]


def judged_pictures(asked: Sequence[Path], command: str, notes: Notes) -> list[Path]:
    """Return the picture files that are named, each once; "-" stands for paths on standard input, one a line.

    Raises UsageError if anything is missing, or if there is no picture.
    """
    found = picture_files(list(_with_typed(asked)), command)
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.absolute(), path)
    if repeated := len(found) - len(once):
        notes.note(f"{repeated} of the pictures {'is' if repeated == 1 else 'are'} named twice; each counts once")
    return list(once.values())


def _with_typed(asked: Sequence[Path]) -> Iterator[Path]:
    for path in asked:
        if str(path) != STDIN:
            yield path
        elif lines := read_lines(STDIN):
            yield from (Path(line) for _, line in lines)
        else:
            raise UsageError("standard input is empty; give it paths of pictures, one on each line")


def readable(found: Iterable[Seen], total: int, notes: Notes, problems: list[str]) -> Iterator[Seen]:
    """Yield the pictures that can be read, with progress and a note on each other one, which is put into `problems`.

    Raises UsageError at the end if none can be read.
    """
    with watched(total, "pictures", notes) as step:
        for each in found:
            step(1)
            if each.problem:
                problems.append(each.problem)
                notes.note(f"left out: {each.problem}")
            else:
                yield each
    if len(problems) == total:
        raise UsageError(problems[0] + (f"; {total - 1} more cannot be read either" if total > 1 else ""))


class _Lines:
    """Says now and then how many are done."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._next = time.monotonic() + LINE_SECONDS

    def __call__(self, count: int) -> None:
        self._done += count
        if time.monotonic() >= self._next and self._done < self._total:
            say(f"{self._done:,}/{self._total:,} {self._what}")
            self._next = time.monotonic() + LINE_SECONDS


@contextmanager
def watched(total: int, what: str, notes: Notes) -> Iterator[Step]:
    """Give what is to be called with a number of things that were done; shows a bar in a terminal, lines elsewhere."""
    if notes.quiet or not (sys.stderr and sys.stderr.isatty()):
        yield _silent if notes.quiet else _Lines(total, what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _silent(_count: int) -> None:
    pass

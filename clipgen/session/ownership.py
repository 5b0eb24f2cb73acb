"""Which files a run has written under its names: nothing else that is found there is ever replaced."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from clipgen.util.files import replacing
from clipgen.util.regular import append_regular, open_regular, read_regular

NAME, LOG = "files.json", "steps.jsonl"
MAX_RECORD, MAX_LOG = 100_000, 1 << 25

Print = tuple[int, str]
"""Size and SHA-256 of a file."""


class OwnFiles:
    """The files of one run, remembered in its state `folder` by size and SHA-256, from one process to the next."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, list[Print]] | None = None

    def check(self, path: Path) -> None:
        """Raise FileExistsError unless nothing is at `path` but an empty file, or a file that this run wrote."""
        self._there(path)

    def claim(self, partial: Path, path: Path) -> None:
        """Remember that `partial` is about to replace `path`; raises OSError, as `check` does.

        Both the file before and the one to come are remembered: a kill in between leaves either.
        """
        before = self._there(path)
        self._remember(path, [*([before] if before else []), _print_of(partial, partial.stat().st_size)])

    def adopt(self, paths: Iterable[Path]) -> None:
        """Take what is there for files of this run, of which a state of an earlier version remembers none."""
        for path in paths:
            with contextlib.suppress(OSError):
                if path.stat().st_size:
                    self._remember(path, [_print_of(path, path.stat().st_size)])

    def has(self, path: Path) -> bool:
        """Whether the file that was claimed last for `path` is there, whole."""
        known = self._files().get(path.name)
        try:
            return bool(known) and self._there(path) == known[-1]  # type: ignore[index]
        except OSError:
            return False

    def _there(self, path: Path) -> Print | None:
        """Return the print of this run's own file at `path`; None if there is none, or an empty one."""
        return _found(path, lambda: self._files().get(path.name, []))

    def _files(self) -> dict[str, list[Print]]:
        if self._known is None:
            self._known = _read(self._path)
        return self._known

    def _remember(self, path: Path, prints: list[Print]) -> None:
        """Note the prints; if that cannot be written, they are known to this process only."""
        files = self._files()
        files[path.name] = prints
        with contextlib.suppress(OSError), replacing(self._path) as partial:
            partial.write_text(json.dumps(files), encoding="utf-8")


class OwnSteps:
    """The pictures of single steps that a run wrote, noted in its state `folder`.

    There may be thousands, so that notes are added at the end of a file, and read only if there is something to tell.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._known: dict[str, list[Print]] | None = None

    def claim(self, partial: Path, path: Path) -> None:
        """Remember that `partial` is about to replace `path`; raises FileExistsError if that is another's file."""
        mine = _print_of(partial, partial.stat().st_size)
        _found(path, lambda: [mine, *self._noted().get(path.name, [])])
        if self._known is not None:
            self._known.setdefault(path.name, []).append(mine)
        note = f"\n{json.dumps([path.name, *mine])}\n"  # the end of the line before may be lost
        with contextlib.suppress(OSError):
            append_regular(self._path, note.encode(), MAX_LOG)

    def _noted(self) -> dict[str, list[Print]]:
        if self._known is None:
            self._known = _read_log(self._path)
        return self._known


def _found(path: Path, known: Callable[[], Iterable[Print]]) -> Print | None:
    """Return the print of the file at `path`, which is among those `known`; None if there is none, or an empty one.

    Raises FileExistsError if it is another.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    is_file = stat.S_ISREG(found.st_mode)
    if is_file and not found.st_size:
        return None
    for each in known() if is_file else ():
        if found.st_size == each[0] and _print_of(path, each[0]) == each:
            return each
    raise FileExistsError(errno.EEXIST, "another file was put there meanwhile", str(path))


def _read_log(path: Path) -> dict[str, list[Print]]:
    """Return the prints that are noted in the lines of a file; lines that are damaged are left out."""
    known: dict[str, list[Print]] = {}
    try:
        lines = read_regular(path, MAX_LOG).splitlines()
    except OSError:
        return known
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            name, size, digest = json.loads(line)
            known.setdefault(str(name), []).append((int(size), str(digest)))
    return known


def _read(path: Path) -> dict[str, list[Print]]:
    """Return the prints that are noted in a file; none if it is damaged, so that nothing is taken for the run's own."""
    try:
        record = json.loads(read_regular(path, MAX_RECORD))
        return {str(name): [(int(size), str(digest)) for size, digest in prints] for name, prints in record.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _print_of(path: Path, limit: int) -> Print:
    with open_regular(path, limit) as file:
        size = os.fstat(file.fileno()).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()

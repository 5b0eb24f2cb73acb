"""Which files a run has written under its names: nothing else that is found there is ever replaced."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from clipgen.util.files import replacing
from clipgen.util.regular import open_regular, read_regular

NAME = "files.json"
MAX_RECORD = 100_000

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
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISREG(found.st_mode) and not found.st_size:
            return None
        for known in self._files().get(path.name, []):
            if stat.S_ISREG(found.st_mode) and found.st_size == known[0] and _print_of(path, known[0]) == known:
                return known
        raise FileExistsError(errno.EEXIST, "another file was put there meanwhile", str(path))

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

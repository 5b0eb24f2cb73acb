"""The pictures that a command is to read: files, folders and patterns. Torch-free."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path

from clipgen.cli.values import expanded
from clipgen.errors import UsageError
from clipgen.util.regular import PICTURES


def picture_files(asked: Sequence[Path], flag: str) -> list[Path]:
    """Return the files that are named, and the pictures in folders, in the order of their names and without sheets.

    A name that no file has may be a pattern, such as "outputs/*.png". `flag` is what an error calls the argument.
    Raises UsageError if anything is missing, or if there is no picture.
    """
    found = list(_found([expanded(each, flag) for each in asked]))
    if not found:
        named = ", ".join(map(str, asked))
        raise UsageError(f"there is no picture in {named}; name a folder that holds PNG, JPEG or other pictures")
    return found


def in_order(name: str) -> list[tuple[int, str]]:
    """Return a key by which "a-2.png" comes before "a-10.png"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,18})", name)]


def _found(asked: Sequence[Path]) -> Iterator[Path]:
    for each in asked:
        if lexists(each):
            yield from _in_folder(each) if each.is_dir() else [each]
            continue
        matching = _matching(each)
        if not matching:
            raise UsageError(f"there is no file or folder {each}; check the path")
        yield from matching


def _matching(pattern: Path) -> list[Path]:
    """Return the pictures whose names fit a pattern."""
    try:
        names = glob.glob(str(pattern)) if glob.has_magic(str(pattern)) else []  # noqa: PTH207 - it may be absolute
    except (OSError, ValueError):  # no file can have such a name
        names = []
    return [Path(name) for name in sorted(names, key=in_order) if Path(name).suffix.lower() in PICTURES]


def _in_folder(folder: Path) -> list[Path]:
    from clipgen.outputs.sheet import is_sheet

    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file()]
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be read ({error.strerror}); check the path") from error
    return sorted((path for path in files if not is_sheet(path)), key=lambda path: in_order(path.name))

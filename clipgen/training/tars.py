"""The members of other people's tar archives: where their content lies. Nothing is unpacked, no link followed."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_MEMBERS = 5_000_000
MAX_HEADER = 65_536
"""Bytes of a header about the next member: a long name, or records such as "27 path=...\\n"."""

_LONG_NAME, _RECORDS = b"L", b"x"


class TarError(ValueError):
    """The file is no tar archive, or is damaged."""


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive. Its name is a label that anyone may have chosen, and never a path to open."""

    name: str
    start: int
    size: int


def members(file: BinaryIO, length: int) -> Iterator[Member]:
    """Yield the regular files of an uncompressed tar archive of `length` bytes, in their order. Raises TarError.

    Headers are read one by one, as the loop in tarfile recurses at headers about headers and reads them whole.
    """
    place, named, sized = 0, "", -1
    for _ in range(MAX_MEMBERS):
        entry = _entry(file, place)
        if entry is None:
            return
        start = place + tarfile.BLOCKSIZE
        is_next = entry.type in (_LONG_NAME, _RECORDS)
        size = entry.size if is_next or sized < 0 else sized
        place = start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if size < 0 or start + size > length:
            raise TarError("it ends in the middle of a file")
        if is_next:
            name, found = _about_next(file, entry)
            named, sized = name or named, found if found >= 0 else sized
            continue
        if entry.isreg():
            yield Member(named or entry.name, start, size)
        named, sized = "", -1
    raise TarError(f"it holds more than {MAX_MEMBERS:,} files")


def _entry(file: BinaryIO, place: int) -> tarfile.TarInfo | None:
    """Return the header at a place, or None at the end, which an archive that was cut between two files lacks."""
    file.seek(place)
    header = file.read(tarfile.BLOCKSIZE)
    if not header.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise TarError(f"no tar archive, or damaged at byte {place:,}") from error


def _about_next(file: BinaryIO, entry: tarfile.TarInfo) -> tuple[str, int]:
    """Return the name ("" if it is not told) and the size (-1) of the next member, from the header about it."""
    if entry.size > MAX_HEADER:
        raise TarError("a name in it is too long")
    content = file.read(entry.size)
    if entry.type == _LONG_NAME:
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape"), -1
    found = _records(content)
    size = found.get(b"size", b"")
    if size and not (size.isdigit() and len(size) < 20):
        raise TarError("a size in it is no number")
    return found.get(b"path", b"").decode("utf-8", "surrogateescape"), int(size) if size else -1


def _records(content: bytes) -> dict[bytes, bytes]:
    """Return the records, "LENGTH KEY=VALUE" and a line end, of an extended header, as far as they are whole."""
    found = {}
    while content:
        digits, _, _ = content[:8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = content[len(digits) + 1 : length].partition(b"=")
        if not equals:
            break
        found[key] = value.removesuffix(b"\n")
        content = content[length:]
    return found

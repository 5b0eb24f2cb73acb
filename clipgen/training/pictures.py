"""Captioned pictures prepared for training: read once, cropped, and kept in one file that is mapped to memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image, ImageOps

from clipgen.errors import ClipgenError, UsageError
from clipgen.training.captions import FLAG, Captioned, read_captions
from clipgen.util.files import make_folder, partials, publish, replacing
from clipgen.util.regular import read_regular
from clipgen.util.text import one_line, readable_bytes, readable_time

MIN_PICTURES = 10
MAX_HELD_OUT = 2_000
ALWAYS_HELD_OUT = 20
"""Of so many pictures at least one is held out."""
SECONDS = 8.0
"""Between two reports, and two notes of how far it is."""
SHOWN = 3
"""How many of the skipped pictures a report names."""
MAX_INDEX = 2_000_000_000
HEADER = 128
"""Bytes before the rows in the file."""
VERSION = 1
"""Of the files in the cache; others are made anew."""

Report = Callable[[str], None]
Skipped = tuple[int, str]
"""The place of a picture that could not be read, among all that were found, and why."""


@dataclass(frozen=True)
class CaptionedSet:
    """N pictures of S x S pixels with their captions."""

    pictures: NDArray[np.uint8]
    """(N, S, S, 3) RGB, mapped from the file and read only."""
    captions: tuple[tuple[str, ...], ...]
    """Of each picture at least one."""
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Split:
    """The pictures to train on, and those that are kept for measuring."""

    training: CaptionedSet
    held_out: CaptionedSet


@dataclass
class _Progress:
    """How far the reading is."""

    reached: tuple[int, int] = (0, 0)
    """How many pictures were looked at, and how many of them kept: one value, so that no stop comes in between."""
    skipped: list[Skipped] = field(default_factory=list)


def prepare(
    data: Path, size: int, cache: Path, *, held_out: float = 0.05, seed: int = 0, report: Report = lambda _line: None
) -> Split:
    """Read the captioned pictures of `data` (see `read_captions`), centre-cropped and resized to `size` x `size`.

    They are kept in the folder `cache` and used again until `data`, `size` or `seed` changes; a call that was stopped
    is continued. Whether a picture is held out depends on the seed and its name: about the share `held_out` of all is,
    at least 1 of ALWAYS_HELD_OUT and at most MAX_HELD_OUT. Adding pictures never moves one from training to held out.
    Raises UsageError if there is too little to learn from, ClipgenError if the disk is full.
    """
    found = sorted(read_captions(data, report), key=lambda each: (_place(seed, each.name), each.name), reverse=True)
    _check(data, [each.captions for each in found], [])
    make_folder(cache, "the folder of prepared pictures")
    work = _Work(cache, found, size, report)
    with _locked(cache, size):
        rows, skipped = work.reuse() or work.make()
    bad = dict(skipped)
    reasons = [f"{found[place].name}: {reason}" for place, reason in skipped]
    if reasons:
        more = f"; and {len(reasons) - SHOWN:,} more" if reasons[SHOWN:] else ""
        report(one_line(f"{len(bad):,} of {len(found):,} pictures are skipped ({'; '.join(reasons[:SHOWN])}{more})"))
    good = [each for place, each in enumerate(found) if place not in bad]
    _check(data, [each.captions for each in good], reasons)
    return _split(rows, good, sum(_place(seed, each.name) < held_out for each in good))


def _place(seed: int, name: str) -> float:
    """Return where in [0, 1) a picture is, whatever other pictures there are; the held-out part begins at 0."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def _split(rows: NDArray[np.uint8], pictures: Sequence[Captioned], wanted: int) -> Split:
    """Split where the last pictures, those at the lowest places, are held out."""
    least = int(len(pictures) >= ALWAYS_HELD_OUT)
    cut = len(pictures) - min(max(wanted, least), MAX_HELD_OUT, len(pictures) - 1)

    def part(begin: int, end: int) -> CaptionedSet:
        some = pictures[begin:end]
        return CaptionedSet(rows[begin:end], tuple(each.captions for each in some), tuple(each.name for each in some))

    return Split(part(0, cut), part(cut, len(pictures)))


def _check(data: Path, captions: Sequence[tuple[str, ...]], skipped: Sequence[str]) -> None:
    if len(captions) < MIN_PICTURES:
        why = f", and {len(skipped):,} that cannot be read, such as {skipped[0]}" if skipped else ""
        raise UsageError(
            f"{FLAG} {data} holds {len(captions)} pictures with captions{why}; training needs {MIN_PICTURES} at least"
        )
    if len(set(captions)) == 1:
        raise UsageError(
            f"{FLAG} {data} has one caption for all its pictures, {captions[0][0]!r}: there is nothing to learn; "
            "say of each picture what it shows"
        )


@contextlib.contextmanager
def _locked(cache: Path, size: int) -> Iterator[None]:
    """Hold the prepared pictures of a size: two processes would write to one file."""
    lock = FileLock(cache / f"pictures-{size}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ClipgenError(f"another process prepares pictures in {cache}; wait for it, or stop it") from error
    except OSError as error:
        raise _unwritten(cache, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritten(cache: Path, error: OSError) -> ClipgenError:
    return ClipgenError(
        f"the prepared pictures cannot be written in {cache} ({error.strerror}); free space there or name another "
        "folder, and run it again"
    )


def _fingerprint(found: Sequence[Captioned], size: int) -> str:
    digest = hashlib.blake2b(f"{VERSION}/{size}".encode(), digest_size=8)
    for each in found:
        digest.update(json.dumps([each.name, each.captions, each.stamp]).encode())
    return digest.hexdigest()


class _Work:
    """The files of one set of pictures: the rows; their index, which is there once both are whole; two for parts."""

    def __init__(self, cache: Path, found: Sequence[Captioned], size: int, report: Report) -> None:
        self._cache, self._found, self._size, self._report = cache, found, size, report
        self._row = size * size * 3
        stem = cache / f"pictures-{size}-{_fingerprint(found, size)}"
        self._rows, self._index, self._part, self._state = map(stem.with_suffix, (".npy", ".json", ".part", ".state"))

    def reuse(self) -> tuple[NDArray[np.uint8], list[Skipped]] | None:
        """Return the rows that an earlier call has made, and what it skipped; None if it is to be made."""
        if not self._index.exists():
            return None
        progress = self._read(self._index)
        try:
            rows = np.load(self._rows, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            rows = np.empty(0)
        looked_at, kept = progress.reached
        if looked_at != len(self._found) or rows.dtype != np.uint8 or rows.shape != self._shape(kept):
            self._report(f"the prepared pictures in {self._cache} are damaged; they are read again")
            return None
        self._report(f"{kept:,} pictures of {self._size} x {self._size} pixels were prepared before, in {self._rows}")
        return rows, progress.skipped

    def make(self) -> tuple[NDArray[np.uint8], list[Skipped]]:
        """Read all pictures, or those that a stopped call has left. Raises ClipgenError if the disk is full."""
        ours = re.compile(rf"pictures-{self._size}-[0-9a-f]{{16}}\.(npy|json|part|state)")
        old = [each for each in self._cache.iterdir() if ours.fullmatch(each.name) and each.stem != self._rows.stem]
        if any(path.suffix == ".json" for path in old):
            self._report(
                f"what {self._cache} holds was prepared from other pictures, captions or settings; reading again"
            )
        try:
            progress = self._write()
            publish(self._part, self._rows)
            self._save(self._index, progress)
            for path in [*old, *partials(self._state), *partials(self._index), self._state]:
                path.unlink(missing_ok=True)
            return np.load(self._rows, mmap_mode="r", allow_pickle=False), progress.skipped
        except OSError as error:
            raise _unwritten(self._cache, error) from error

    def _shape(self, count: int) -> tuple[int, ...]:
        return (count, self._size, self._size, 3)

    def _header(self, count: int) -> bytes:
        """Return the HEADER bytes at the start of an .npy file (format 1.0)."""
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {self._shape(count)}, }}"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", HEADER - 10) + text.ljust(HEADER - 11).encode() + b"\n"

    def _write(self) -> _Progress:
        """Write the rows to the part: appended, as a full disk ends a process that writes by way of a map."""
        progress = self._read(self._state)
        size = self._part.stat().st_size if self._part.exists() else 0
        if size < HEADER + progress.reached[1] * self._row:
            progress = _Progress()
        self._check_space(len(self._found) - progress.reached[0])
        with self._part.open("r+b" if size else "wb") as file:
            file.write(self._header(0))
            file.seek(file.truncate(HEADER + progress.reached[1] * self._row))
            if progress.reached[0]:
                self._report(f"{progress.reached[0]:,} of {len(self._found):,} pictures were read before; going on")
            try:
                self._append(file, progress)
            finally:
                with contextlib.suppress(OSError):  # what has stopped it is more worth saying
                    self._note(file, progress)
            file.seek(0)
            file.write(self._header(progress.reached[1]))
        return progress

    def _check_space(self, left: int) -> None:
        needed, free = left * self._row, shutil.disk_usage(self._cache).free
        if needed > free:
            raise ClipgenError(
                f"the prepared pictures need {readable_bytes(needed)} in {self._cache}, where only "
                f"{readable_bytes(free)} are free; free space there or name another folder"
            )

    def _append(self, file: BinaryIO, progress: _Progress) -> None:
        begun = spoken = time.monotonic()
        first, total = progress.reached[0], len(self._found)
        for place in range(first, total):
            kept = progress.reached[1]
            try:
                file.write(_square(self._found[place], self._size))
                kept += 1
            except UsageError as error:
                progress.skipped.append((place, str(error).removeprefix(f"{FLAG} {self._found[place].name!r} ")))
            progress.reached = (place + 1, kept)
            if (now := time.monotonic()) - spoken >= SECONDS:
                spoken = now
                left = readable_time((now - begun) / (place + 1 - first) * (total - place - 1))
                skipped = f", {len(progress.skipped):,} skipped" if progress.skipped else ""
                self._report(f"read {place + 1:,} of {total:,} pictures{skipped}, {left} left")
                self._note(file, progress)

    def _note(self, file: BinaryIO, progress: _Progress) -> None:
        """Note how far it is, after what was read is on the disk."""
        file.flush()
        os.fsync(file.fileno())
        self._save(self._state, progress)

    def _save(self, path: Path, progress: _Progress) -> None:
        looked_at, kept = progress.reached
        value = {"looked at": looked_at, "kept": kept, "skipped": progress.skipped[: looked_at - kept]}
        with replacing(path) as partial:
            partial.write_text(json.dumps(value), encoding="utf-8")

    def _read(self, path: Path) -> _Progress:
        """Return what `_save` wrote; nothing done, if it cannot be read or makes no sense."""
        try:
            value = json.loads(read_regular(path, MAX_INDEX))
            looked_at, kept = int(value["looked at"]), int(value["kept"])
            skipped = [(int(place), str(reason)) for place, reason in value["skipped"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return _Progress()
        places = {place for place, _ in skipped}
        if not (0 <= kept <= looked_at <= len(self._found) and places <= set(range(looked_at))):
            return _Progress()
        return _Progress((looked_at, kept), skipped) if len(places) == looked_at - kept else _Progress()


def _square(picture: Captioned, size: int) -> bytes:
    """Return size * size * 3 bytes: the centre of a picture. Raises UsageError if it cannot be read."""
    return ImageOps.fit(picture.open(), (size, size), Image.Resampling.LANCZOS).tobytes()

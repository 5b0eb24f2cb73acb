"""The folder of downloaded weights, where no file has its name before its hash is checked.

The record "vqgan/imagenet-f16-16384" has a folder of that name in it, with these files:

    last.ckpt             the file
    last.ckpt.sha256      the hash that was checked, as `sha256sum` writes it
    last.ckpt.part        the part of a download that has arrived
    last.ckpt.part.json   where that part came from
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.util.files import partials, publish, replacing
from clipgen.util.text import quoted, readable_bytes
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.records import Record, describe_size

VARIABLE = "CLIPGEN_CACHE"
PART, ORIGIN, DIGEST = ".part", ".part.json", ".sha256"
UNPACKED = ".unpacked"
"""Ends the name of what is unpacked from a zip archive, and deleted after use."""
NETWORK = "network.safetensors"
"""The file with a converted network, see `clipgen.weights.registry`."""
SPARE = 50 * 10**6
"""Bytes of the disk that are left free."""


def cache_folder() -> Path:
    """Return the folder that the environment variable CLIPGEN_CACHE names, or else one among the system's caches.

    Raises UsageError if it names the home of an unknown user.
    """
    named = os.environ.get(VARIABLE)
    try:
        return Path(named).expanduser().absolute() if named else Path(user_cache_dir("clipgen")) / "weights"
    except RuntimeError as error:
        raise UsageError(f"{VARIABLE}={quoted(named)}: there is no such home folder; write the path in full") from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """The downloaded weights in a folder, which need not exist yet; by default that of `cache_folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def path(self, record: Record) -> Path:
        """Return the path of a record's file, which need not exist yet."""
        return self.folder / record.name / record.file

    def part(self, record: Record) -> Path:
        """Return the path of the part of a download that has arrived."""
        return beside(self.path(record), PART)

    def has(self, record: Record) -> bool:
        """Tell whether the file is here, of the right size, and had the right hash when it came; does not read it."""
        path = self.path(record)
        if not path.is_file() or (record.size is not None and path.stat().st_size != record.size):
            return False
        return read_digest(path) is not None and read_digest(path) == self.expected_sha256(record)

    def find(self, record: Record, because: str = "") -> Path:
        """Return the path of the file. Raises WeightsMissingError, with the command that gets it, if it is not here.

        because: what that message says of the reason, with a comma before it.
        """
        if self.has(record):
            return self.path(record)
        trust = "" if self.expected_sha256(record) else " --trust-on-first-use"
        raise WeightsMissingError(
            f"the weights {record.network} are not here: the file {record.file}, {describe_size(record)}{because}; "
            f"get it with: clipgen models pull {record.network}{trust}"
        )

    def expected_sha256(self, record: Record) -> str | None:
        """Return the hash that the file must have: the published one, or else the one it had when first trusted."""
        return record.sha256 or read_digest(self.path(record))

    def check_trust(self, record: Record, trust_on_first_use: bool) -> None:
        """Raise UsageError for a file without a known hash, unless the user trusts it on first use."""
        if not (trust_on_first_use or self.expected_sha256(record)):
            raise UsageError(
                f"no sha256 of {record.name} is published: --trust-on-first-use takes what comes, and holds the file "
                "to that ever after"
            )

    def lock(self, record: Record) -> FileLock:
        """Return the lock that a process must hold to write the file; the system frees it when the process ends."""
        with self.writing():
            self.path(record).parent.mkdir(parents=True, exist_ok=True)
            # The lock's file is never removed, or a process that waits for it would later share it with nobody.
            locks = self.folder / ".locks"
            locks.mkdir(exist_ok=True)
            return FileLock(locks / f"{record.name.replace('/', '--')}.lock")

    @contextmanager
    def claimed(self, record: Record) -> Iterator[None]:
        """Hold the lock of a record's file. Raises ClipgenError at once if another process holds it."""
        lock = self.lock(record)
        with self.writing():
            try:
                lock.acquire(blocking=False)
            except Timeout as error:
                raise ClipgenError(f"another process is downloading {record.name}; wait for it, or stop it") from error
        try:
            yield
        finally:
            lock.release()

    def check_room(self, record: Record, needed: int) -> None:
        """Raise ClipgenError if the disk has no room for so many more bytes of a record's file."""
        self.check_space(record.name, self.path(record).parent, needed)

    def check_space(self, name: str, folder: Path, needed: int) -> None:
        """Raise ClipgenError, which says what for, if the disk of an existing folder has not so many bytes free."""
        with self.writing():
            free = shutil.disk_usage(folder).free
        if free < needed + SPARE:
            raise ClipgenError(
                f"{name} needs {readable_bytes(needed)} more in {self.folder}, where {readable_bytes(free)} are "
                f"free; make room, or set {VARIABLE} to another folder"
            )

    def install(self, record: Record, partial: Path, digest: str) -> Path:
        """Record the checked hash of a complete file, move it to its name, and return that path."""
        path = self.path(record)
        with self.writing():
            write_digest(path, digest)
            publish(partial, path)
            beside(path, ORIGIN).unlink(missing_ok=True)
        return path

    def add(self, record: Record, file: Path, *, trust_on_first_use: bool = False) -> Path:
        """Copy a user's own copy of a record's file into the cache and return its path there.

        Raises UsageError if the file has another hash than it must, or if none is known and it is not trusted.
        """
        self.check_trust(record, trust_on_first_use)
        self._check_offered(record, file)
        with self.claimed(record):
            part = self.part(record)
            self.check_room(record, file.stat().st_size)
            with self.writing():
                shutil.copyfile(file, part)
            digest = sha256_of(part)  # of the copy, as the file may have changed since it was checked
            if self.expected_sha256(record) not in (None, digest):
                part.unlink()
                raise ClipgenError(f"{file} changed while it was copied; try again")
            return self.install(record, part, digest)

    def damage(self, record: Record) -> str | None:
        """Read the whole file and return what is wrong with it, None if nothing is."""
        path, wanted = self.path(record), self.expected_sha256(record)
        if not path.is_file():
            return "it is not here"
        if wanted is None:
            return "it was never checked"
        found = sha256_of(path)
        return None if found == wanted else f"its sha256 is {found}, not {wanted}"

    def files(self, record: Record, *, forget: bool) -> list[Path]:
        """Return the files that the cache has of a record.

        forget: include the recorded hash of a file without a published one, to trust another file next time.
        """
        spared = None if forget or record.sha256 else beside(self.path(record), DIGEST)
        return [path for path in plain_files(self.path(record).parent) if path != spared]

    def leftovers(self) -> list[Path]:
        """Return the remains of interrupted downloads, and the files of records that the catalogue no longer has.

        Only files with a hash that clipgen recorded are among the latter: the folder may hold a user's own.
        """
        found: list[Path] = []
        for record in RECORDS.values():
            path = self.path(record)
            parts = [part for part in (beside(path, each) for each in (PART, ORIGIN, UNPACKED)) if part.is_file()]
            if parts and not self._is_busy(record):
                found += parts
        known = {self.path(record) for record in RECORDS.values()}
        found += [part for folder in self.folder.glob("*/*") for part in partials(folder / NETWORK)]
        for digest in sorted(self.folder.glob(f"*/*/*{DIGEST}")):
            path = digest.with_name(digest.name.removesuffix(DIGEST))
            if path not in known and path.name != NETWORK and read_digest(path):
                family = (path, digest, beside(path, PART), beside(path, ORIGIN))
                found += [one for one in family if one.is_file()]
        return found

    def delete(self, paths: Iterable[Path]) -> None:
        """Remove files, and the folders that are empty then."""
        with self.writing():
            for path in paths:
                path.unlink(missing_ok=True)
                for folder in (path.parent, path.parent.parent):
                    with suppress(OSError):
                        folder.rmdir()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError into a ClipgenError that says what to do."""
        try:
            yield
        except OSError as error:
            raise ClipgenError(
                f"{self.folder} cannot be written ({error.strerror or error}); what has arrived is kept: make room, "
                f"or set {VARIABLE} to another folder"
            ) from error

    def _check_offered(self, record: Record, file: Path) -> None:
        try:
            if not file.is_file():
                raise UsageError(f"{file} is no file; name the {record.file} that you have")
            size, found = file.stat().st_size, sha256_of(file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{file} cannot be read ({reason}); check the path") from error
        wanted = self.expected_sha256(record)
        if wanted not in (None, found):
            known = "" if record.size in (None, size) else f" ({size} bytes, not {record.size})"
            raise UsageError(f"{file} is not {record.name}{known}: its sha256 is {found}, not {wanted}")

    def _is_busy(self, record: Record) -> bool:
        try:
            with self.claimed(record):
                return False
        except ClipgenError:
            return True


def beside(path: Path, suffix: str) -> Path:
    """Return the path next to another whose name has a suffix more."""
    return path.with_name(path.name + suffix)


def plain_files(folder: Path) -> list[Path]:
    """Return the files and links in a folder, sorted."""
    return sorted(path for path in folder.glob("*") if path.is_file() or path.is_symlink())


def read_digest(path: Path) -> str | None:
    """Return the hash that is recorded next to a file; None if none is, or it cannot be read."""
    try:
        text = beside(path, DIGEST).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    found = re.match(r"[0-9a-f]{64}(?=\s)", text)
    return found and found.group()


def write_digest(path: Path, digest: str) -> None:
    """Record the hash of a file next to it, as `sha256sum` writes it."""
    target = beside(path, DIGEST)
    with replacing(target) as partial:
        partial.write_text(f"{digest}  {path.name}\n", encoding="utf-8")

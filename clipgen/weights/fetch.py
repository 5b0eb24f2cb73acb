"""Downloads of weights: from the first mirror that has the file, resumed after an interruption, checked by their hash.

Whatever a server does, a file gets its name only with the right content; otherwise one error says what was wrong with
each mirror. What has arrived stays as `<file>.part`. If the hash of the file is known, any mirror may continue that,
for the hash shows whether the parts belong together. If not, only the address that it came from may, and only as long
as it still has the same file (If-Range: RFC 9110, section 13.1.5).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from filelock import BaseFileLock, Timeout

from clipgen.errors import ClipgenError
from clipgen.weights.cache import Cache, sha256_of
from clipgen.weights.partial_file import PartialFile
from clipgen.weights.patience import TimedResponse
from clipgen.weights.records import Record
from clipgen.weights.transport import (
    MirrorError,
    RestartError,
    TemporaryError,
    TransferError,
    Transport,
    UnreachableError,
)

CHUNK = 1 << 20
"""Bytes that are read at a time."""
MAX_BYTES = 50 * 10**9
"""The largest file that is accepted where the size is not known."""
CRAWL_BYTES = 20_000
"""A body must bring so many in `Fetcher.crawl_seconds`; a modem did."""
PROGRESS_BYTES = 10**6
"""An attempt that brings so many more bytes counts as progress: the count of failures begins again."""
LOCK_SECONDS = 0.05
"""How often a process that waits for another's download looks whether that is over."""

Progress = Callable[[int, int | None], None]
"""Takes the number of bytes that are here, and that of the whole file if it is known."""


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE, the variable of Hugging Face's tools, forbids downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class Fetcher:
    """Downloads files into a cache.

    offline: download nothing; HF_HUB_OFFLINE does the same.
    stall_seconds: how long a server may send nothing. head_seconds: how long the head of an answer may take.
    crawl_seconds: how long a body may take for each `CRAWL_BYTES`.
    pause_seconds: before the first retry, and doubled before each further one.
    retries: how often a mirror is asked again in a row without progress.
    allow_http_to: hosts that may be asked without TLS; for tests.
    note: takes lines on what is going on.
    pause: waits for so many seconds; it ends the download by raising an error, as `note` and a progress may.
    """

    cache: Cache = field(default_factory=Cache)
    offline: bool = False
    stall_seconds: float = 30.0
    head_seconds: float = 60.0
    crawl_seconds: float = 60.0
    pause_seconds: float = 1.0
    retries: int = 4
    allow_http_to: tuple[str, ...] = ()
    note: Callable[[str], None] = lambda _line: None
    pause: Callable[[float], object] = time.sleep

    @property
    def is_offline(self) -> bool:
        """Whether nothing is to be downloaded."""
        return self.offline or is_offline()

    def fetch(self, record: Record, progress: Progress | None = None, *, trust_on_first_use: bool = False) -> Path:
        """Return the path of a record's file, and download it first if it is not in the cache.

        trust_on_first_use: accept a file without a published hash, and check later copies by the hash it has then.
        Raises WeightsMissingError when offline, UsageError for a file with neither hash nor trust, and ClipgenError if
        no mirror gives the file.
        """
        if self.cache.has(record):
            return self.cache.path(record)
        if self.is_offline:
            return self.cache.find(record, ", and downloads are switched off by --offline or HF_HUB_OFFLINE")
        self.cache.check_trust(record, trust_on_first_use)
        lock = self._locked(record)
        try:
            if self.cache.has(record):
                return self.cache.path(record)
            return _Download(self, record, progress or (lambda _done, _total: None)).run()
        finally:
            lock.release()

    def _locked(self, record: Record) -> BaseFileLock:
        """Return the lock of a record's file once this process holds it."""
        lock, waits = self.cache.lock(record), False
        while True:
            with self.cache.writing(), suppress(Timeout):
                lock.acquire(blocking=False)
                return lock
            if not waits:
                self.note(f"another process is downloading {record.name}: waiting for it")
            waits = True
            self.pause(LOCK_SECONDS)


class _Download:
    """One download, by the process that holds the lock of the file."""

    def __init__(self, fetcher: Fetcher, record: Record, progress: Progress) -> None:
        self._fetcher, self._cache, self._record, self._progress = fetcher, fetcher.cache, record, progress
        self._transport = Transport(fetcher.stall_seconds, fetcher.head_seconds, fetcher.allow_http_to)
        self._part = PartialFile(self._cache.path(record))
        self._wanted = self._cache.expected_sha256(record)

    def run(self) -> Path:
        """Try one mirror after the other, and return the path of the file."""
        name, reasons, offline = self._record.name, [], True
        for address in self._record.mirrors:
            host = urlsplit(address).hostname
            try:
                return self._ask(address, f"{host}: ")
            except TransferError as error:
                reasons.append(f"{host}: {error}")
                offline = offline and isinstance(error.__cause__, UnreachableError)
                self._fetcher.note(reasons[-1])
        if offline:
            hint = f", and no server that has it can be reached (one that you have: clipgen models add {name} FILE)"
            return self._cache.find(self._record, hint)
        anew = (
            "" if self._record.sha256 or not self._wanted else f"; to trust it anew: clipgen models rm {name} --forget"
        )
        raise ClipgenError(
            f"{name} could not be downloaded: {'; '.join(reasons)}; try later, or get {self._record.file} elsewhere "
            f"and type: clipgen models add {name} FILE{anew}"
        )

    def _ask(self, address: str, label: str) -> Path:
        """Ask one mirror until the file is here. Raises MirrorError when it has failed too often.

        label: of the mirror, for notes.
        """
        failures, restarts, first = 0, 0, self._part.size
        best = first
        while True:
            try:
                if not self._is_complete():
                    self._transfer(address)
                return self._accept()
            except RestartError as error:
                restarts += 1
                with self._cache.writing():
                    self._part.discard()
                if restarts > 1:
                    raise MirrorError(str(error)) from error
                self._fetcher.note(f"{label}{error}: starting over")
            except TemporaryError as error:
                failures = 0 if self._part.size >= best + PROGRESS_BYTES else failures + 1
                best = max(best, self._part.size)
                if failures > self._fetcher.retries or (isinstance(error, UnreachableError) and best == first):
                    raise MirrorError(str(error)) from error
                pause = self._fetcher.pause_seconds * 2 ** max(failures - 1, 0)
                self._fetcher.note(f"{label}{error}: trying again in {pause:g} s")
                self._fetcher.pause(pause)

    def _is_complete(self) -> bool:
        """Tell whether all bytes are here already: an earlier run ended before it checked them."""
        return self._record.size is not None and self._part.size == self._record.size

    def _transfer(self, address: str) -> None:
        """Receive all that is missing in one response."""
        have, size = self._part.size, self._record.size
        validator = None if self._wanted else self._part.validator(address)
        headers = {}
        if have and (size is None or have < size) and (self._wanted or validator):
            headers = {"Range": f"bytes={have}-", **({"If-Range": validator} if validator else {})}
        with self._transport.get(address, headers) as response:
            start, total = _read_head(response, have if headers else 0, size, _most(self._record))
            if not (total or self._wanted or response.chunked):  # a broken connection would look like the end
                raise MirrorError("it does not say how long the file is")
            offered = _read_validator(response)
            with self._cache.writing():
                if start == 0:
                    self._part.begin(address, offered)
                elif validator and offered != validator:
                    raise RestartError("it has another file now")
                else:
                    self._part.is_joined = True
            self._cache.check_room(self._record, (total or start) - start)
            self._receive(response, start, total)

    def _receive(self, response: TimedResponse, start: int, total: int | None) -> None:
        """Append the body of a response, which begins at byte `start` of a file of `total`."""
        done, limit = start, total or _most(self._record)
        self._progress(done, total)
        pace = _Pace(self._fetcher.crawl_seconds)
        while chunk := self._transport.read(response, CHUNK):
            if done == 0 and _is_web_page(chunk):
                raise MirrorError("it sends a web page")
            done += len(chunk)
            with self._cache.writing():
                if done > limit:
                    self._part.discard()
                    raise MirrorError(f"it sends more than {limit} bytes")
                self._cache.check_room(self._record, len(chunk))
                self._part.append(chunk)
            pace.check(done - start)
            self._progress(done, total)
        if done < (total or 1):
            raise TemporaryError(f"it broke off after {done} of {total or 'unknown'} bytes")

    def _accept(self) -> Path:
        """Check the hash, and give the file its name or discard it."""
        with self._cache.writing():
            found = sha256_of(self._part.path)
        if self._wanted not in (None, found):
            is_joined = self._part.is_joined
            with self._cache.writing():
                self._part.discard()
            raise (RestartError if is_joined else MirrorError)(f"its sha256 is {found}, not {self._wanted}")
        return self._cache.install(self._record, self._part.path, found)


class _Pace:
    """How fast a body comes. Raises TemporaryError where a server sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._since, self._done = seconds, time.monotonic(), 0

    def check(self, done: int) -> None:
        """Take the number of bytes so far."""
        if done - self._done >= CRAWL_BYTES:
            self._since, self._done = time.monotonic(), done
        elif time.monotonic() - self._since > self._seconds:
            raise TemporaryError(f"it sent only {done - self._done} bytes in {self._seconds:g} s")


def _most(record: Record) -> int:
    """Return the most bytes that the file of a record may have whose size is not known exactly."""
    return MAX_BYTES if record.megabytes is None else 2 * record.megabytes * 10**6


def _read_head(response: HTTPResponse, have: int, size: int | None, most: int) -> tuple[int, int | None]:
    """Return the byte at which a response begins, and the size of the whole file.

    have: the first byte that was asked for. size: what the file must have, if known. most: what it may have, if not.
    Raises TransferError for a response to something else.
    """
    if response.status == 200:
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise MirrorError("it sends a web page")
        start, total = 0, response.length
    else:
        start, total = _read_range(response, have)
    if size is not None and total not in (None, size):
        raise MirrorError(f"it offers {total} bytes, not {size}")
    if total is not None and size is None and total > most:
        raise MirrorError(f"it offers {total} bytes, more than any file of weights has")
    return start, size if total is None else total


def _read_range(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Read the header Content-Range (RFC 9110, section 14.4): the first byte, and the size of the file if given."""
    if not have:
        raise MirrorError(f"it answers {response.status} where the whole file was asked for")
    if response.status == 416:
        raise RestartError(f"it has nothing beyond the {have} bytes that are here")
    header = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", header.strip())
    if not found or int(found[1]) != have:
        raise RestartError(f"it sends the range '{header}' where the bytes from {have} on were asked for")
    length, total = int(found[2]) + 1 - have, None if found[3] == "*" else int(found[3])
    if response.length not in (None, length) or (total is not None and have + length > total):
        raise RestartError(f"it sends the range '{header}' in {response.length} bytes")
    return have, total


def _read_validator(response: HTTPResponse) -> str | None:
    """Return the ETag of a file if it is a strong one, or else its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _is_web_page(chunk: bytes) -> bool:
    """Tell whether a file begins like HTML or XML, as no format of weights does."""
    return chunk[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))

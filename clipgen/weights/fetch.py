"""Downloads: from the first mirror that gives the file, going on where an earlier run was stopped, checked by its hash.

Whatever a server does, the file gets its name only with the right content; else one error names every mirror and what
was wrong with it. What has arrived stays as `<file>.part`. Where the hash is known, any mirror may continue it, as the
hash shows whether the parts belong together; else only the address that it came from, if it says that it still has
the same file (RFC 9110, section 13.1.5).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from filelock import Timeout

from clipgen.errors import ClipgenError
from clipgen.weights.cache import ORIGIN, PART, Cache, sha256_of
from clipgen.weights.records import Record
from clipgen.weights.transport import Passing, Refusal, Spoiled, Transport, Trouble, Unreachable

CHUNK = 1 << 20
MAX_BYTES = 50 * 10**9
"""Above this no answer is believed, where the size of the file is not known."""
STRIDE = 10**6
"""So many more bytes than ever before are progress, and patience begins anew."""

Progress = Callable[[int, int | None], None]
"""Takes how many bytes are here, and how many there will be, if that is known."""


def is_offline() -> bool:
    """Tell whether the environment forbids downloads, by the variable that Hugging Face's tools know."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class Fetcher:
    """Brings files into a cache.

    offline: only what is in the cache.
    stall_seconds: how long a server may send nothing.
    pause_seconds: before the first repetition; doubled before each further one, of which there are `retries`.
    allow_http_to: hosts that may be asked without TLS; for tests.
    note: takes a line on what is going on.
    """

    cache: Cache = field(default_factory=Cache)
    offline: bool = False
    stall_seconds: float = 30.0
    pause_seconds: float = 1.0
    retries: int = 4
    allow_http_to: tuple[str, ...] = ()
    note: Callable[[str], None] = lambda _line: None

    def fetch(self, record: Record, progress: Progress | None = None, *, trust_on_first_use: bool = False) -> Path:
        """Return the path of the file, downloaded if it is not here.

        trust_on_first_use: take a file of which no hash is published, and hold it to the hash that it has then.
        Raises WeightsMissingError when offline, UsageError without a hash or trust, else ClipgenError.
        """
        if self.cache.has(record):
            return self.cache.path(record)
        if self.offline or is_offline():
            return self.cache.find(record, ", and downloads are switched off by --offline or HF_HUB_OFFLINE")
        self.cache.check_trust(record, trust_on_first_use)
        lock = self.cache.lock(record)
        with self.cache.writing():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self.note(f"another process is downloading {record.name}: waiting for it")
                lock.acquire()
        try:
            if self.cache.has(record):
                return self.cache.path(record)
            return _Download(self, record, progress or (lambda _done, _total: None)).run()
        finally:
            lock.release()


class _Part:
    """What has arrived of a file, and from where."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + PART)
        self._origin = target.with_name(target.name + ORIGIN)
        self.continued = self.size > 0
        """Whether it was put together from more than one answer."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, address: str) -> str | None:
        """Return by what the address can tell whether it still has the same file, if what is here came from it."""
        try:
            origin = json.loads(self._origin.read_text(encoding="utf-8"))
            found = origin["validator"] if origin["address"] == address else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) else None

    def begin(self, address: str, validator: str | None) -> None:
        """Start over; the old bytes go first, so that they never pass for some of another origin."""
        self.path.write_bytes(b"")
        self._origin.write_text(json.dumps({"address": address, "validator": validator}), encoding="utf-8")
        self.continued = False

    def append(self, chunk: bytes) -> None:
        """Add some bytes; they are safe from a kill of this process afterwards."""
        with self.path.open("ab") as file:
            file.write(chunk)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._origin.unlink(missing_ok=True)
        self.continued = False


class _Download:
    """The download of one file, by the process that holds its lock."""

    def __init__(self, fetcher: Fetcher, record: Record, progress: Progress) -> None:
        self._fetcher, self._cache, self._record, self._progress = fetcher, fetcher.cache, record, progress
        self._transport = Transport(fetcher.stall_seconds, fetcher.allow_http_to)
        self._part = _Part(self._cache.path(record))
        self._wanted = self._cache.wanted(record)

    def run(self) -> Path:
        """Try one mirror after the other."""
        name, reasons, offline = self._record.name, [], True
        for address in self._record.mirrors:
            host = urlsplit(address).hostname
            try:
                return self._ask(address, f"{host}: ")
            except Trouble as trouble:
                reasons.append(f"{host}: {trouble}")
                offline = offline and isinstance(trouble.__cause__, Unreachable)
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
        """Ask one mirror until it has given the file, or the patience with it ends in a Refusal."""
        failures, restarts, first = 0, 0, self._part.size
        best = first
        while True:
            try:
                if not self._is_complete():
                    self._transfer(address)
                return self._accept()
            except Spoiled as trouble:
                restarts += 1
                with self._cache.writing():
                    self._part.discard()
                if restarts > 1:
                    raise Refusal(str(trouble)) from trouble
                self._fetcher.note(f"{label}{trouble}: starting over")
            except Passing as trouble:
                failures = 0 if self._part.size >= best + STRIDE else failures + 1
                best = max(best, self._part.size)
                if failures > self._fetcher.retries or (isinstance(trouble, Unreachable) and best == first):
                    raise Refusal(str(trouble)) from trouble
                pause = self._fetcher.pause_seconds * 2 ** max(failures - 1, 0)
                self._fetcher.note(f"{label}{trouble}: trying again in {pause:g} s")
                time.sleep(pause)

    def _is_complete(self) -> bool:
        """Tell whether an earlier run was stopped between the last byte and the check."""
        return self._record.size is not None and self._part.size == self._record.size

    def _transfer(self, address: str) -> None:
        """Bring all that is missing, in one answer."""
        have, size = self._part.size, self._record.size
        validator = None if self._wanted else self._part.validator(address)
        headers = {}
        if have and (size is None or have < size) and (self._wanted or validator):
            headers = {"Range": f"bytes={have}-", **({"If-Range": validator} if validator else {})}
        with self._transport.get(address, headers) as response:
            start, total = _read_head(response, have if headers else 0, size)
            if not (total or self._wanted or response.chunked):  # then nothing tells the end from a broken connection
                raise Refusal("it does not say how long the file is")
            offered = _read_validator(response)
            with self._cache.writing():
                if start == 0:
                    self._part.begin(address, offered)
                elif validator and offered != validator:
                    raise Spoiled("it has another file now")
                else:
                    self._part.continued = True
            self._cache.check_room(self._record, (total or start) - start)
            self._receive(response, start, total)

    def _receive(self, response: HTTPResponse, start: int, total: int | None) -> None:
        """Append what comes to what is here."""
        done, limit = start, total or MAX_BYTES
        self._progress(done, total)
        while chunk := self._transport.read(response, CHUNK):
            if done == 0 and _is_web_page(chunk):
                raise Refusal("it sends a web page")
            done += len(chunk)
            with self._cache.writing():
                if done > limit:
                    self._part.discard()
                    raise Refusal(f"it sends more than {limit} bytes")
                self._part.append(chunk)
            self._progress(done, total)
        if done < (total or 1):
            raise Passing(f"it broke off after {done} of {total or 'unknown'} bytes")

    def _accept(self) -> Path:
        """Check the hash and give the file its name; what is wrong is thrown away."""
        with self._cache.writing():
            found = sha256_of(self._part.path)
        if self._wanted not in (None, found):
            continued = self._part.continued
            with self._cache.writing():
                self._part.discard()
            raise (Spoiled if continued else Refusal)(f"its sha256 is {found}, not {self._wanted}")
        return self._cache.install(self._record, self._part.path, found)


def _read_head(response: HTTPResponse, have: int, size: int | None) -> tuple[int, int | None]:
    """Return at which byte an answer begins and how many the file has; Trouble if it is not what was asked for."""
    if response.status == 200:
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise Refusal("it sends a web page")
        start, total = 0, response.length
    else:
        start, total = _read_range(response, have)
    if size is not None and total not in (None, size):
        raise Refusal(f"it offers {total} bytes, not {size}")
    if total is not None and total > MAX_BYTES:
        raise Refusal(f"it offers {total} bytes, more than any file of weights has")
    return start, size if total is None else total


def _read_range(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Read the header Content-Range, as RFC 9110, section 14.4, defines it."""
    if not have:
        raise Refusal(f"it answers {response.status} where the whole file was asked for")
    if response.status == 416:
        raise Spoiled(f"it has nothing beyond the {have} bytes that are here")
    header = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", header.strip())
    if not found or int(found[1]) != have:
        raise Spoiled(f"it sends the range '{header}' where the bytes from {have} on were asked for")
    length, total = int(found[2]) + 1 - have, None if found[3] == "*" else int(found[3])
    if response.length not in (None, length) or (total is not None and have + length > total):
        raise Spoiled(f"it sends the range '{header}' in {response.length} bytes")
    return have, total


def _read_validator(response: HTTPResponse) -> str | None:
    """Return the strong ETag of a file, or else its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _is_web_page(chunk: bytes) -> bool:
    """Tell by the first bytes; no format of weights begins so."""
    return chunk[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))

"""Downloads of weights that somebody has asked for on the page: one at a time, in a thread that no job waits for.

What has arrived stays when a download is stopped or the server ends, and the next one goes on from there. Torch-free.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clipgen.web.failures import ConflictError, attempt
from clipgen.web.needs import OFFLINE, Need, bytes_left, command_for, need_of
from clipgen.web.watching import SECONDS, Hub
from clipgen.weights.cache import Cache
from clipgen.weights.fetch import Fetcher, is_offline
from clipgen.weights.pulling import pull_any
from clipgen.weights.records import Record, bytes_of

KIND = "weights"
"""Of the events that tell of a download."""
RUNNING, STOPPING, STOPPED, DONE, FAILED = "running", "stopping", "stopped", "done", "failed"
STATES = (RUNNING, STOPPING, STOPPED, DONE, FAILED)
LAST_SECONDS = 5.0
"""How long the end of the server waits for a download to stop; one that hears nothing from its mirror takes longer."""


class _StopError(Exception):
    """Ends a download that was asked to stop; no ClipgenError, as those have the next mirror tried."""


class Download:
    """One download of all that a preset lacks, and how far it is."""

    def __init__(self, need: Need, tell: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """tell: tells the watchers of it."""
        self.preset, self.state, self.error, self.note = need.preset, RUNNING, "", ""
        self.records: Sequence[Record] = need.files
        self._tell, self._clock, self._due = tell, clock, 0.0
        self._asked, self._lock = threading.Event(), threading.Lock()
        self._is_whole = False
        cache = Cache()
        self._sizes = [bytes_of(record) for record in need.files]
        self._here = [bytes_of(record) - bytes_left(record, cache) for record in need.files]
        self._number, self._file = 0, need.files[0]

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.state in (RUNNING, STOPPING)

    def run(self, make_fetcher: Callable[..., Fetcher]) -> None:
        """Download one file after the other."""
        self._tell()
        error = attempt(partial(self._pull, make_fetcher))
        with self._lock:
            self.error, self.note = error or "", ""
            self.state = FAILED if error else DONE if self._is_whole else STOPPED
        self._tell()

    def _pull(self, make_fetcher: Callable[..., Fetcher]) -> None:
        fetcher = make_fetcher(Cache(), note=self._take_note, pause=self._pause)

        def pull(form: Record) -> Path:
            self._file, self._sizes[self._number] = form, bytes_of(form)
            return fetcher.fetch(form, self._progress)

        try:
            for number, record in enumerate(self.records):
                self._number = number
                self._pause(0)
                pull_any(fetcher, record, pull)
                self._here[number] = self._sizes[number]
            self._is_whole = True  # even if it was asked to stop after the last byte
        except _StopError:
            pass

    def stop(self) -> None:
        """Have it stop as soon as it hears of that."""
        with self._lock:
            if self.state != RUNNING:
                return
            self.state = STOPPING
        self._asked.set()
        self._tell()

    def _pause(self, seconds: float) -> None:
        if self._asked.wait(seconds):
            raise _StopError

    def _take_note(self, line: str) -> None:
        self._pause(0)
        self.note = line
        self._tell()

    def _progress(self, done: int, total: int | None) -> None:
        self._pause(0)
        self.note, self._here[self._number] = "", done
        self._sizes[self._number] = total or max(self._sizes[self._number], done)
        if (now := self._clock()) >= self._due or done == total:
            self._due = now + SECONDS
            self._tell()

    def to_dict(self) -> dict[str, Any]:
        """Return what the page shows."""
        return {
            "preset": self.preset,
            "state": self.state,
            "file": self._file.name,
            "number": self._number + 1,
            "count": len(self._sizes),
            "bytes": sum(self._here),
            "total": sum(self._sizes),
            "note": self.note,
            "error": self.error or None,
        }


class Downloads:
    """The download that is running, or was the last.

    make_fetcher: makes what downloads, of a cache and the callbacks `note` and `pause`.
    """

    def __init__(self, hub: Hub, device: str = "auto") -> None:
        """device: the one that preset "auto" is chosen for."""
        self.make_fetcher: Callable[..., Fetcher] = Fetcher
        self._hub, self._device = hub, device
        self._last: Download | None = None
        self._thread: threading.Thread | None = None
        self._lock, self._telling = threading.Lock(), threading.Lock()
        self._is_closed = False

    @property
    def coming(self) -> Sequence[Record]:
        """The files that are being downloaded."""
        return self._last.records if self._last and self._last.is_open else ()

    def describe(self) -> dict[str, Any] | None:
        """Describe the last one; None before the first."""
        return self._last.to_dict() if self._last else None

    def start(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to download what a preset lacks. Raises UsageError, or ConflictError if that cannot be done now."""
        need = need_of(settings, self._device)
        with self._lock:
            _check(need, self._last)
            if need is None or self._is_closed:
                raise ConflictError("this server is about to end; start the download in the next one")
            self._last = download = Download(need, self._tell)
            self._thread = threading.Thread(
                target=download.run, args=[self.make_fetcher], name="clipgen-downloads", daemon=True
            )
            self._thread.start()
        return download.to_dict()

    def stop(self) -> dict[str, Any]:
        """Stop the download; what has arrived is kept. Raises ConflictError if there has been none."""
        if self._last is None:
            raise ConflictError("nothing is being downloaded")
        self._last.stop()
        return self._last.to_dict()

    def close(self) -> None:
        """Stop the download, and begin no other."""
        with self._lock:
            self._is_closed = True
        if self._last:
            self._last.stop()

    def wait(self) -> None:
        """Wait until it has stopped, but not for long: it loses nothing if the process ends before."""
        if self._thread:
            self._thread.join(LAST_SECONDS)

    def _tell(self) -> None:
        with self._telling:  # so that what is told last is the newest
            if self._last:
                self._hub.tell(KIND, "", self._last.to_dict())


def _check(need: Need | None, last: Download | None) -> None:
    """Raise ConflictError unless a download can begin."""
    if need is None:
        raise ConflictError("this preset cannot have these settings; choose others")
    if last and last.is_open:
        raise ConflictError(f"the weights of preset {last.preset} are being downloaded; wait for them, or stop that")
    if not need.records:
        raise ConflictError(f"all that preset {need.preset} needs is on this machine")
    if is_offline():
        raise ConflictError(f"{OFFLINE}; start clipgen web without it")
    if not need.files:
        raise ConflictError(
            f"no sha256 of {need.by_hand[0].name} is published, so only you can trust it; type: "
            f"{command_for(need.by_hand)}"
        )

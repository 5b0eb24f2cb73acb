"""Who watches, and what they are told: events to any number of tabs, and the frame that is newest.

Nobody waits for a tab: what a slow one has not fetched yet is replaced by what is newer. Torch-free.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from clipgen.core.contracts import Outcome, Step

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = 0.25
"""The least time between two frames, and between two reports of a step."""
SILENCE = 15.0
"""Seconds after which a comment shows that the connection still stands."""
MAX_WATCHERS = 100
MAX_SCORES = 500
MAX_SIDE = 768
"""Frames are no larger."""
QUALITY = 85


class Watcher:
    """One tab: the newest event of each kind for each job that it has not been sent yet."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], str] = {}
        self._something = asyncio.Event()
        self._is_over = False

    def tell(self, kind: str, job: str, text: str) -> None:
        """Have an event sent; it replaces the one before of the same kind, and a job that is gone has no others."""
        if kind == "removed":
            self._waiting = {key: value for key, value in self._waiting.items() if key[1] != job}
        self._waiting.pop((kind, job), None)  # so that it is sent after what came before it
        self._waiting[kind, job] = text
        self._something.set()

    def end(self) -> None:
        """End the stream."""
        self._is_over = True
        self._something.set()

    async def stream(self, silence: float = SILENCE) -> AsyncIterator[str]:
        """Yield the text of events as they come (text/event-stream), and a comment after a silence."""
        while not self._is_over:
            try:
                await asyncio.wait_for(self._something.wait(), silence)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            self._something.clear()
            waiting, self._waiting = self._waiting, {}
            for (kind, _), text in waiting.items():
                yield f"event: {kind}\ndata: {text}\n\n"


class Hub:
    """Passes events from any thread to the watchers, who live in the thread of one event loop."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    @property
    def has_room(self) -> bool:
        """Whether one more can watch."""
        return len(self._watchers) < MAX_WATCHERS

    def add(self) -> Watcher:
        """Return a new watcher; called in the event loop."""
        self._loop = asyncio.get_running_loop()
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        self._watchers.discard(watcher)

    def tell(self, kind: str, job: str, event: Mapping[str, Any]) -> None:
        """Tell all watchers, from any thread."""
        if self._watchers and self._loop:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._spread, kind, job, json.dumps(event))

    def close(self) -> None:
        """End all streams; called in the event loop."""
        for watcher in self._watchers:
            watcher.end()

    def _spread(self, kind: str, job: str, text: str) -> None:
        for watcher in self._watchers:
            watcher.tell(kind, job, text)


class Progress:
    """What is known of a run while it goes on; it is the sink of the run.

    A step costs no more than reading the clock. A few times a second its score is read, and the watchers are told; a
    frame is drawn and compressed by whoever asks for it, in their own thread.
    """

    def __init__(self, report: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """report: tells the watchers of a step."""
        self.step = self.total = 0
        self.score: float | None = None
        self.scores: list[tuple[int, float]] = []
        """At most MAX_SCORES, spread over the run."""
        self.frame = 0
        """The version of the newest frame; 0 before the first."""
        self._report, self._clock = report, clock
        self._newest: Step | None = None
        self._due = 0.0
        self._every = 1
        self._drawn: tuple[int, bytes] = (0, b"")
        self._drawing = Lock()

    def on_step(self, step: Step) -> None:
        self._newest, self.step, self.total = step, step.index, step.total
        now = self._clock()
        if now < self._due and step.index not in (0, step.total):
            return
        self._due = now + SECONDS
        self.frame = step.index + 1
        if math.isfinite(score := float(step.score)):
            self.score = score
            self._note(step.index, score)
        self._report()

    def close(self, _outcome: Outcome) -> None:
        """Draw the last frame if somebody has seen others, as the run's tensors are about to go."""
        with suppress(Exception):  # the picture is in its file
            if self._drawn[0] and self._newest:
                self.frame = self._newest.index + 1
                self.jpeg()
        self._newest = None

    def jpeg(self) -> bytes:
        """Return the newest frame as JPEG; empty if there is none."""
        with self._drawing:
            step = self._newest
            if step is not None and self._drawn[0] != self.frame:
                from clipgen.util.images import to_pil

                self._drawn = self.frame, jpeg_of(to_pil(step.image), MAX_SIDE)
            return self._drawn[1]

    def _note(self, index: int, score: float) -> None:
        while self.scores and self.scores[-1][0] >= index:  # a run that goes on from an earlier state
            self.scores.pop()
        if not self.scores or index - self.scores[-1][0] >= self._every:
            self.scores.append((index, round(score, 5)))
        if len(self.scores) > MAX_SCORES:
            self.scores, self._every = self.scores[::2], 2 * self._every


def jpeg_of(image: Image, side: int) -> bytes:
    """Return an RGB image as JPEG, shrunk to `side` pixels at most."""
    import io

    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()

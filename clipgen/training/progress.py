"""What a training says: each phase as it begins, and that it lasts whenever nothing has been said for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str], None]
SECONDS = 8.0
"""Longest silence, short of the ten seconds after which people wonder."""


def silent(_line: str) -> None:
    """Say nothing."""


class Repeating:
    """Says lines, and the last one again, with how long ago it was, when `repeat_if_due` finds that silence lasts."""

    def __init__(self, say: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last = ""
        self._begun = self._spoken = clock()

    def __call__(self, line: str) -> None:
        """Say a line."""
        self._last, self._begun = line, self._clock()
        self._speak(line)

    def repeat_if_due(self) -> None:
        """Say that the last line still holds, if nothing was said for SECONDS."""
        if self._last and self._clock() - self._spoken >= SECONDS:
            self._speak(f"{self._last} ... {self._clock() - self._begun:.0f} s")

    def _speak(self, line: str) -> None:
        self._spoken = self._clock()
        self._say(line)


@contextmanager
def never_silent(say: Report) -> Iterator[Report]:
    """Yield a report that repeats itself, from a thread, while the block lasts."""
    report, over = Repeating(say), threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            report.repeat_if_due()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield report
    finally:
        over.set()
        thread.join()


def counted(report: Report, text: str, clock: Callable[[], float] = time.monotonic) -> Callable[[int], None]:
    """Return what takes a number and reports it in the place of {} in `text`, if the last report is SECONDS ago."""
    spoken = clock()

    def count(number: int) -> None:
        nonlocal spoken
        if clock() - spoken >= SECONDS:
            spoken = clock()
            report(text.format(number))

    return count

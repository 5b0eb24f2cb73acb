"""Ctrl-C and SIGTERM, held back until nothing that they would tear is half-made."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class Stop:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return bool(self.signals)


@contextmanager
def held_back() -> Iterator[Stop]:
    """Only note the first Ctrl-C or SIGTERM that comes inside, and let it act at the end; a second acts at once.

    Left alone are signals that no Python function handles, and all of them outside the main thread.
    """
    stop, handlers = Stop(), _handlers()

    def note(number: int, frame: FrameType | None) -> None:
        stop.signals.append(number)
        if len(stop.signals) > 1:
            handlers[number](number, frame)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(stop.signals) == 1:
            signal.raise_signal(stop.signals[0])


def _handlers() -> dict[int, Handler]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in found.items() if callable(handler)}

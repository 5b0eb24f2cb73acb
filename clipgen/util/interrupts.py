"""Ctrl-C and SIGTERM, deferred while they would leave something half-made."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class Stop:
    """A request to stop, made by a signal or by `ask` from any thread."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self._event = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether a signal has arrived or `ask` was called."""
        return bool(self.signals) or self._event.is_set()

    def ask(self) -> None:
        """Request a stop; the run ends after the current step and keeps its progress."""
        self._event.set()


@contextmanager
def held_back(stop: Stop | None = None) -> Iterator[Stop]:
    """Record the first Ctrl-C or SIGTERM inside the block and let it act at the end; a second one acts at once.

    Signals without a Python handler are left alone, and so are all signals outside the main thread.
    """
    token, handlers = stop or Stop(), _handlers()
    token.signals.clear()

    def note(number: int, frame: FrameType | None) -> None:
        token.signals.append(number)
        if len(token.signals) > 1:
            handlers[number](number, frame)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield token
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(token.signals) == 1:
            signal.raise_signal(token.signals[0])


def _handlers() -> dict[int, Handler]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in found.items() if callable(handler)}

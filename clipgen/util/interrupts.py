"""Ctrl-C and SIGTERM: answered within a second, and deferred while they would leave something half-made."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

Handler = Callable[[int, FrameType | None], Any]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "stopping; Ctrl-C again ends at once"
PATIENCE = 0.5
"""Seconds that a block may take to end by itself before its user is told that it will, or the process is ended."""


class Abandoned(KeyboardInterrupt):
    """Work that can be given up without a loss was given up, as a stop was asked for."""


class Stop:
    """A request to stop, made by a signal or by `ask` from any thread."""

    def __init__(self, also: Stop | None = None) -> None:
        """also: another request, which is one to stop here, too."""
        self.signals: list[int] = []
        self._also = also
        self.promise = STOPPING
        """What the user is told after the first signal."""
        self._event = threading.Event()
        self._abandons = False

    @property
    def asked(self) -> bool:
        """Whether a signal has arrived or `ask` was called."""
        return bool(self.signals) or self._event.is_set() or (self._also is not None and self._also.asked)

    def ask(self) -> None:
        """Request a stop; the run ends after the current step and keeps its progress."""
        self._event.set()

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """Raise Abandoned inside the block as soon as a signal arrives, or at `check` once a stop was asked for."""
        self._abandons = True
        try:
            self.check()
            yield
        finally:
            self._abandons = False

    def check(self) -> None:
        """Raise Abandoned if a stop was asked for and the work at hand can be given up."""
        if self._abandons and self.asked:
            raise Abandoned

    def note(self, number: int) -> None:
        """Record a signal."""
        self.signals.append(number)
        self.check()


_holding: list[Stop] = []
_last_acts: list[Callable[[], object]] = []


@contextmanager
def held_back(stop: Stop | None = None, promise: str = STOPPING) -> Iterator[Stop]:
    """Record the first Ctrl-C or SIGTERM inside the block and let it act at the end; a second one acts at once.

    promise: what the user is told after the first. Signals without a Python handler are left alone, and so are all
    signals outside the main thread.
    """
    token, handlers = stop or Stop(), _handlers()
    token.signals.clear()
    token.promise = promise

    def note(number: int, frame: FrameType | None) -> None:
        if token.signals:
            handlers[number](number, frame)
        token.note(number)

    for number in handlers:
        signal.signal(number, note)
    if handlers:
        _holding.append(token)
    try:
        yield token
    finally:
        if handlers:
            _holding.remove(token)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(token.signals) == 1:
            handlers[token.signals[0]](token.signals[0], None)


@contextmanager
def answered(say: Callable[[str], None]) -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM inside the block, also while the main thread is in one long call.

    After the first, `say` tells the user that the block will end, unless it has; after the second the process ends if
    the block has not. Does nothing outside the main thread.
    """
    if not _handlers():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    over = threading.Event()
    thread = threading.Thread(target=_answer, args=(reader, over, say), daemon=True)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join()
        reader.close()


def _answer(reader: socket.socket, over: threading.Event, say: Callable[[str], None]) -> None:
    """Read the numbers of signals until the other end is closed."""
    count = 0
    while numbers := reader.recv(16):
        for number in set(SIGNALS) & set(numbers):
            count += numbers.count(number)
            if count > 1 and not over.wait(PATIENCE):
                end_at_once(number)
            if count == 1 and (_holding or not over.wait(PATIENCE)):
                _acknowledge(say)


def _acknowledge(say: Callable[[str], None]) -> None:
    token = _holding[-1] if _holding else Stop()
    with suppress(Exception):  # a terminal that is gone harms nothing
        say(token.promise)


@contextmanager
def at_the_latest(act: Callable[[], object]) -> Iterator[None]:
    """Have `end_at_once` call `act` inside the block, which a process that ends so does not leave."""
    _last_acts.append(act)
    try:
        yield
    finally:
        _last_acts.remove(act)


def end_at_once(number: int, _frame: FrameType | None = None) -> NoReturn:
    """End the process with one line and the exit code of a signal; it can be the handler of one."""
    for act in reversed(_last_acts.copy()):
        with suppress(Exception):
            act()
    with suppress(OSError):
        # A live display hides the cursor, and a picture that was cut off would swallow what follows.
        shown = b"\x1b\\\r\x1b[?25h\n" if os.isatty(2) else b""
        os.write(2, shown + b"stopped\n")
    os._exit(128 + number)


def end_at_once_on_signals() -> None:
    """Have Ctrl-C and SIGTERM end the process at once, unless whoever started it wants them ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)


def _handlers() -> dict[int, Handler]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in found.items() if callable(handler)}

"""Standard streams that cannot end a run: whoever reads them may be gone, and the disk behind them may be full."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from stat import S_ISREG
from typing import Any, TextIO, cast


class Forgiving:
    """A text stream, or the bytes below one, that is silent rather than fails while it cannot be written to."""

    def __init__(self, stream: Any, top: Forgiving | None = None) -> None:
        """top: the text stream above, which learns of failures."""
        self._stream = stream
        self._top = top or self
        self.failure: OSError | None = None
        """Why something is missing from what was written, if that matters to anybody: a reader who has gone does not
        miss it."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stream, name)
        return Forgiving(value, self._top) if name == "buffer" else value

    def isatty(self) -> bool:
        with suppress(OSError, ValueError):
            return bool(self._stream.isatty())
        return False

    def write(self, text: Any) -> int:
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def let_go(self) -> None:
        """Discard what cannot be written; otherwise Python tries again at its end, and fails."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def _attempt(self, act: Any, *arguments: object) -> None:
        try:
            act(*arguments)
        except OSError as error:
            if not self._is_unread(error):
                self._top.failure = error
        except ValueError:  # it was closed
            pass

    def _is_unread(self, error: OSError) -> bool:
        """Whether an error means that the pipe or the terminal has lost its reader."""
        if error.errno == errno.EIO:
            with suppress(OSError, ValueError):
                return not S_ISREG(os.fstat(self._stream.fileno()).st_mode)
        return error.errno in (None, errno.EPIPE)


def forgive_standard_streams() -> None:
    """Have stdout and stderr fall silent rather than fail, also at the end of the process.

    A descriptor that whoever started this process has closed leads nowhere from now on: the next file that is opened
    would take its number, and receive what C libraries print there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # which gets the lowest free number, this one
    sys.stdout, sys.stderr = _forgiving(sys.stdout), _forgiving(sys.stderr)


def lost_output() -> OSError | None:
    """Return why results are missing from stdout; None if none are, or nobody reads them."""
    return sys.stdout.failure if isinstance(sys.stdout, Forgiving) else None


def let_go_of_standard_streams() -> None:
    """Discard what stdout and stderr cannot write."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Forgiving):
            stream.let_go()


def _forgiving(stream: TextIO) -> TextIO:
    return cast(TextIO, Forgiving(stream)) if stream is not None else stream

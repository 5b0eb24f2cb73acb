"""Streams and consoles that fall silent, rather than fail, once they cannot be written to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console


class Terminal(Console):
    """A console that does not end the program when nobody reads what it writes."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Forgiving:
    """A stream that falls silent once it cannot be written to: a display that is gone must not end a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        with suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

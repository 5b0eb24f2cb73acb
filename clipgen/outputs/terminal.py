"""What the terminal can show: pictures by a protocol of graphics, or blocks of two colours. Torch-free.

Most of it is known from the environment. A terminal is asked only where the environment names one that always answers,
and where it depends on its settings whether it shows pictures; one that says nothing is not waited for.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

AUTO, BLOCKS, KITTY, ITERM, SIXEL, OFF = "auto", "blocks", "kitty", "iterm", "sixel", "off"
PREVIEWS = (AUTO, BLOCKS, KITTY, ITERM, SIXEL, OFF)
"""How a live picture can be shown."""
ANSWER_SECONDS = 1.0
ATTRIBUTES = b"\x1b[c"
"""Asks for the primary device attributes (DA1), which every terminal since the VT100 answers and none prints."""
SIXEL_ATTRIBUTE = b"4"
CELL = (8, 16)
"""Pixels of a character cell where the terminal does not tell; few, so that no picture covers the lines below."""

_KITTY = ("xterm-kitty", "xterm-ghostty")
_ITERM = ("iTerm.app", "WezTerm", "mintty")
_SIXEL = ("foot", "mlterm", "contour")
_MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")
_ANSWERING = ("XTERM_VERSION", "WT_SESSION", "KONSOLE_VERSION")


def preview_kind(stream: IO[str], asked: str = AUTO, environ: Mapping[str, str] = os.environ) -> str:
    """Return how to show pictures on a terminal: what was asked for or, for AUTO, the best that it can."""
    return asked if asked != AUTO else _best(environ, lambda: has_sixel(stream))


def _best(environ: Mapping[str, str], has_sixel: Callable[[], bool]) -> str:
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if any(environ.get(name) for name in _MULTIPLEXERS) or term.startswith(("screen", "tmux")):
        return BLOCKS  # it passes no graphics on, and redraws over them
    if term in _KITTY:
        return KITTY
    if program in _ITERM or environ.get("LC_TERMINAL") == "iTerm2":
        return ITERM
    if term.startswith(_SIXEL):
        return SIXEL
    may_have_it = program == "vscode" or any(environ.get(name) for name in _ANSWERING)
    return SIXEL if may_have_it and has_sixel() else BLOCKS


def has_sixel(stream: IO[str]) -> bool:
    """Ask the terminal of a stream whether it shows Sixel graphics; False if it does not answer at once.

    It is not asked by a process in the background, which would be stopped, or while something is typed, which would be
    lost. Nothing is echoed meanwhile.
    """
    with suppress(ImportError, OSError, ValueError, AttributeError):  # on Windows, or no terminal
        if os.tcgetpgrp(stream.fileno()) != os.getpgrp():
            return False
        with Path("/dev/tty").open("r+b", buffering=0) as terminal:
            return SIXEL_ATTRIBUTE in _ask(terminal.fileno()).split(b";")[1:]
    return False


def _ask(terminal: int) -> bytes:
    """Return the attributes with which a terminal answers, such as b"62;4;22"; nothing if it does not, or cannot yet.

    Raises OSError.
    """
    import termios

    try:
        before, quiet = termios.tcgetattr(terminal), termios.tcgetattr(terminal)
        quiet[3] &= ~(termios.ICANON | termios.ECHO)
        said, then = b"", termios.TCSADRAIN
        termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
        try:
            if not select.select([terminal], [], [], 0)[0]:
                then = termios.TCSAFLUSH  # which discards an answer that comes late
                said = _answer(terminal)
                then = termios.TCSADRAIN if said else then
        finally:
            termios.tcsetattr(terminal, then, before)
    except termios.error as error:
        raise OSError(*error.args) from error
    return said


def _answer(terminal: int) -> bytes:
    os.write(terminal, ATTRIBUTES)
    deadline, said = time.monotonic() + ANSWER_SECONDS, b""
    while (left := deadline - time.monotonic()) > 0 and select.select([terminal], [], [], left)[0]:
        said += os.read(terminal, 1024)
        if found := re.search(rb"\x1b\[\?([0-9;]*)c", said):
            return found[1]
    return b""


def cell_size(stream: IO[str]) -> tuple[int, int]:
    """Return the width and the height of a character cell in pixels, or CELL if the terminal does not tell."""
    with suppress(ImportError, OSError, ValueError, AttributeError):
        import fcntl
        import struct
        import termios

        size = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, width, height = struct.unpack("HHHH", size)
        if width >= columns > 0 and height >= rows > 0:
            return width // columns, height // rows
    return CELL

"""Programs in a terminal of their own, which answers as it is told, or not at all."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass

_CONTROLLED = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


@dataclass(frozen=True)
class Session:
    """How a program ended, and what it left behind."""

    code: int
    output: str
    left: bytes
    """What the next program in the terminal would read as if it had been typed."""
    is_restored: bool
    """Whether the terminal is as it was."""


def in_terminal(
    program: str,
    environment: Mapping[str, str],
    answers: Mapping[bytes, bytes],
    *,
    typed: bytes = b"",
    delay: float = 0.0,
    size: tuple[int, int] = (80, 24),
) -> Session:
    """Run a program of Python in a terminal that answers once to each of some sequences, after a delay.

    typed: what is typed before the program begins. size: width and height in characters, each of 8 x 16 pixels.
    """
    ours, theirs = pty.openpty()
    width, height = size
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 8 * width, 16 * height))
    before = termios.tcgetattr(theirs)
    os.write(ours, typed)
    command = [sys.executable, "-c", _CONTROLLED + program]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True, **streams) as process:
        shown = _talk(ours, process, dict(answers), delay)
    is_restored = termios.tcgetattr(theirs) == before
    quiet = termios.tcgetattr(theirs)
    quiet[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(theirs, termios.TCSANOW, quiet)
    left = os.read(theirs, 4096) if select.select([theirs], [], [], 0)[0] else b""
    os.close(ours)
    os.close(theirs)
    return Session(process.returncode, shown.decode(), left, is_restored)


def _talk(ours: int, process: "subprocess.Popen[bytes]", answers: dict[bytes, bytes], delay: float) -> bytes:
    """Read all that is shown, and answer, until the program ends."""
    shown = b""
    while True:
        if select.select([ours], [], [], 0.05)[0]:
            shown += os.read(ours, 65536)
        elif process.poll() is not None:
            return shown
        for asked in [each for each in answers if each in shown]:
            time.sleep(delay)
            os.write(ours, answers.pop(asked))

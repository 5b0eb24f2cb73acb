"""Every error that a user can meet, each with the exit code of the command line.

    ClipgenError              1    the run failed
    ├── UsageError            2    a flag, a prompt or an input file is wrong
    ├── WeightsMissingError   3    model weights are not on this machine
    ├── OutOfMemoryError      4    the run does not fit into memory
    ├── DivergedError         5    the optimisation left the finite numbers
    └── Interrupted         130    stopped by the user (143: by SIGTERM), after saving what was reached

A message names the flag, the value and the way out; it is always one printable line, whatever the value holds.
"""

import difflib
from collections.abc import Iterable

from clipgen.util.text import MAX_QUOTED, one_line, quoted

MAX_CHOICES = 20
"""How many choices an error lists."""


class ClipgenError(Exception):
    """Base of all errors that are shown as one line instead of a traceback."""

    exit_code: int = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(ClipgenError):
    """A flag, a prompt or an input file is wrong; nothing has been written."""

    exit_code = 2


class WeightsMissingError(ClipgenError):
    """Model weights are not on this machine."""

    exit_code = 3


class OutOfMemoryError(ClipgenError):
    """The run does not fit into the memory of the device."""

    exit_code = 4


class DivergedError(ClipgenError):
    """The optimisation produced numbers that are not finite."""

    exit_code = 5


class Interrupted(ClipgenError):  # noqa: N818 - it is a request, not a mistake
    """The run was stopped early and what it had reached was handed to the sinks."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Terminated(KeyboardInterrupt):
    """What a SIGTERM handler raises: stops a run as Ctrl-C does, but ends in exit code 143."""


def unknown_value(flag: str, value: object, choices: Iterable[str]) -> UsageError:
    """Make the error for a value outside a list of choices: it names those, as many as fit, and the nearest one."""
    names = sorted(choices)
    near = isinstance(value, str) and len(value) <= MAX_QUOTED
    nearest = difflib.get_close_matches(str(value).lower(), names, n=1, cutoff=0.5) if near else []
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    rest = f" and {len(names) - MAX_CHOICES} more" if len(names) > MAX_CHOICES else ""
    return UsageError(f"{flag} must be one of {', '.join(names[:MAX_CHOICES])}{rest}, got {quoted(value)}{hint}")

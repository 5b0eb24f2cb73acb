"""Errors as users see them: one line on stderr and an exit code; a traceback only with --debug."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import typer

from clipgen.errors import ClipgenError, Interrupted, Terminated
from clipgen.util.interrupts import SIGNALS, answered
from clipgen.util.streams import lost_output
from clipgen.util.text import one_line


def exit_code_of(command: Callable[[], object], *, debug: bool) -> int:
    """Run `command`, report any error, and return the exit code of the process."""
    try:
        result = command()
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        message, code = describe(error)
        say(message if isinstance(error, Interrupted) else f"error: {message}")
        return code
    return (result if isinstance(result, int) else 0) or _lost()


def describe(error: Exception) -> tuple[str, int]:
    """Return the one line that explains an error, and its exit code."""
    if isinstance(error, ClipgenError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        message = error.format_message().rstrip(".")
        hint = "put the prompt in quotes" if "extra argument" in message else "see clipgen --help"
        return f"{message}; {hint}", error.exit_code
    return f"unexpected {type(error).__name__}: {error}; --debug shows where it happened", 1


def _lost() -> int:
    """Report results that stdout could not take, such as a full disk, and return the exit code."""
    if (lost := lost_output()) is None:
        return 0
    say(f"error: stdout cannot be written ({lost.strerror or lost}); the files that were made are kept")
    return 1


def say(message: str) -> None:
    """Print one printable line on stderr."""
    typer.echo(one_line(message), err=True)


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM inside the block into `Interrupted`, with exit codes 130 and 143.

    They are answered within a second. What they turn into on their way through other code is `Interrupted`, too.
    """
    noted: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        noted.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook
    try:
        for number in (number for number, handler in before.items() if handler is not signal.SIG_IGN):
            signal.signal(number, stop)
        sys.unraisablehook = partial(_repeat, hook)
        with answered(say):
            yield
    except KeyboardInterrupt as error:
        raise Interrupted("stopped", 143 if isinstance(error, Terminated) else 130) from error
    except Exception as error:
        if not noted or isinstance(error, ClipgenError):
            raise
        raise Interrupted("stopped", 128 + noted[0]) from error
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _repeat(otherwise: Callable[[Any], object], ignored: Any) -> None:
    """Send a signal again whose exception was raised where Python ignores it, as in callbacks during an import."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        number = signal.SIGTERM if isinstance(ignored.exc_value, Terminated) else signal.SIGINT
        threading.Timer(0.02, signal.raise_signal, [number]).start()
    else:
        otherwise(ignored)

"""Errors as users see them: one line on stderr and an exit code; a traceback only with --debug."""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from clipgen.errors import ClipgenError, Interrupted, Terminated
from clipgen.util.text import one_line


def exit_code_of(command: Callable[[], object], *, debug: bool) -> int:
    """Run `command`, report any error, and return the exit code of the process."""
    try:
        result = command()
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        message, code = describe(error)
        say(f"error: {message}")
        return code
    return result if isinstance(result, int) else 0


def describe(error: Exception) -> tuple[str, int]:
    """Return the one line that explains an error, and its exit code."""
    if isinstance(error, ClipgenError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        message = error.format_message().rstrip(".")
        hint = "put the prompt in quotes" if "extra argument" in message else "see clipgen --help"
        return f"{message}; {hint}", error.exit_code
    return f"unexpected {type(error).__name__}: {error}; --debug shows where it happened", 1


def say(message: str) -> None:
    """Print one printable line on stderr."""
    typer.echo(one_line(message), err=True)


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM inside the block into `Interrupted`, with exit codes 130 and 143."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted("stopped", 143 if isinstance(stop, Terminated) else 130) from stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated

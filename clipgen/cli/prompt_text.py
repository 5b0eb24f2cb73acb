"""Prompts from files and from standard input, which are untrusted text."""

import codecs
import contextlib
import re
import sys
from pathlib import Path

from clipgen.cli.failures import say
from clipgen.errors import UsageError
from clipgen.util.text import quoted

STDIN = "-"
MAX_BYTES = 20_000_000

# `str.splitlines` also splits at characters that editors do not treat as line ends.
_LINE_END = re.compile(r"\r\n|\n|\r")


def read_lines(file: str, name: str = "") -> list[tuple[int, str]]:
    """Return the lines of a file, or of standard input for "-", that are not blank, with their numbers.

    Raises UsageError, which gives it this name, if it cannot be read, is too large or is not text.
    """
    text = read_text(file, name or _name(file))
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1)]
    return [(number, line) for number, line in lines if line]


def prompt_from_stdin() -> str:
    """Return the one prompt on standard input; raises UsageError if there is none, or more than one."""
    if sys.stdin is not None and sys.stdin.isatty():
        say("type the prompt, then press Enter and Ctrl-D")
    lines = read_lines(STDIN)
    if not lines:
        raise UsageError('standard input is empty; give it a prompt, as in echo "a cat" | clipgen -')
    if len(lines) > 1:
        raise UsageError(
            f"standard input has {len(lines)} lines, not one prompt; for a picture of each: clipgen batch -"
        )
    return lines[0][1]


def read_text(file: str, name: str) -> str:
    """Return the text of a file, or of standard input for "-"; raises UsageError, which gives it this name."""
    content = _read(file, name)
    found = "UTF-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "not UTF-8"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is {found} text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise UsageError(f"{name} is not text (byte {content.index(0)} is 0); save it as UTF-8")
    return text


def _read(file: str, name: str) -> bytes:
    """Return the bytes of a file or of standard input; raises UsageError if it is too large or cannot be read."""
    try:
        if file == STDIN and sys.stdin is None:
            raise UsageError("standard input is closed; name a file with prompts")
        with contextlib.nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as source:
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        way_out = "check the path"
        if isinstance(error, FileNotFoundError) and " " in file:
            way_out = f"for a picture of one prompt: clipgen {quoted(file)}"
        raise UsageError(f"{name} cannot be read ({error.strerror}); {way_out}") from error
    except ValueError as error:
        raise UsageError(f"{name} cannot be read ({error}); check the path") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES // 10**6} MB; split it")
    return content


def _name(file: str) -> str:
    return "standard input" if file == STDIN else f"the prompts file {file}"

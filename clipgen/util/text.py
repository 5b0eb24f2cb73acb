"""Safe display of untrusted text: nothing hidden, reversed or endless, and no control characters. Torch-free."""

import re

MAX_QUOTED = 80
MAX_LINE = 1000

# These join the letters of Persian and Hindi words and the parts of emoji, and have no other effect.
_JOINERS = "\u200c\u200d"

# Python calls these printable, but they show nothing: fillers, the blank Braille cell, variation selectors.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Return the text with every control, bidi and other invisible character escaped, as in "\x1b"."""
    return "".join(mark if _is_shown(mark) else ascii(mark)[1:-1] for mark in text)


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """Put a text on one visible line; above `limit` characters its middle is cut, as the end often holds the advice."""
    line = visible(" ".join(text.split()))
    kept = limit - 5
    return line if len(line) <= limit else f"{line[: kept - kept // 3]} ... {line[-(kept // 3) :]}"


def quoted(value: object) -> str:
    """Format a value for an error message: visible, on one line, of limited length."""
    try:
        text = visible(repr(value[:MAX_QUOTED] if isinstance(value, str) else value))
    except (RecursionError, ValueError):  # nested too deeply, or an integer with too many digits
        text = f"too large a value of the type {type(value).__name__}"
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 3]}..."


def readable_bytes(count: int) -> str:
    """Format a number of bytes in units of 1000, as download sizes are published."""
    if count < 1000:
        return f"{count} B"
    if count < 10**6:
        return f"{count / 1000:.0f} kB"
    return f"{count / 10**6:.0f} MB" if count < 10**9 else f"{count / 10**9:.2f} GB"


def _is_shown(mark: str) -> bool:
    return mark in _JOINERS or (mark.isprintable() and not _BLANK.match(mark))


def readable_time(seconds: float) -> str:
    """Format a duration with the precision of an estimate: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

"""How text from anywhere is shown: nothing in it hides, turns around, moves the cursor or runs on. Torch-free."""

import re

MAX_QUOTED = 80

# Python calls these printable, and they show nothing: fillers, the blank Braille cell, variation selectors.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Return the text on one line, with every control, bidi and other invisible character as its escape, "\x1b"."""
    return "".join(mark if mark.isprintable() and not _BLANK.match(mark) else _escape(mark) for mark in text)


def quoted(value: object) -> str:
    """Spell a value for an error message: on one line, visible, not endless."""
    try:
        text = visible(repr(value[:MAX_QUOTED] if isinstance(value, str) else value))
    except RecursionError:
        text = "deeply nested values"
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 3]}..."


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

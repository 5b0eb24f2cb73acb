"""Values of options as people type them."""

import re
from pathlib import Path

from clipgen.errors import UsageError
from clipgen.session.planning import random_seed
from clipgen.util.text import quoted

RANDOM = "random"
"""The seed that stands for any."""

_SWITCH = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("0", "false", "no", "off"), False)}


def parse_switch(name: str, text: str) -> bool:
    """Return whether a text means yes; raises UsageError, which gives it this name."""
    if text.strip().lower() not in _SWITCH:
        raise UsageError(f"{name} must be 1 or 0, or true or false, got {quoted(text)}")
    return _SWITCH[text.strip().lower()]


def parse_seed(text: str) -> int:
    """Return the seed that a text names, "random" for any; raises UsageError."""
    if text.strip().lower() == RANDOM:
        return random_seed()
    if not re.fullmatch(r"\s*[-+]?[0-9]{1,30}\s*", text):
        raise UsageError(f"--seed must be a whole number from 0, or {RANDOM}, got {quoted(text)}")
    return int(text)


def expanded(path: Path, flag: str) -> Path:
    """Return a path with the home folder for "~", which a shell leaves as it is in --out=~/x; raises UsageError."""
    if path.parts[:1] in (("http:",), ("https:",)):
        raise UsageError(f"{flag} takes a file, not an address on the web; download the picture first")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"{flag} {quoted(str(path))}: there is no such home folder; write the path in full") from error

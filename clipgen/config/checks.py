"""Validation of untrusted values, and of the JSON that holds them. Torch-free."""

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted

MAX_JSON = 1_000_000


def check_choice(flag: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a UsageError unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise unknown_value(flag, value, choices)


def check_whole(flag: str, value: object, low: int, high: int) -> None:
    """Raise a UsageError unless the value is an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{flag} must be a whole number from {low} to {high}, got {quoted(value)}")


def checked_number(flag: str, value: object, low: float, high: float) -> float:
    """Return the value as a float; raises UsageError unless it is a number from `low` to `high`."""
    # Compared before float(): an integer of a thousand digits does not fit a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{flag} must be a number from {low:g} to {high:g}, got {quoted(value)}")
    return float(value)


def checked_path(flag: str, value: object, what: str) -> str:
    """Return the path of a file as text; raises UsageError, which says what file it must be, if it can be none."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"{flag} must be the path of {what}, got {quoted(value)}")
    return path


def checked_record(name: str, record: object, known: set[str]) -> dict[str, Any]:
    """Copy a JSON object; raises UsageError if it has any key outside `known`."""
    if not isinstance(record, Mapping):
        raise UsageError(f"{name}: must be a JSON object, got {quoted(record)}")
    for key in record:
        if key not in known:
            raise unknown_value(f"{name}: the key", key, known)
    return dict(record)


def load_json(name: str, text: str) -> object:
    """Parse untrusted JSON; raises UsageError if it is too long, too deep, contains NaN, or is not valid."""
    if len(text) > MAX_JSON:
        raise UsageError(f"{name}: the JSON text is longer than {MAX_JSON} characters")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not valid JSON ({error})") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")

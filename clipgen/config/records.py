"""Frozen dataclasses from untrusted JSON: every key and every type is checked. Torch-free."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from clipgen.config.checks import checked_number, checked_record
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MAX_ITEMS = 64
"""Maximum length of a list."""
MAX_TEXT = 10_000
MAX_NUMBER = 1e18
OLDER = "older"
"""Key of a field's metadata: what a record means that was written before there was this field."""

Record = TypeVar("Record")
Readers = Mapping[type, Callable[[object], object]]


def read_fields(kind: type[Record], record: object, name: str, readers: Readers) -> Record:
    """Return the dataclass `kind` from a JSON object with exactly its fields; those added later may be missing.

    readers: functions for the types that have a JSON form of their own. Raises UsageError, which names the field.
    """
    hints = _hints(kind)  # type: ignore[arg-type]
    wanted = {each.name: each.metadata.get(OLDER, MISSING) for each in fields(kind)}  # type: ignore[arg-type]
    values = checked_record(name, record, set(wanted))
    read: dict[str, object] = {}
    for key, older in wanted.items():
        if key in values:
            read[key] = _read(hints[key], values[key], f"{name}.{key}", readers)
        elif older is MISSING:
            raise UsageError(f"{name}: the key {key} is missing")
        else:
            read[key] = older
    return kind(**read)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields; they are evaluated once, as that takes longer than all else here."""
    return get_type_hints(kind)


def added_later(default: Any) -> Any:
    """Declare a field that earlier records lack, with the value that they mean, which stays the default."""
    return field(default=default, metadata={OLDER: default})


def _read(hint: Any, value: object, name: str, readers: Readers) -> object:
    if hint in readers:
        return readers[hint](value)
    if is_dataclass(hint):
        return read_fields(hint, value, name, readers)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return _read_list(get_args(hint), value, name, readers)
    return _read_plain(hint, value, name)


def _read_list(hints: tuple[Any, ...], value: object, name: str, readers: Readers) -> tuple[object, ...]:
    """Read `tuple[T, ...]` of any length, or a tuple of exactly these types."""
    if not isinstance(value, list | tuple) or len(value) > MAX_ITEMS:
        raise UsageError(f"{name} must be a list of at most {MAX_ITEMS} values, got {quoted(value)}")
    each = [hints[0]] * len(value) if hints[-1] is types.EllipsisType or hints[-1] is ... else list(hints)
    if len(each) != len(value):
        raise UsageError(f"{name} must be a list of {len(each)} values, got {quoted(value)}")
    return tuple(_read(hint, one, name, readers) for hint, one in zip(each, value, strict=True))


def _read_plain(hint: Any, value: object, name: str) -> object:
    if hint is float:
        return checked_number(name, value, -MAX_NUMBER, MAX_NUMBER)
    good = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    if not good or (isinstance(value, str) and len(value) > MAX_TEXT):
        kinds = {str: "text", int: "a whole number", bool: "true or false"}
        raise UsageError(f"{name} must be {kinds[hint]}, got {quoted(value)}")
    return value

"""YAML from strangers as plain data, in time and memory that its size bounds."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import ScalarNode

MAX_CHARACTERS = 100_000
MAX_DEPTH = 20
"""Of lists and mappings in each other; configs of networks have six."""
MAX_NUMBER = 50
"""Characters of a number."""
MAX_INTEGER = 2**60
"""Of integers: larger ones can be chosen to have equal hashes, and keys of a mapping are hashed."""

_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # it depends on how PyYAML was built
    """PyYAML's safe loader, without the numbers that are not what they look like."""


def load_yaml(text: str) -> Any:
    """Parse YAML into lists, dicts, text, numbers and dates.

    Raises yaml.YAMLError, with the reason, for anything else: for aliases, with which a short text can describe endless
    data, for text that is too long or too deep, and for numbers in base 60, as which 1:30 would be 90.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has more than {MAX_CHARACTERS} characters")
    try:
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise yaml.YAMLError(f"a value in it is not what its type says ({error})") from error


def _check_events(text: str) -> None:
    """Raise YAMLError for aliases and depth, before anything is made of the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep (line {_line(event)})")


def _line(place: Any) -> int:
    """Return the line of a node or an event, counted from 1."""
    return int(place.start_mark.line) + 1


def _number_text(loader: Any, node: ScalarNode) -> str:
    """Return the text of a number. Raises YAMLError if it is none, too long, or in base 60."""
    text, line = str(loader.construct_scalar(node)), _line(node)
    if ":" in text:
        raise yaml.YAMLError(f"{text[:MAX_NUMBER]!r} in line {line} is a number in base 60; put it in quotes")
    if not text.replace("_", "").strip("+-") or len(text) > MAX_NUMBER:
        raise yaml.YAMLError(f"{text[:MAX_NUMBER]!r} in line {line} is no number")
    return text


def _integer(loader: Any, node: ScalarNode) -> int:
    text = _number_text(loader, node)
    value = int(loader.construct_yaml_int(node))
    if abs(value) > MAX_INTEGER:
        raise yaml.YAMLError(f"{text} in line {_line(node)} is too large a number")
    return value


def _decimal(loader: Any, node: ScalarNode) -> float:
    _number_text(loader, node)
    return float(loader.construct_yaml_float(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)

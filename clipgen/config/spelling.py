"""How the things that a classifier takes are written in a plan, and read from there. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clipgen.config.class_words import class_rows, groups
from clipgen.config.classes import Thing, things_in

_BETWEEN = ", "


def spelled(things: Sequence[Thing]) -> str:
    """Return the names of things in one text; "" if there are none."""
    return _BETWEEN.join(thing.name for thing in things)


def classes_spelled(text: str) -> list[tuple[int, ...]]:
    """Return the classes of each thing in a text that `spelled` made, or that names them in a sentence.

    A name by itself need not be a thing in a sentence, as "ram" is none without an article.
    """
    known = _by_name()
    names = text.split(_BETWEEN)
    if all(name in known for name in names):
        return [known[name] for name in names]
    return [thing.classes for thing in things_in(text)]


@cache
def _by_name() -> dict[str, tuple[int, ...]]:
    single = {row[0]: (index,) for index, row in enumerate(class_rows())}
    return single | {group.name: group.classes for group in groups()}

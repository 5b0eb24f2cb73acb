"""What each perceptor takes of a prompt: perceptors share it by what they know. Torch-free.

A classifier takes the things that it knows by name. The CLIPs of the starter set, beside a classifier, take the words
that they know of the rest: style, colour, light. A published CLIP takes whole texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from clipgen.config.classes import things_in, without_things
from clipgen.config.prompts import Prompt
from clipgen.config.spelling import spelled
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights.kinds import STARTER_PACKAGE
from clipgen.weights.registry import STARTER

CLASSIFIER = "classifier/"
"""Begins the names of classifiers."""
MAX_THINGS = 8
"""Number of things that one text can name for a classifier."""
FUNCTION_WORDS = frozenset(
    """
    a an the of and or with without in on at by to for from as into is are was were be it its this that these those
    there very some one two three next under over near beside behind between wearing holding sitting standing style
    picture image photo photograph painting drawing
    """.split()  # noqa: SIM905
)
"""Words that say nothing by themselves: nobody need take them."""


@dataclass(frozen=True)
class Reading:
    """What the perceptors take of one text."""

    taken: tuple[str, ...]
    """By perceptor; "" for nothing."""
    left: tuple[str, ...]
    """The words that nobody takes."""


def read(text: str, perceptors: Sequence[str]) -> Reading:
    """Share a text among perceptors, given by the names of their weights.

    Raises UsageError for a name that stands for different things, such as "crane", and for too many things.
    """
    if not any(name.startswith(CLASSIFIER) for name in perceptors):
        return Reading(tuple(text for _ in perceptors), ())
    things = things_in(text)
    check_things(text, len(things))
    named, rest = spelled(things), without_things(text, things)
    taken = tuple(_taken(name, text, named, rest) for name in perceptors)
    if any(part == text for part in taken):
        return Reading(taken, ())
    heard = set(words(" ".join(part for part in taken if part != named)))
    left = [word for word in words(rest) if word not in heard | FUNCTION_WORDS]
    return Reading(taken, tuple(dict.fromkeys(left)))


def check_things(text: str, count: int) -> None:
    """Raise UsageError if a text names more things than a classifier looks for."""
    if count > MAX_THINGS:
        raise UsageError(f"{quoted(text)} names {count} things; a classifier looks for up to {MAX_THINGS}")


def share(prompts: Sequence[Prompt], perceptors: Sequence[str]) -> tuple[Reading, ...]:
    """Return how perceptors share each text of a prompt."""
    return tuple(read(prompt.text, perceptors) for prompt in prompts)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())


def _taken(perceptor: str, text: str, named: str, rest: str) -> str:
    if perceptor.startswith(CLASSIFIER):
        return named
    return known_to_starter(rest) if perceptor.startswith(STARTER) else text


def known_to_starter(text: str) -> str:
    """Return a text without the words that the starter set does not know; "" if no word that says something is left."""
    known: Callable[[str], bool] = import_module(f"{STARTER_PACKAGE}.words").knows
    kept = " ".join(part for part in text.split() if all(map(known, re.findall(r"[^\W\d_]+", part.lower()))))
    return kept if set(words(kept)) - FUNCTION_WORDS else ""

"""The things of a prompt that none of the models in a plan knows, said in one line before the run. Torch-free."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from clipgen.config.class_words import lexicon, singulars
from clipgen.config.classes import things_in
from clipgen.config.english import names_no_thing
from clipgen.config.languages import foreign_language
from clipgen.config.plan import Plan
from clipgen.config.preset import PHOTO, QUICK
from clipgen.config.presets import PRESETS
from clipgen.config.readings import CLASSIFIER
from clipgen.errors import UsageError
from clipgen.util.text import quoted, readable_time
from clipgen.util.typos import mistyped
from clipgen.weights import registry
from clipgen.weights.kinds import STARTER_PACKAGE
from clipgen.weights.records import describe_sizes

MAX_NAMED = 6
"""Number of things that are named."""
MAX_JOINED = 3
"""Number of words beside each other that are taken for one name, as "Mona Lisa" is."""
QUICK_SECONDS = 350.0
"""Seconds that a picture of preset quick takes one core of a CPU."""
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


@dataclass(frozen=True)
class Unknown:
    """What the models of a plan do not know of its prompt."""

    things: tuple[str, ...]
    """As they were typed."""
    nothing_known: bool
    """Whether the prompt names things, and they know none of them."""
    language: str | None
    """How the prompt is written if that is not English: "in German"."""

    def notes(self) -> list[str]:
        """Return one line that names the things and what would help; none if there is nothing to say."""
        if self.language:
            return [f"warning: the prompt seems to be {self.language}; clipgen's own models read English only"]
        return [self._named()] if self.things else []

    def _named(self) -> str:
        shown = ", ".join(map(_with_hint, self.things[:MAX_NAMED]))
        if len(self.things) > MAX_NAMED:
            shown += f" and {len(self.things) - MAX_NAMED} more"
        advice = "".join(f"; {part}" for part in filter(None, [_advice(self.things)]))
        if self.nothing_known:
            return f"warning: clipgen's own models know none of these things: {shown}{advice}"
        them = "it" if len(self.things) == 1 else "them"
        return f"warning: {shown} will not show, as clipgen's own models do not know {them}{advice}"


def unknown_in(plan: Plan) -> Unknown:
    """Find the things that no model of a plan knows, and the language if it is not English.

    Published and own CLIPs know more than can be said here, so with one of them nothing is unknown.
    """
    names = [row.weights for row in (*plan.perceptors, *PRESETS[plan.preset].perceptors)]
    if not all(name.startswith((registry.STARTER, CLASSIFIER)) for name in names):
        return Unknown((), nothing_known=False, language=None)
    texts = [prompt.text for prompt in plan.prompts if prompt.peak > 0]
    language = next(filter(None, map(foreign_language, texts)), None)
    classified = any(name.startswith(CLASSIFIER) for name in names)
    read = [_read(text, classified=classified) for text in texts]
    things = tuple(dict.fromkeys(thing for unknown, _ in read for thing in unknown))
    known = any(shown for _, shown in read)
    return Unknown(things, nothing_known=bool(things or language) and not known, language=language)


def _read(text: str, *, classified: bool) -> tuple[list[str], bool]:
    """Return the things of a text that are unknown, and whether any is known."""
    found = things_in(text) if classified else ()
    shown = bool(found)
    unknown: list[list[re.Match[str]]] = []
    for match in _WORD.finditer(text):
        if any(thing.start <= match.start() < thing.end for thing in found):
            continue
        parts = [re.sub("['\u2019]s$", "", part) for part in match[0].lower().split("-")]
        shown = shown or any(map(_is_shown, parts))
        if all(names_no_thing(part) or _is_known(part) for part in parts):
            continue
        if unknown and len(unknown[-1]) < MAX_JOINED and text[unknown[-1][-1].end() : match.start()] == " ":
            unknown[-1].append(match)
        else:
            unknown.append([match])
    return [text[run[0].start() : run[-1].end()] for run in unknown], shown


def _is_known(word: str) -> bool:
    """Tell whether the drawn world has a word, or one that it is the plural of."""
    return any(map(_starter("words").knows, singulars(word)))


def _is_shown(word: str) -> bool:
    """Tell whether a word names something that the drawn world shows."""
    return any(one in _shown_words() for one in singulars(word))


@cache
def _shown_words() -> frozenset[str]:
    words = _starter("words")
    phrases = [phrase for table in (words.NOUNS, words.PLACES) for row in table.values() for phrase in row]
    plurals = [words.plural(phrase) for row in words.NOUNS.values() for phrase in row]
    return frozenset(word for phrase in (*phrases, *plurals) for word in phrase.split() if not names_no_thing(word))


def _with_hint(thing: str) -> str:
    """Quote a thing with what may be meant, or what comes near to it and can be drawn."""
    meant, near = _meant(thing), _near(thing)
    return quoted_word(thing) + (f' (did you mean "{meant}"?)' if meant else f' (but "{near}")' if near else "")


def _meant(thing: str) -> str | None:
    """Return the known thing that a thing is likely a slip of the keyboard of."""
    return None if _near(thing) or _photo_knows(thing) else mistyped(thing.lower(), _names())


def _near(thing: str) -> str | None:
    """Return what can be drawn and comes near to a thing, which may be described: "a Siberian tiger"."""
    words = [thing.lower(), *reversed(thing.lower().split())]
    return next((_nearby()[one] for word in words for one in singulars(word) if one in _nearby()), None)


def quoted_word(word: str) -> str:
    """Quote a word for a message."""
    return f'"{quoted(word)[1:-1]}"'


def _advice(things: Sequence[str]) -> str:
    """Say which presets know more, and what they cost; nothing if all things are only mistyped."""
    strange = [thing for thing in things[:MAX_NAMED] if not _meant(thing)]
    photo = [quoted_word(thing) for thing in strange if _photo_knows(thing)]
    parts = [f"--preset {PHOTO} knows {' and '.join(photo)}"] if photo else []
    if len(photo) < len(strange):
        missing = registry.missing(row.weights for row in PRESETS[QUICK].perceptors)
        cost = [f"{describe_sizes(missing)} to download"] if missing else []
        cost += [f"about {readable_time(QUICK_SECONDS / _cores())} a picture on the CPU here"]
        parts.append(f"--preset {QUICK} knows far more ({', '.join(cost)})")
    return ", ".join(parts)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _photo_knows(thing: str) -> bool:
    """Tell whether preset photo would draw a thing: its classifier is here and knows the name."""
    if not all(registry.is_ready(row.weights) for row in PRESETS[PHOTO].perceptors):
        return False
    with suppress(UsageError):  # the name has several meanings, which the preset would ask for
        return bool(things_in(f"a {thing}"))
    return True


@cache
def _names() -> tuple[str, ...]:
    """Return what a mistyped word may have been: the things of the drawn world, and those of the classifiers."""
    return tuple(sorted({*_shown_words(), *(name for name, entry in lexicon().entries.items() if entry.classes)}))


@cache
def _nearby() -> dict[str, str]:
    """Return what can be drawn, by the words for what is like it."""
    table: dict[str, str] = _starter("nearby").NEARBY
    return {word.replace("+", " "): drawn for drawn, words in table.items() for word in words.split()}


def _starter(name: str) -> Any:
    return import_module(f"{STARTER_PACKAGE}.{name}")

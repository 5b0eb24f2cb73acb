"""English for what a claim says of a picture, with random synonyms and word order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clipgen.starter import words

if TYPE_CHECKING:
    import numpy as np

Claim = Mapping[str, str]


def say(claim: Claim, rng: np.random.Generator) -> str:
    """A caption that says all that is claimed."""
    plain = "style" not in claim and "relation" not in claim and {"noun", "colour"} <= claim.keys()
    forms = words.STYLES[claim["style"]] if "style" in claim else words.PLAIN_FORMS
    if plain and "count" not in claim and rng.random() < 0.08:
        return _statement(claim, rng)
    things = _things(claim, rng)
    if "backdrop" in claim:
        backdrop = _one_of(words.COLOURS[claim["backdrop"]], rng)
        things = f"{things} {_one_of(words.BACKDROP_FORMS, rng).format(backdrop)}"
    sentence = _one_of(forms, rng).format(" ".join([things, *_around(claim, rng)]))
    return sentence.replace(",,", ",").rstrip(",")


def _statement(claim: Claim, rng: np.random.Generator) -> str:
    """A sentence, as of the captions of the bird pictures that text-to-image models are tried on."""
    noun, colour = (
        _one_of(table[claim[name]], rng) for name, table in (("noun", words.NOUNS), ("colour", words.COLOURS))
    )
    size = _one_of(words.SIZES[claim["size"]], rng) + " " if "size" in claim else ""
    forms = ("this {}{} is {}", "this {}{} is {} in color", "this {}{} is very shiny and {} in color", "the {}{} is {}")
    return " ".join([_one_of(forms, rng).format(size, noun, colour), *_around(claim, rng)])


def _around(claim: Claim, rng: np.random.Generator) -> list[str]:
    """Where and when, in any order."""
    tables = {"place": words.PLACES, "time": words.TIMES, "weather": words.WEATHERS}
    said = [_one_of(table[claim[name]], rng) for name, table in tables.items() if name in claim]
    if "backdrop" in claim:
        said = said[:0]
    return [said[k] for k in rng.permutation(len(said))]


def _things(claim: Claim, rng: np.random.Generator) -> str:
    """What is to be seen: one thing, several, or two and how they are to each other."""
    first = _thing(claim, rng)
    if "relation" not in claim:
        return first
    second = {"noun": claim["other"]} | ({"colour": claim["other_colour"]} if "other_colour" in claim else {})
    return f"{first} {_one_of(words.RELATIONS[claim['relation']], rng)} {_thing(second, rng)}"


def _thing(claim: Claim, rng: np.random.Generator) -> str:
    noun = _one_of(words.NOUNS[claim["noun"]], rng) if "noun" in claim else None
    colour = _one_of(words.COLOURS[claim["colour"]], rng) if "colour" in claim else None
    size = _one_of(words.SIZES[claim["size"]], rng) if "size" in claim else None
    count = claim.get("count")
    counted = _one_of(words.COUNTS[count], rng) if count else None
    if noun is None:
        return _something(size, colour, counted, count)
    if count not in (None, "1"):
        noun = words.plural(noun)
    before = " ".join(word for word in (size, colour, noun) if word)
    if counted:
        return f"{counted} {before}"
    if colour and rng.random() < 0.15:
        rest = " ".join(word for word in (size, noun) if word)
        return f"{article(rest)} that is {colour}" if rng.random() < 0.5 else f"{article(rest)}, {colour},"
    return article(before)


def _something(size: str | None, colour: str | None, counted: str | None, count: str | None) -> str:
    what = " ".join(word for word in (size, colour) if word)
    if counted:
        return " ".join(word for word in (counted, what, "thing" if count == "1" else "things") if word)
    return f"something {what}" if what else "something"


def article(noun: str) -> str:
    """The noun with a, an, the or nothing before it."""
    last = noun.split()[-1]
    if last in words.UNCOUNTED:
        return noun
    if last in ("sea", "ocean"):
        return f"the {noun}"
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _one_of(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]

"""The axes of `--grid`: `--grid seed=1..4 lr=0.05,0.1` makes a picture for every combination of their values."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clipgen.cli.prompt_lines import fields_of, options_of_lines
from clipgen.cli.slips import take_apart
from clipgen.cli.values import parse_switch
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import one_line, quoted

FLAG = "--grid"
PROMPT = "prompt"
MAX_AXES = 2
MAX_CELLS = 256
MAX_LABEL = 60
COMMA, SEMICOLON = ",", ";"

_AXIS = re.compile(r"([a-z][a-z-]*)=(.*)", re.DOTALL)
_NEXT = re.compile(r"\s+(?=[a-z][a-z-]*=)")
_RANGE = re.compile(r"\s*([0-9]{1,18})\.\.([0-9]{1,18})\s*", re.ASCII)


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes in turn."""

    name: str
    """Of an option without its hyphens, or PROMPT."""
    values: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """How the sheet calls the values; a prompt needs no name."""
        return [value if self.name == PROMPT else f"{self.name} {value}" for value in self.values]

    def fields(self, value: str) -> dict[str, Any]:
        """Return the fields of a job that a value sets. Raises UsageError."""
        try:
            if self.name == PROMPT:
                return {"prompts": parse_prompts(value)}
            if options_of_lines()[self.name]:
                return fields_of([f"--{self.name}={value}"])
            return {self.name.replace("-", "_"): parse_switch(f"--{self.name}", value)}
        except UsageError as error:
            raise UsageError(f"{FLAG} {self.name}={one_line(value, MAX_LABEL)}: {error}") from error


class Cell(NamedTuple):
    """A picture of a grid."""

    values: tuple[str, ...]
    """One for each axis."""
    fields: dict[str, Any]
    """Of a job, that the values set."""


def with_axes(args: Sequence[str], options: Mapping[str, int]) -> list[str]:
    """Return the arguments with `--grid` before each word NAME=VALUES that follows the value of one.

    If nothing says what to draw, the first value of an axis named "prompt" does. Raises UsageError.
    """
    found: list[str] = []
    inside = False
    for place, arg in enumerate(args):
        if arg == "--":
            found += args[place:]
            break
        follows = inside and _AXIS.fullmatch(arg) is not None
        found.append(f"{FLAG}={arg}" if follows else arg)
        inside = follows or arg.startswith(f"{FLAG}=") or (place > 0 and args[place - 1] == FLAG)
    typed = [arg.removeprefix(f"{FLAG}=") for arg in _values(found)]
    if any(text.startswith(f"{PROMPT}=") for text in words_of(typed)) and not take_apart(found, options).texts:
        first = next(axis.values[0] for axis in parse_axes(typed) if axis.name == PROMPT)
        found += [] if "--" in found else ["--", first]
    return found


def _values(args: Sequence[str]) -> Iterator[str]:
    """Yield what `--grid` is given, in both spellings."""
    for before, arg in itertools.pairwise(("", *args)):
        if before == FLAG or arg.startswith(f"{FLAG}="):
            yield arg


def words_of(texts: Sequence[str]) -> list[str]:
    """Return the words NAME=VALUES of the values of `--grid`, each of which may hold several."""
    return [word for text in texts for word in _NEXT.split(text.strip())]


def parse_axes(texts: Sequence[str]) -> list[Axis]:
    """Return the axes that the values of `--grid` name. Raises UsageError, before any list is written out."""
    read = [_read(word) for word in words_of(texts)]
    names = [name for name, _ in read]
    if len(names) > MAX_AXES:
        raise UsageError(f"{FLAG} takes one axis or two, got {len(names)}: {', '.join(names)}; leave one out")
    if len(set(names)) < len(names):
        raise UsageError(f"{FLAG} names {names[0]} twice; give all its values at once")
    counts = [sum(1 if isinstance(part, str) else len(part) for part in parts) for _, parts in read]
    if math.prod(counts) > MAX_CELLS:
        raise UsageError(f"{FLAG} asks for {in_all(counts)} pictures, more than {MAX_CELLS}; give fewer values")
    return [_axis(name, parts) for name, parts in read]


def in_all(counts: Sequence[int]) -> str:
    """Spell the number of cells: "4 x 2 = 8", or "4" with one axis."""
    sizes = " x ".join(f"{count:,}" for count in counts)
    return f"{sizes} = {math.prod(counts):,}" if len(counts) > 1 else sizes


def cells_of(axes: Sequence[Axis]) -> list[Cell]:
    """Return the cells row by row: the first axis runs across, the second down. Raises UsageError for a wrong value."""
    fields = [{value: axis.fields(value) for value in axis.values} for axis in axes]
    across, *down = [axis.values for axis in axes]
    rows = down[0] if down else ("",)
    cells = []
    for low, high in itertools.product(rows, across):
        values = (high, low)[: len(axes)]
        merged = [row[value] for row, value in zip(fields, values, strict=True)]
        cells.append(Cell(values, {name: value for each in merged for name, value in each.items()}))
    return cells


def _read(word: str) -> tuple[str, list[range | str]]:
    """Return the name of an axis, and its values, in which ranges stand for many."""
    match = _AXIS.fullmatch(word)
    if match is None:
        raise UsageError(f"{FLAG} must look like seed=1..4 or lr=0.05,0.1, got {quoted(word)}")
    name, text = match.groups()
    names = {PROMPT, *options_of_lines()}
    if name not in names:
        raise unknown_value(f"an axis of {FLAG}", name, names)
    if SEMICOLON in text:
        return name, [part.strip() for part in text.removesuffix(SEMICOLON).split(SEMICOLON)]
    return name, [_counted(name, part) for part in text.split(COMMA)]


def _counted(name: str, part: str) -> range | str:
    """Return the range that "1..4" stands for, or the value itself."""
    match = _RANGE.fullmatch(part)
    if match is None or name == PROMPT:
        return part.strip()
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise UsageError(f"{FLAG} {name}={part.strip()} counts up from the first number; write {last}..{first}")
    return range(first, last + 1)


def _axis(name: str, parts: Sequence[range | str]) -> Axis:
    values = [str(value) for part in parts for value in ([part] if isinstance(part, str) else part)]
    if "" in values:
        raise UsageError(f"{FLAG} {name}= has an empty value; separate values by one comma, as in {name}=A,B")
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UsageError(f"{FLAG} {name}= has the value {quoted(twice)} twice; leave one out")
    return Axis(name, tuple(values))

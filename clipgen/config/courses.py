"""What a job can say about numbers and scenes that change over the run. Torch-free."""

import re
from typing import cast

from clipgen.config.checks import check_whole, checked_number
from clipgen.config.keyframes import Place, range_in, read_schedule
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MAX_LR = 100.0
MAX_CUTOUTS = 1024


def checked_rate(lr: object) -> float:
    """Return a learning rate; raises UsageError unless it is a number above 0 and at most MAX_LR."""
    rate = checked_number("--lr", lr, 0.0, MAX_LR)
    if rate == 0.0:
        raise UsageError("--lr must be above 0, got 0")
    return rate


def checked_rates(lr: object) -> float | str:
    """Return a learning rate, or the text of one that changes. Raises UsageError."""
    if not isinstance(lr, str):
        return checked_rate(lr)
    typed = read_schedule(lr, "--lr")
    if typed is None or not re.search(r"@|\.\.", lr):
        raise UsageError(f"--lr must be a number, or change as in 0.1..0.02 or 0.1@0,0.02@50%, got {quoted(lr)}")
    for value in typed.values:
        checked_number("--lr", value, 0.0, MAX_LR)
    checked_rate(max(typed.values))
    return str(typed)


def checked_cutouts(cutouts: object) -> int | str:
    """Return a number of cutouts, or the text of one with keyframes. Raises UsageError."""
    if not isinstance(cutouts, str):
        check_whole("--cutouts", cutouts, 1, MAX_CUTOUTS)
        return cast(int, cutouts)
    typed = read_schedule(cutouts, "--cutouts")
    if typed is None or "@" not in cutouts:
        raise UsageError(f"--cutouts must be a whole number, or change as in 4@0,16@50%, got {quoted(cutouts)}")
    for value in typed.values:
        check_whole("--cutouts", int(value) if value.is_integer() else value, 1, MAX_CUTOUTS)
    return str(typed)


def checked_scenes(at: object, scenes: int) -> tuple[str, ...]:
    """Return where scenes begin; raises UsageError unless each of so many has its place."""
    if not isinstance(at, list | tuple) or not all(isinstance(place, str) for place in at):
        raise UsageError(f"--at must be a list of places, got {quoted(at)}")
    if at and len(at) != scenes:
        raise UsageError(f"--at must name a place for each of {scenes} scenes, got {len(at)}")
    return tuple(str(Place.parse(place, "--at")) for place in at)


def check_cross_fade(part: object, scenes: int) -> None:
    """Raise a UsageError unless this is a part of a run that has several scenes."""
    if not isinstance(part, str):
        raise UsageError(f"--cross-fade must be a text such as 10%, got {quoted(part)}")
    Place.parse(part, "--cross-fade")
    if scenes < 2:
        raise UsageError(f'--cross-fade {part} needs scenes that fade into each other, as in "a city ^ a forest"')


def parse_rate(text: str) -> float | str:
    """Return the learning rate that a text stands for, a text itself if it changes. Raises UsageError."""
    values = range_in(text)
    return checked_rate(values[0]) if values and len(values) == 1 else checked_rates(text)


def parse_cutouts(text: str) -> dict[str, int | str | None]:
    """Return the fields of a job for "16", "4..16", which rises, or "4@0,16@50%"; raises UsageError."""
    if "@" in text:
        return {"cutouts": checked_cutouts(text), "first_cutouts": None}
    match = re.fullmatch(r"\s*(?:([0-9]{1,9})\s*\.\.\s*)?([0-9]{1,9})\s*", text, re.ASCII)
    if match is None:
        raise UsageError(f"--cutouts must be a whole number such as 16, or 4..16, got {quoted(text)}")
    return {"cutouts": int(match[2]), "first_cutouts": int(match[1]) if match[1] else None}

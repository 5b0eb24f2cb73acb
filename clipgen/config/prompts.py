"""The prompt language: texts with weights and stops. Torch-free."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

from clipgen.config.checks import checked_number, checked_record
from clipgen.config.keyframes import Changing, frames_in, range_in, read_schedule
from clipgen.config.schedules import Schedule, spell
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MAX_PROMPTS = 64
SCENES = re.compile(r"\s\^\s")
MAX_TEXT = 2000
MAX_WEIGHT = 1000.0
MIN_WEIGHT = 1e-16
"""Least sum of all weights: the squares of smaller gradients, by which the optimiser scales its steps, underflow."""
LARGE_WEIGHT = 10.0
"""Weights from here on are rare: the number may belong to the text."""

NO_STOP = -math.inf
Course = Callable[[float], float]
"""The part of its weight that a text has at a progress in [0, 1]."""

# The pattern matches digits in one way only: an ambiguous one would take quadratic time on a hostile text.
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|-inf", re.IGNORECASE)
_TIME = re.compile(r"(?<!\S)([01]?[0-9]|2[0-3]):[0-5][0-9]\s*$")

# What people write for weights that are none here, and what to write instead.
_ODD_WEIGHTS = (
    (re.compile(r":\s*[-+0-9.]+(\.\.|@)\S*$"), 'one that changes looks like "a cat:1..0", or "a cat:1@0,0@50%"'),
    (re.compile(r":\s*[0-9]+,[0-9]+$"), 'a weight has a point, as in "a cat:1.5"'),
    (re.compile(r":\s*[0-9.]+\s*%$"), 'a weight is a number, as in "a cat:0.5"'),
    (re.compile(r"[(\[{][^()]+:\s*[0-9.]+[)\]}]"), 'a weight stands at the end, as in "a cat:1.3|fog"'),
    (re.compile(r":\s*-?[0-9]{4,}(\.[0-9]+)?$"), f"a weight is from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}"),
    (re.compile(r"\(\(|\[\["), 'brackets have no meaning; a weight stands at the end, as in "a cat:1.3|fog"'),
)


@dataclass(frozen=True)
class Prompt:
    """A text with its weight (negative pushes away) and its stop.

    The stop is a loss value: once a cutout's signed distance to the text is below it, that cutout no longer pulls. It
    counts from progress `since` to `until` in [0, 1].
    """

    text: str
    weight: float = 1.0
    stop: float = NO_STOP
    since: float = 0.0
    until: float = 1.0
    schedule: Changing | None = None
    """The weight over the run if it changes; `weight` is its start."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _checked_text(self.text))
        weights = self.schedule.values if self.schedule else (self.weight,)
        numbers = [checked_number("a prompt's weight", weight, -MAX_WEIGHT, MAX_WEIGHT) for weight in weights]
        object.__setattr__(self, "weight", numbers[0])
        object.__setattr__(self, "schedule", self.schedule if len(set(numbers)) > 1 else None)
        if self.stop != NO_STOP:
            object.__setattr__(self, "stop", checked_number("a prompt's stop", self.stop, -MAX_WEIGHT, MAX_WEIGHT))
        for name in ("since", "until"):
            object.__setattr__(self, name, checked_number(f"a prompt's {name}", getattr(self, name), 0.0, 1.0))
        if self.since >= self.until:
            raise UsageError(f"a prompt must end after it begins, got {self.since:g} to {self.until:g}")

    @property
    def span(self) -> tuple[float, float]:
        """The progress at which it begins to count, and that at which it ends."""
        return self.since, self.until

    @property
    def is_timed(self) -> bool:
        """Whether it counts more at some moments of the run than at others."""
        return self.span != (0.0, 1.0) or self.schedule is not None

    @property
    def peak(self) -> float:
        """The weight where it is furthest from 0."""
        return max(self.schedule.values, key=abs) if self.schedule else self.weight

    def share_at(self, cross_fade: float, progress: float) -> float:
        """Return the fraction of its peak weight that it has at a progress in [0, 1].

        cross_fade: the part of the run, half before a change of scene and half after it, in which scenes fade.
        """
        share = self.schedule.at(progress) / self.peak if isinstance(self.schedule, Schedule) else 1.0
        begun = _ramp(progress - self.since, cross_fade) if self.since > 0.0 else 1.0
        ended = _ramp(progress - self.until, cross_fade) if self.until < 1.0 else 0.0
        return share * begun * (1.0 - ended)

    def __str__(self) -> str:
        """Return the shortest spelling that `parse_prompts` reads back as this prompt."""
        weight = str(self.schedule) if self.schedule else self.weight
        # After a digit and a colon "10" would be minutes, "10.0" not.
        spelled = [weight] if isinstance(weight, str) else [spell(weight), repr(weight)]
        ends = ["", *(f":{each}" for each in spelled), *(f":{each}:{spell(self.stop)}" for each in spelled)]
        return next(self.text + end for end in ends if _peel(self.text + end) == (self.text, weight, self.stop))


def _ramp(distance: float, width: float) -> float:
    """Return a step from 0 to 1 at distance 0, or a straight rise of this width around it."""
    return min(max(distance / width + 0.5, 0.0), 1.0) if width else float(distance >= 0.0)


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """Parse "a cat:2|fog:-0.5:-.2": texts separated by "|", each with an optional weight and stop.

    Scenes separated by " ^ " follow each other in equal parts of the run: "a city ^ a forest|fog ^ the sea". A weight
    may change over the run: "a cat:1..0|a dog:0@0,1@50%", in steps, too, see `clipgen.config.keyframes`. Only
    numbers at the end are weight and stop; every other colon is part of the text, as is that of a time of day, "12:05",
    and of a number that is no weight, "blade runner:2049". Raises UsageError.
    """
    _check_count(text.count("|") + text.count("^") + 1)  # first: parsing takes time in proportion to the text
    scenes = SCENES.split(text)
    spans = [(place / len(scenes), (place + 1) / len(scenes)) for place in range(len(scenes))]
    return tuple(_parsed(piece, *span) for scene, span in zip(scenes, spans, strict=True) for piece in scene.split("|"))


def _parsed(piece: str, since: float, until: float) -> Prompt:
    text, weight, stop = _peel(piece)
    if isinstance(weight, float):
        return Prompt(text, weight, stop, since, until)
    return Prompt(text, stop=stop, since=since, until=until, schedule=read_schedule(weight, _flag(text)))


def over_steps(prompt: Prompt, steps: int) -> Prompt:
    """Return a prompt with its weight over a run of so many steps; raises UsageError for a step beyond it."""
    return replace(prompt, schedule=prompt.schedule.over(steps, _flag(prompt.text))) if prompt.schedule else prompt


def _flag(text: str) -> str:
    return f"the weight of {quoted(text)}"


def spell_prompts(prompts: Sequence[Prompt]) -> str:
    """Return the text that `parse_prompts` reads back as these prompts, if their scenes are equally long."""
    return joined_scenes("|".join(map(str, scene)) for _, scene in groupby(prompts, key=lambda prompt: prompt.span))


def joined_scenes(scenes: Iterable[str]) -> str:
    """Return the text of a story."""
    return " ^ ".join(scenes)


def courses_of(prompts: Sequence[Sequence[Prompt]], cross_fade: float) -> tuple[tuple[Course, ...], ...]:
    """Return the course of each prompt of each picture; empty if none is timed. cross_fade: see `Prompt.share_at`."""
    if not any(prompt.is_timed for row in prompts for prompt in row):
        return ()
    return tuple(tuple(partial(prompt.share_at, cross_fade) for prompt in row) for row in prompts)


def scenes_in(prompts: Sequence[Prompt]) -> list[tuple[float, float]]:
    """Return the spans of the scenes, in order."""
    return sorted({prompt.span for prompt in prompts})


def prompt_record(prompt: Prompt) -> dict[str, Any]:
    """Return plain JSON values; a missing stop is null, as JSON has no infinity."""
    record = {"text": prompt.text, "weight": prompt.weight, "stop": None if prompt.stop == NO_STOP else prompt.stop}
    record |= {} if prompt.span == (0.0, 1.0) else {"since": prompt.since, "until": prompt.until}
    return record | ({"schedule": str(prompt.schedule)} if prompt.schedule else {})


def prompt_from_record(record: object) -> Prompt:
    """Return the prompt of a record that `prompt_record` made; raises UsageError for anything else."""
    values = checked_record("prompt", record, {"text", "weight", "stop", "since", "until", "schedule"})
    if "text" not in values:
        raise UsageError("prompt: the key text is missing")
    if values.get("stop") is None:
        values["stop"] = NO_STOP
    if "schedule" in values:
        typed = values["schedule"]
        values["schedule"] = read_schedule(typed, "prompt: the schedule") if isinstance(typed, str) else None
        if values["schedule"] is None:
            raise UsageError(f'prompt: the schedule must be a text such as "1..0", got {quoted(typed)}')
    return Prompt(**values)


def check_prompts(prompts: object, *, alone: bool = True) -> None:
    """Raise a UsageError unless these are prompts whose weights are enough to move a picture.

    alone: whether nothing else moves it; otherwise the weights may all be 0.
    """
    if not isinstance(prompts, tuple) or not all(isinstance(prompt, Prompt) for prompt in prompts):
        raise UsageError(f"prompts must be a tuple of Prompt (see parse_prompts), got {quoted(prompts)}")
    _check_count(len(prompts))
    if all(prompt.peak == 0.0 for prompt in prompts):
        if not alone:
            return
        raise UsageError("every weight of the prompt is 0, so nothing would be drawn; give one text another weight")
    if (gap := _counted_until(prompts)) < 1.0:
        raise UsageError(f"no text with a weight counts at {gap:.0%} of the run; give its scene one")
    if (total := sum(abs(prompt.peak) for prompt in prompts)) < MIN_WEIGHT:
        raise UsageError(
            f"the weights of the prompt are together {total:g}, less than {MIN_WEIGHT:g}, so nothing would be drawn; "
            "give one text a larger weight"
        )


def _counted_until(prompts: Sequence[Prompt]) -> float:
    """Return the first progress at which no prompt with a weight counts; 1 if there always is one."""
    reached = 0.0
    for prompt in sorted((one for one in prompts if one.peak), key=lambda one: one.since):
        if prompt.since <= reached:
            reached = max(reached, prompt.until)
    return reached


def prompt_notes(prompts: Sequence[Prompt]) -> list[str]:
    """Say how texts were read whose author may have meant something else, such as "Area:51" or "a cat:1,5"."""
    notes = []
    for prompt in prompts:
        if _looks_like_text(prompt, alone=len(prompts) == 1):
            notes.append(
                f'reading "{prompt.text}" with weight {prompt.weight:g}; to keep the colon as text write '
                f'"{prompt.text}:{prompt.weight:g}:1:-inf"'
            )
        elif said := next((said for pattern, said in _ODD_WEIGHTS if pattern.search(prompt.text)), None):
            notes.append(f'reading "{prompt.text}" as text, without a weight: {said}')
    return notes


def _looks_like_text(prompt: Prompt, *, alone: bool) -> bool:
    """Tell whether a weight may be meant as text: large, after a number, or after a name in a prompt of one text."""
    if prompt.weight == 1.0 or prompt.stop != NO_STOP or prompt.schedule:
        return False
    is_title = alone and prompt.weight.is_integer() and prompt.text.split()[-1][0].isupper()
    return abs(prompt.weight) >= LARGE_WEIGHT or is_title or prompt.text[-1].isdigit()


def _check_count(texts: int) -> None:
    if not 1 <= texts <= MAX_PROMPTS:
        raise UsageError(f"the prompt must have 1 to {MAX_PROMPTS} texts, got {texts}")


def _peel(piece: str) -> tuple[str, float | str, float]:
    """Split one piece of a prompt into text, weight and stop: up to two numbers at its right end.

    A weight that changes over the run is a text, and so the last that is split off.
    """
    found: list[float | str] = []
    text = piece
    while len(found) < 2 and not (found and isinstance(found[0], str)):
        rest, colon, last = text.rpartition(":")
        weight = _weight_of(last.strip())
        if not colon or _TIME.search(text) or weight is None:
            break
        text = rest
        found.insert(0, weight)
    weight = found[0] if found else 1.0
    stop = found[1] if len(found) == 2 else NO_STOP
    return text.strip(), weight, float(stop)


def _weight_of(text: str) -> float | str | None:
    """Return a number in range, the text of one that changes over the run, or None for what is no weight."""
    if _NUMBER.fullmatch(text):
        return float(text) if _is_in_range(float(text)) else None
    values = range_in(text) or [value for value, _ in frames_in(text) or ()]
    return text if values and all(map(_is_in_range, values)) else None


def _is_in_range(number: float) -> bool:
    return abs(number) <= MAX_WEIGHT or number == NO_STOP


def _checked_text(text: object) -> str:
    """Return the text on one line with single spaces; raises UsageError if it is empty, too long or unprintable."""
    if not isinstance(text, str):
        raise UsageError(f"the prompt must be text, got {quoted(text)}")
    line = " ".join(text.split())
    if not line:
        raise UsageError('the prompt is empty; say what to draw, as in clipgen "a cat"')
    if len(line) > MAX_TEXT:
        raise UsageError(f"the prompt is longer than {MAX_TEXT} characters, got {len(line)}; shorten it")
    for character in line:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise UsageError(f"the prompt contains the unprintable character U+{ord(character):04X}; remove it")
    if "|" in line:
        raise UsageError(f'a text cannot contain "|", which separates prompts, got {quoted(line)}')
    return line

"""A run as data: one frozen, checked value with a JSON round trip. Torch-free."""

import json
import math
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn, Self

from clipgen.config.presets import AUTO, BACKENDS, PRESETS, Size
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.registry import check_name

MAX_PROMPTS = 64
MAX_TEXT = 2000
MAX_SIDE = 4096
MAX_STEPS = 100_000
MAX_CUTOUTS = 1024
MAX_SEED = 2**63 - 1
MAX_WEIGHT = 1000.0
MAX_LR = 100.0
MAX_JSON = 1_000_000
MAX_CLIPS = 8

NO_STOP = -math.inf

# Digits can be read in one way only: a choice would take quadratic time on a hostile text.
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|-inf", re.IGNORECASE)
_TIME = re.compile(r"(?<!\S)([01]?[0-9]|2[0-3]):[0-5][0-9]\s*$")


@dataclass(frozen=True)
class Prompt:
    """A text with its weight (negative pushes away) and its stop.

    The stop is a loss value: once a view's signed distance to the text is below it, that view no longer pulls.
    """

    text: str
    weight: float = 1.0
    stop: float = NO_STOP

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _checked_text(self.text))
        object.__setattr__(self, "weight", checked_number("a prompt's weight", self.weight, -MAX_WEIGHT, MAX_WEIGHT))
        if self.stop != NO_STOP:
            object.__setattr__(self, "stop", checked_number("a prompt's stop", self.stop, -MAX_WEIGHT, MAX_WEIGHT))

    def __str__(self) -> str:
        """Return the shortest spelling that `parse_prompts` reads back as this prompt."""
        weights = _spell(self.weight), repr(self.weight)  # "10" after a digit and a colon would be minutes, "10.0" not
        ends = ["", *(f":{weight}" for weight in weights), *(f":{weight}:{_spell(self.stop)}" for weight in weights)]
        return next(self.text + end for end in ends if _peel(self.text + end) == (self.text, self.weight, self.stop))


@dataclass(frozen=True)
class Job:
    """Everything that decides the picture of one run; what is None is filled in by `resolving.resolve`."""

    prompts: tuple[Prompt, ...]
    backend: str = "vqgan"
    preset: str = AUTO
    size: Size | None = None
    """Width and height in pixels."""
    steps: int | None = None
    seed: int = 0
    lr: float | None = None
    cutouts: int | None = None
    init: str | None = None
    """Path of the picture to start from."""
    init_weight: float = 0.0
    """How strongly the latent is held to that of the init image."""
    clips: tuple[str, ...] = ()
    """Names of the CLIPs that guide, see `clipgen.weights.registry`; empty for the preset's."""
    network: str | None = None
    """Name of the generator's network; None for the preset's."""

    def __post_init__(self) -> None:
        _check_prompts(self.prompts)
        check_choice("--backend", self.backend, BACKENDS)
        check_choice("--preset", self.preset, (AUTO, *PRESETS))
        if self.size is not None:
            object.__setattr__(self, "size", _checked_size(self.size))
        check_whole("--seed", self.seed, 0, MAX_SEED)
        if self.steps is not None:
            check_whole("--steps", self.steps, 1, MAX_STEPS)
        if self.cutouts is not None:
            check_whole("--cutouts", self.cutouts, 1, MAX_CUTOUTS)
        if self.lr is not None:
            object.__setattr__(self, "lr", checked_number("--lr", self.lr, 0.0, MAX_LR))
            _check_positive("--lr", self.lr)
        if self.init is not None:
            object.__setattr__(self, "init", _checked_init(self.init))
        object.__setattr__(self, "init_weight", checked_number("--init-weight", self.init_weight, 0.0, MAX_WEIGHT))
        if self.init_weight and self.init is None:
            raise UsageError(f"--init-weight {self.init_weight:g} needs an init image; add --init FILE")
        object.__setattr__(self, "clips", _checked_clips(self.clips))
        if self.network is not None:
            check_name(f"--{self.backend}", self.network, self.backend)

    @property
    def text(self) -> str:
        """The prompt as it is typed: `parse_prompts(job.text) == job.prompts`."""
        return "|".join(map(str, self.prompts))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a prompt without a stop has null there, as JSON has no infinity."""
        record = asdict(self)
        record["size"] = None if self.size is None else list(self.size)
        record["prompts"] = [
            {"text": p.text, "weight": p.weight, "stop": None if p.stop == NO_STOP else p.stop} for p in self.prompts
        ]
        record["clips"] = list(self.clips)
        for name in ("clips", "network"):
            if not record[name]:  # as records were before jobs could name models
                del record[name]
        return record

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Return the job that `to_dict` described; anything else, as a stranger may send it, is a UsageError."""
        values = checked_record("job", record, {field.name for field in fields(cls)})
        prompts = values.get("prompts")
        if not isinstance(prompts, list):
            raise UsageError(f"job: prompts must be a list, got {quoted(prompts)}")
        return cls(**{**values, "prompts": tuple(map(_prompt_from_dict, prompts))})

    def to_json(self) -> str:
        """Return one line of ASCII."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the job that `to_json` wrote; anything else is a UsageError."""
        return cls.from_dict(load_json("job", text))


def load_json(name: str, text: str) -> object:
    """Parse JSON from anywhere; a UsageError where it is too long, too deep, has NaN, or is none at all."""
    if len(text) > MAX_JSON:
        raise UsageError(f"{name}: the JSON text is longer than {MAX_JSON} characters")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not valid JSON ({error})") from error


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """Read "a cat:2|fog:-0.5:-.2": texts split at "|", each with an optional weight and stop.

    Only numbers at the end are weight and stop; every other colon is part of the text, as is that of a time of day,
    "12:05".
    """
    _check_count(text.count("|") + 1)  # first, as the rest of a text without end takes as long
    return tuple(Prompt(*_peel(piece)) for piece in text.split("|"))


def parse_size(text: str) -> Size:
    """Read "384x256" as width and height; a single number is a square."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[xX*]\s*([0-9]{1,9})\s*)?", text)
    if match is None:
        raise UsageError(f"--size must look like 256x256 (width x height), got {quoted(text)}")
    return _checked_size((int(match[1]), int(match[2] or match[1])))


def _peel(piece: str) -> tuple[str, float, float]:
    """Split one piece of a prompt into text, weight and stop: at most two numbers, from its right end."""
    numbers: list[float] = []
    text = piece
    while len(numbers) < 2:
        rest, colon, last = text.rpartition(":")
        if not colon or not _NUMBER.fullmatch(last.strip()) or _TIME.search(text):
            break
        text = rest
        numbers.insert(0, float(last))
    weight, stop = (*numbers, 1.0, NO_STOP)[:2] if len(numbers) != 1 else (numbers[0], NO_STOP)
    return text.strip(), weight, stop


def _spell(number: float) -> str:
    """Return the shortest text that reads back as exactly this number."""
    return repr(number).removesuffix(".0")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _checked_text(text: object) -> str:
    """Return the text on one line with single spaces, or raise a UsageError."""
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


def _checked_clips(names: object) -> tuple[str, ...]:
    """Return the names of CLIPs, each once, as a tuple; `UsageError` for anything else."""
    if not isinstance(names, list | tuple):
        raise UsageError(f"--clip must be a list of names, got {quoted(names)}")
    for name in names:
        check_name("--clip", name, "clip")
    if len(names) > MAX_CLIPS:
        raise UsageError(f"--clip can be given up to {MAX_CLIPS} times, got {len(names)}")
    if len(set(names)) < len(names):
        raise UsageError("--clip names the same CLIP twice; name each once")
    return tuple(names)


def _check_prompts(prompts: object) -> None:
    if not isinstance(prompts, tuple) or not all(isinstance(prompt, Prompt) for prompt in prompts):
        raise UsageError(f"prompts must be a tuple of Prompt (see parse_prompts), got {quoted(prompts)}")
    _check_count(len(prompts))
    if all(prompt.weight == 0.0 for prompt in prompts):
        raise UsageError("every weight of the prompt is 0, so nothing would be drawn; give one text another weight")


def _check_count(texts: int) -> None:
    if not 1 <= texts <= MAX_PROMPTS:
        raise UsageError(f"the prompt must have 1 to {MAX_PROMPTS} texts, got {texts}")


def check_choice(flag: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a UsageError unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise unknown_value(flag, value, choices)


def check_whole(flag: str, value: object, low: int, high: int) -> None:
    """Raise a UsageError unless the value is a whole number in the range."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{flag} must be a whole number from {low} to {high}, got {quoted(value)}")


def checked_number(flag: str, value: object, low: float, high: float) -> float:
    """Return the value as a float; a UsageError unless it is a number in the range."""
    # Comparing before float(): a whole number of a thousand digits does not fit a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{flag} must be a number from {low:g} to {high:g}, got {quoted(value)}")
    return float(value)


def _check_positive(flag: str, value: float | None) -> None:
    if value == 0.0:
        raise UsageError(f"{flag} must be above 0, got 0")


def _checked_size(size: object) -> Size:
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise UsageError(f"--size must be a width and a height, got {quoted(size)}")
    for name, side in zip(("width", "height"), size, strict=True):
        check_whole(f"the {name} of --size", side, 1, MAX_SIDE)
    return size[0], size[1]


def _checked_init(init: object) -> str:
    path = os.fspath(init) if isinstance(init, os.PathLike) else init
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"--init must be the path of an image file, got {quoted(init)}")
    return path


def checked_record(name: str, record: object, known: set[str]) -> dict[str, Any]:
    """Copy a JSON object that has only known keys."""
    if not isinstance(record, Mapping):
        raise UsageError(f"{name}: must be a JSON object, got {quoted(record)}")
    for key in record:
        if key not in known:
            raise unknown_value(f"{name}: the key", key, known)
    return dict(record)


def _prompt_from_dict(record: object) -> Prompt:
    values = checked_record("job prompt", record, {"text", "weight", "stop"})
    if "text" not in values:
        raise UsageError("job prompt: the key text is missing")
    if values.get("stop") is None:
        values["stop"] = NO_STOP
    return Prompt(**values)

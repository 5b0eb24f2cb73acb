"""The settings that the page offers; texts, choices and defaults are those of the command line. Torch-free.

What a field takes is checked where the command line checks it, when the job is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from clipgen import __version__
from clipgen.cli.edit_options import EditOptions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.option_groups import Option
from clipgen.cli.options import PictureOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.steering_options import SteeringOptions
from clipgen.cli.target_options import TargetOptions
from clipgen.config.courses import MAX_CUTOUTS
from clipgen.config.edits import MAX_FEATHER
from clipgen.config.films import MAX_FPS, MAX_SECONDS, MIN_SECONDS
from clipgen.config.job import MAX_SEED, MAX_STEPS
from clipgen.config.levels import MAX_LEVELS
from clipgen.config.losses import OF_PICTURE
from clipgen.config.preset import AUTO, DALLE_MINI, INIT, NOISE, OWN, PATTERNS, PRIOR, UNCLIP
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import MAX_WEIGHT
from clipgen.config.strokes import MAX_COUNT
from clipgen.errors import UsageError, unknown_value
from clipgen.generators import GENERATORS
from clipgen.util.text import quoted
from clipgen.web.uploads import MAX_BYTES

INT, FLOAT, BOOL, CHOICE, TEXT, SIZE = "int", "float", "bool", "choice", "text", "size"
MAX_TEXT = 2000
PIXELS = 50_000_000
"""Of an upload, see `clipgen.util.images.MAX_PIXELS`, which loads torch."""
AUTO_SUMMARY = "the best of the presets whose models are on this machine"
FILM_TIMING = ("fps", "film_length")
"""Fields that are about the films and not about the picture."""

_GROUPS = (PictureOptions, EngineOptions, EditOptions, SteeringOptions, TargetOptions, OutputOptions)


@dataclass(frozen=True)
class Field:
    """One setting: how it is shown, and what the page lets a user type."""

    name: str
    """As `clipgen.generate` has it, or the timing of films."""
    label: str
    group: str
    type: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    """If they are not those of the option."""
    option: str = ""
    """The name of the option's field on the command line, if it is another one."""


_ROWS: tuple[Field, ...] = (
    Field("preset", "Preset", "Models", CHOICE, choices=(AUTO, *(name for name in PRESETS if name != OWN))),
    Field("backend", "Generator", "Models", CHOICE, choices=tuple(GENERATORS)),
    Field("recipe", "Loop of another program", "Models", CHOICE),
    Field("precision", "Precision", "Models", CHOICE),
    Field("size", "Size", "Picture", SIZE),
    Field("steps", "Steps", "Picture", INT, 1, MAX_STEPS, 1),
    Field("seed", "Seed", "Picture", INT, 0, MAX_SEED, 1),
    Field("start", "Start from", "Picture", CHOICE, choices=(NOISE, UNCLIP, PRIOR, DALLE_MINI, INIT, *PATTERNS)),
    Field("tile", "Edges fit together", "Picture", BOOL),
    Field("init_weight", "Hold to the image", "Starting image", FLOAT, 0, MAX_WEIGHT, 0.1),
    Field("init_noise", "Noise on the image", "Starting image", FLOAT, 0, 1, 0.05),
    Field("feather", "Soft edge of the mask", "Starting image", FLOAT, 0, MAX_FEATHER, 0.01),
    Field("inside", "Inside the mask", "Starting image", CHOICE),
    Field("extend", "Extend the image", "Starting image", TEXT),
    Field("losses", "Further losses", "Guidance", TEXT, option="loss"),
    Field("templates", "Texts are labels", "Guidance", BOOL),
    Field("cutouts", f"Cutouts, up to {MAX_CUTOUTS}", "Guidance", TEXT),
    Field("lr", "Learning rate", "Guidance", TEXT),
    Field("optimizer", "Optimiser", "Guidance", CHOICE),
    Field("levels", "Resolutions of the latent", "Guidance", INT, 1, MAX_LEVELS, 1),
    Field("coarse_to_fine", "Coarse to fine", "Guidance", FLOAT, 0, MAX_LEVELS, 0.1),
    Field("strokes", "Strokes", "Strokes", INT, 1, MAX_COUNT, 1),
    Field("stroke_width", "Width of strokes", "Strokes", TEXT),
    Field("fps", "Frames a second", "Films", INT, 1, MAX_FPS, 1),
    Field("film_length", "Seconds", "Films", FLOAT, MIN_SECONDS, MAX_SECONDS, 0.5),
)
FIELDS: Mapping[str, Field] = {field.name: field for field in _ROWS}


@cache
def _declared() -> dict[str, Option]:
    """Return the options of the command line by the names of their fields."""
    hints = [get_type_hints(group, include_extras=True) for group in _GROUPS]
    return {name: hint.__metadata__[0] for group in hints for name, hint in group.items()}


def _described(field: Field) -> dict[str, Any]:
    option = _declared()[field.option or field.name]
    usual = f" Default: {option.default}." if option.default else ""
    return {
        "name": field.name,
        "label": field.label,
        "group": field.group,
        "type": field.type,
        "default": None,
        "min": field.low,
        "max": field.high,
        "step": field.step,
        "choices": list((field.choices or option.choices) if field.type == CHOICE else ()),
        "help": option.text + usual,
    }


@cache
def described() -> dict[str, Any]:
    """Return what the page offers."""
    presets = {AUTO: AUTO_SUMMARY} | {name: row.summary for name, row in PRESETS.items() if name != OWN}
    return {
        "version": __version__,
        "presets": [{"name": name, "summary": summary} for name, summary in presets.items()],
        "backends": [{"name": name, "summary": row.summary} for name, row in GENERATORS.items()],
        "fields": list(map(_described, _ROWS)),
        "limits": {"upload_bytes": MAX_BYTES, "pixels": PIXELS},
    }


def read_settings(values: object) -> dict[str, Any]:
    """Return untrusted settings as `clipgen.generate` takes them, and the timing of films. Raises UsageError.

    Settings that are null or empty are left out.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"settings must be an object, got {quoted(values)}")
    for name in values:
        if name not in FIELDS:
            raise unknown_value("a setting", name, FIELDS)
    return {
        name: _READERS[FIELDS[name].type](FIELDS[name], value)
        for name, value in values.items()
        if value is not None and value != ""
    }


def _read_int(field: Field, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{field.name} must be a whole number, got {quoted(value)}")
    return value


def _read_float(field: Field, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{field.name} must be a number, got {quoted(value)}")
    return value


def _read_bool(field: Field, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{field.name} must be true or false, got {quoted(value)}")
    return value


def _read_choice(field: Field, value: object) -> str:
    choices = field.choices or _declared()[field.option or field.name].choices
    if not isinstance(value, str) or value not in choices:
        raise unknown_value(field.name, value, choices)
    return value


def _read_text(field: Field, value: object) -> str | tuple[str, ...]:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{field.name} must be text, got {quoted(value)}")
    text = str(value)
    if len(text) > MAX_TEXT:
        raise UsageError(f"{field.name} is longer than {MAX_TEXT} characters")
    if field.name != "losses":
        return text
    if OF_PICTURE in text:
        raise UsageError("losses cannot name files here; write colours, as in palette:5:navy,gold")
    return tuple(text.split())


_READERS: dict[str, Callable[[Field, object], Any]] = {
    INT: _read_int,
    FLOAT: _read_float,
    BOOL: _read_bool,
    CHOICE: _read_choice,
    TEXT: _read_text,
    SIZE: _read_text,
}

"""The recipe of a picture, inside its PNG file.

Two text chunks: `clipgen` is JSON and holds the whole job, without loss; `parameters` is the text that web UIs for
image generation read. Neither names a user, a host or a folder: of an init image only the file name and hash are kept.
"""

import hashlib
import json
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from clipgen import __version__
from clipgen.config.job import (
    MAX_CUTOUTS,
    MAX_STEPS,
    Job,
    Prompt,
    check_choice,
    check_whole,
    checked_number,
    checked_record,
    load_json,
)
from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Outcome
from clipgen.errors import UsageError
from clipgen.util.text import one_line, quoted

SCHEMA = 1
CHUNK = "clipgen"
WEB_UI_CHUNK = "parameters"

MAX_BYTES = 200_000_000
MAX_VERSION = 40
MAX_REASON = 120


@dataclass(frozen=True)
class Recipe:
    """What a picture says of itself, checked: what was asked for, and what came of it."""

    job: Job
    """Its init is a file name at most, and a stranger's word: never a path to open."""
    init_sha256: str | None
    """Of the init image, where there is one."""
    outcome: Outcome
    steps_done: int
    score: float
    loss: float
    version: str = __version__
    views_at_once: int | None = None
    """Where memory ran out: how many views of the picture were looked at together."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the record inside the picture."""
        return describe_run(
            _asked(self.job, self.init_sha256),
            outcome=self.outcome,
            steps_done=self.steps_done,
            score=self.score,
            loss=self.loss,
            version=self.version,
            views_at_once=self.views_at_once,
        )

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Return the recipe that `to_dict` described; anything else, as a stranger may send it, is a UsageError."""
        values = _checked_keys(record)
        job = Job.from_dict(values["job"])
        check_choice("outcome", values["outcome"], tuple(outcome.value for outcome in Outcome))
        check_whole("steps_done", values["steps_done"], 0, MAX_STEPS)
        return cls(
            job,
            _checked_hash(job, values.get("init_sha256")),
            Outcome(values["outcome"]),
            values["steps_done"],
            checked_number("clip_score", values["clip_score"], -sys.float_info.max, sys.float_info.max),
            checked_number("loss", values["loss"], -sys.float_info.max, sys.float_info.max),
            _checked_version(values["version"]),
            _checked_views(values.get("views_at_once")),
        )


def describe_job(job: Job) -> dict[str, Any]:
    """Return the part of the record that says what was asked for; equal for equal jobs, and safe to publish."""
    if job.init is None:
        return _asked(job, None)
    return _asked(replace(job, init=Path(job.init).name), hash_file(job.init))


def _asked(job: Job, init_sha256: str | None) -> dict[str, Any]:
    return {"job": job.to_dict()} | ({"init_sha256": init_sha256} if init_sha256 else {})


def hash_file(init: str) -> str:
    """Return the SHA-256 of the init image, in hexadecimal."""
    try:
        with Path(init).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"--init {init} can no longer be read ({error.strerror}); put it back") from error


def describe_run(
    asked: dict[str, Any],
    *,
    outcome: Outcome,
    steps_done: int,
    score: float,
    loss: float,
    version: str = __version__,
    views_at_once: int | None = None,
) -> dict[str, Any]:
    """Return the whole record of one picture: what was asked for, from `describe_job`, and what came of it."""
    spared = {} if views_at_once is None else {"views_at_once": views_at_once}
    return spared | {
        "schema": SCHEMA,
        "version": version,
        **asked,
        "outcome": outcome.value,
        "steps_done": steps_done,
        "clip_score": score,
        "loss": loss,
    }


def png_chunks(job: Job, record: dict[str, Any]) -> PngInfo:
    """Build both chunks, to save with a picture."""
    info = PngInfo()
    info.add_text(CHUNK, json.dumps(record))
    info.add_text(WEB_UI_CHUNK, web_ui_text(job))
    return info


def read(path: Path) -> dict[str, Any] | None:
    """Return the record inside a PNG file, or nothing where there is none. It may come from a stranger: unchecked."""
    try:
        record = _read_record(path)
    except UsageError:
        return None
    return record if isinstance(record, dict) else None


def read_recipe(path: Path) -> Recipe:
    """Return the recipe inside a PNG file; where there is none that is whole and legal, a UsageError says why."""
    record = _read_record(path)
    try:
        return Recipe.from_dict(record)
    except UsageError as error:
        raise UsageError(f"the recipe of {str(path)!r} cannot be used: {error}") from error


def _read_record(path: Path) -> object:
    texts = _read_texts(path)
    if CHUNK in texts:
        return load_json(f"the recipe of {str(path)!r}", texts[CHUNK])
    reason = "clipgen did not make it, or was told --no-metadata"
    if WEB_UI_CHUNK in texts:
        reason = "the settings in it are in the form of other programs alone"
    raise UsageError(f"{str(path)!r} has no clipgen recipe: {reason}")


def _read_texts(path: Path) -> dict[str, str]:
    """Return the text chunks of a PNG file, without decoding the picture."""
    try:
        if not path.is_file():  # a device or a pipe could block for ever
            raise UsageError(f"{str(path)!r} is not a file; check the path")
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{str(path)!r} is larger than {MAX_BYTES // 10**6} MB, as no picture of clipgen is")
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("PNG",)) as image:
            return {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        raise UsageError(f"{str(path)!r} is not a PNG file, or a damaged one; name a picture of clipgen") from error
    except Exception as error:  # On damaged files decoders raise whatever they stumble on.
        reason = getattr(error, "strerror", None) or one_line(str(error), MAX_REASON)
        raise UsageError(f"{str(path)!r} cannot be read as a PNG file ({reason})") from error


def _checked_keys(record: object) -> dict[str, Any]:
    """Copy a record of this schema that has every key, and no other."""
    if isinstance(record, Mapping) and record.get("schema") != SCHEMA:
        raise UsageError(f"clipgen {__version__} reads schema {SCHEMA}, got {quoted(record.get('schema'))}")
    needed = {"schema", "version", "job", "outcome", "steps_done", "clip_score", "loss"}
    values = checked_record("recipe", record, {*needed, "init_sha256", "views_at_once"})
    if missing := sorted(needed - values.keys()):
        raise UsageError(f"recipe: the key {missing[0]} is missing")
    return values


def _checked_hash(job: Job, value: object) -> str | None:
    """Return the hash of the init image, which is there where the job has a plain file name for it."""
    if job.init is None and value is None:
        return None
    if job.init is None or Path(job.init).name != job.init:
        raise UsageError(f"job: init must be a file name without a folder, got {quoted(job.init)}")
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise UsageError(f"recipe: init_sha256 must be 64 hexadecimal digits, got {quoted(value)}")
    return value


def _checked_views(value: object) -> int | None:
    if value is None:
        return None
    check_whole("views_at_once", value, 1, MAX_CUTOUTS)
    return cast(int, value)


def _checked_version(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_VERSION:
        raise UsageError(f"recipe: version must be text of up to {MAX_VERSION} characters, got {quoted(value)}")
    return value


def is_done(path: Path, job: Job) -> bool:
    """Tell whether `path` is the finished picture of exactly this job."""
    record = read(path)
    wanted = {"outcome": Outcome.FINISHED.value, **describe_job(job)}
    return record is not None and all(record.get(key) == value for key, value in wanted.items())


def web_ui_text(job: Job) -> str:
    """Write the `parameters` text: the prompt, a line with what to avoid, and a line of `Key: value` pairs."""
    size = job.size and f"{job.size[0]}x{job.size[1]}"
    pairs = {
        "Steps": job.steps,
        "Sampler": PRESETS[job.preset].generators[job.backend].optimizer if job.preset in PRESETS else None,
        "Seed": job.seed,
        "Size": size,
        "Model": f"{job.backend} {job.preset}",
        "Learning rate": job.lr,
        "Cutouts": job.cutouts,
        "Version": f"clipgen {__version__}",
    }
    wanted = _joined(prompt for prompt in job.prompts if prompt.weight >= 0)
    avoided = _joined(prompt for prompt in job.prompts if prompt.weight < 0)
    lines = [wanted, f"Negative prompt: {avoided}" if avoided else ""]
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None))
    return "\n".join(filter(None, lines))


def _joined(prompts: Iterable[Prompt]) -> str:
    return "|".join(prompt.text for prompt in prompts)


def _quoted(value: object) -> str:
    """Quote a value where it holds one of the characters that separate pairs."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text

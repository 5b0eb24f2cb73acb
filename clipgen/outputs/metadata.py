"""The recipe of a picture, inside its file.

A PNG has two text chunks: `clipgen` is JSON and holds the complete plan; `parameters` is the text that web UIs for
image generation read. Neither names a user, a host or a folder: of an init image only file name and hash are stored.
"""

import hashlib
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from PIL import Image

from clipgen import __version__
from clipgen.config.checks import check_choice, check_whole, checked_number, checked_record, load_json
from clipgen.config.courses import MAX_CUTOUTS
from clipgen.config.job import MAX_STEPS, Job
from clipgen.config.plan import Plan, spell
from clipgen.config.prompts import Prompt
from clipgen.config.schema1 import plan_of_job
from clipgen.core.contracts import Outcome
from clipgen.errors import UsageError
from clipgen.outputs.embedded import RECIPE, is_whole_picture, texts_in
from clipgen.util.text import quoted

SCHEMA = 2
JOB_SCHEMA = 1
"""The schema of recipes that hold a job, see `clipgen.config.schema1`."""
CHUNK = RECIPE
WEB_UI_CHUNK = "parameters"

MAX_VERSION = 40


@dataclass(frozen=True)
class Recipe:
    """The validated recipe of a picture: its plan, and how the run ended."""

    plan: Plan
    """Its `init` is at most a file name, and untrusted: never a path to open."""
    init_sha256: str | None
    """Of the init image, if there is one."""
    outcome: Outcome
    steps_done: int
    score: float
    loss: float
    version: str = __version__
    cutouts_at_once: int | None = None
    """If memory was short: how many cutouts of the picture were processed together."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the record inside the picture."""
        return describe_run(
            described_as(self.plan, self.init_sha256),
            outcome=self.outcome,
            steps_done=self.steps_done,
            score=self.score,
            loss=self.loss,
            version=self.version,
            cutouts_at_once=self.cutouts_at_once,
        )

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Return the recipe of an untrusted record; raises UsageError unless `to_dict` could have made it."""
        values = _checked_keys(record)
        plan = read_plan(values)
        check_choice("outcome", values["outcome"], tuple(outcome.value for outcome in Outcome))
        check_whole("steps_done", values["steps_done"], 0, MAX_STEPS)
        return cls(
            plan,
            _checked_hash(plan, values.get("init_sha256")),
            Outcome(values["outcome"]),
            values["steps_done"],
            checked_number("clip_score", values["clip_score"], -sys.float_info.max, sys.float_info.max),
            checked_number("loss", values["loss"], -sys.float_info.max, sys.float_info.max),
            _checked_version(values["version"]),
            _checked_count(values.get("cutouts_at_once", values.get("views_at_once"))),
        )


def describe_plan(plan: Plan, init_sha256: str | None = None) -> dict[str, Any]:
    """Return the part of the record that describes the plan; equal for equal plans, and safe to publish.

    init_sha256: of the init image, if it is known; otherwise the file that the plan names is read. Raises UsageError.
    """
    return described_as(plan.published, (init_sha256 or hash_file(plan.init)) if plan.init else None)


def read_plan(record: Mapping[str, Any]) -> Plan:
    """Return the plan of a record, resolved from its job if it has JOB_SCHEMA. Raises UsageError."""
    if record.get("schema") == JOB_SCHEMA:
        return plan_of_job(Job.from_dict(record.get("job")))
    return Plan.from_dict(record.get("plan"))


def described_as(plan: Plan, init_sha256: str | None) -> dict[str, Any]:
    """Return the part of the record that describes a plan whose `init` is a file name."""
    record = json.loads(plan.to_json())  # lists, as they come out of a file
    return {"plan": record} | ({"init_sha256": init_sha256} if init_sha256 else {})


def hash_file(path: str, flag: str = "--init") -> str:
    """Return the SHA-256 of the image of a flag, in hexadecimal; raises UsageError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{flag} {path} can no longer be read ({error.strerror}); put it back") from error


def hash_image(image: Image.Image) -> str:
    """Return the SHA-256, in hexadecimal, of the PNG file as which Pillow saves an RGB image."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return hashlib.sha256(file.getvalue()).hexdigest()


def describe_run(
    described: dict[str, Any],
    *,
    outcome: Outcome,
    steps_done: int,
    score: float,
    loss: float,
    version: str = __version__,
    cutouts_at_once: int | None = None,
) -> dict[str, Any]:
    """Return the complete record of one picture: its plan, as `describe_plan` returned it, and the outcome."""
    short = {} if cutouts_at_once is None else {"cutouts_at_once": cutouts_at_once}
    return short | {
        "schema": SCHEMA,
        "version": version,
        **described,
        "outcome": outcome.value,
        "steps_done": steps_done,
        "clip_score": score,
        "loss": loss,
    }


def read(path: Path) -> dict[str, Any] | None:
    """Return the unchecked, untrusted record inside a picture file; None if there is none."""
    try:
        record = _read_record(path)
    except UsageError:
        return None
    return record if isinstance(record, dict) else None


def read_recipe(path: Path) -> Recipe:
    """Return the recipe inside a picture file; raises UsageError if there is no complete and valid one."""
    record = _read_record(path)
    try:
        return Recipe.from_dict(record)
    except UsageError as error:
        raise UsageError(f"the recipe of {str(path)!r} cannot be used: {error}") from error


def _read_record(path: Path) -> object:
    texts = texts_in(path)
    if CHUNK in texts:
        return load_json(f"the recipe of {str(path)!r}", texts[CHUNK])
    reason = "clipgen did not make it, or ran with --no-metadata"
    if WEB_UI_CHUNK in texts:
        reason = "it holds only the settings of another program"
    raise UsageError(f"{str(path)!r} has no clipgen recipe: {reason}")


def _checked_keys(record: object) -> dict[str, Any]:
    """Copy a record of a known schema with every required key and no unknown one; raises UsageError otherwise."""
    schema = record.get("schema") if isinstance(record, Mapping) else SCHEMA
    if schema not in (SCHEMA, JOB_SCHEMA) or isinstance(schema, bool):
        raise UsageError(f"clipgen {__version__} reads schema {JOB_SCHEMA} and {SCHEMA}, got {quoted(schema)}")
    asked, at_once = ("job", "views_at_once") if schema == JOB_SCHEMA else ("plan", "cutouts_at_once")
    needed = {"schema", "version", asked, "outcome", "steps_done", "clip_score", "loss"}
    values = checked_record("recipe", record, {*needed, "init_sha256", at_once})
    if missing := sorted(needed - values.keys()):
        raise UsageError(f"recipe: the key {missing[0]} is missing")
    return values


def _checked_hash(plan: Plan, value: object) -> str | None:
    """Return the hash of the init image, which is required if the plan has one, under a plain file name."""
    if any(Path(name).name != name for name in plan.files):
        raise UsageError("recipe: files must be named without a folder")
    if not plan.init and value is None:
        return None
    if not plan.init or Path(plan.init).name != plan.init:
        raise UsageError(f"recipe: init must be a file name without a folder, got {quoted(plan.init)}")
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise UsageError(f"recipe: init_sha256 must be 64 hexadecimal digits, got {quoted(value)}")
    return value


def _checked_count(value: object) -> int | None:
    if value is None:
        return None
    check_whole("cutouts_at_once", value, 1, MAX_CUTOUTS)
    return cast(int, value)


def _checked_version(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_VERSION:
        raise UsageError(f"recipe: version must be text of up to {MAX_VERSION} characters, got {quoted(value)}")
    return value


def is_done(path: Path, described: Mapping[str, Any]) -> bool:
    """Tell whether `path` is the finished picture, whole, of exactly the plan that `describe_plan` described."""
    try:
        recipe = read_recipe(path)
    except UsageError:
        return False
    same = recipe.outcome is Outcome.FINISHED and described_as(recipe.plan, recipe.init_sha256) == described
    return same and is_whole_picture(path)


def web_ui_text(plan: Plan) -> str:
    """Return the `parameters` text: the prompt, the negative prompt, and a line of `Key: value` pairs."""
    pairs = {
        "Steps": plan.steps,
        "Sampler": plan.generator.optimizer,
        "Seed": plan.seed,
        "Size": spell(plan.size),
        "Model": f"{plan.backend} {plan.preset}",
        "Learning rate": plan.lr,
        "Cutouts": plan.cutouts,
        "Version": f"clipgen {__version__}",
    }
    for row in plan.upscale:
        pairs |= {"Hires upscale": row.factor, "Hires upscaler": row.network or "Lanczos"}
    wanted = _joined(prompt for prompt in plan.prompts if prompt.peak >= 0)
    avoided = _joined(prompt for prompt in plan.prompts if prompt.peak < 0)
    lines = [wanted, f"Negative prompt: {avoided}" if avoided else ""]
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items()))
    return "\n".join(filter(None, lines))


def _joined(prompts: Iterable[Prompt]) -> str:
    return "|".join(prompt.text for prompt in prompts)


def _quoted(value: object) -> str:
    """Quote a value that contains a character that separates pairs."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text

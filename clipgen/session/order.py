"""What a run is to make, as its state holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from clipgen import __version__
from clipgen.config.checks import check_whole
from clipgen.config.films import BY_STROKE, FPS, USUAL, Timing
from clipgen.config.job import MAX_STEPS
from clipgen.config.plan import Plan
from clipgen.config.saving import AS_PNG, PNG, Saving
from clipgen.config.strokes import STROKES
from clipgen.errors import UsageError
from clipgen.outputs.metadata import JOB_SCHEMA, describe_plan, described_as, read_plan
from clipgen.session.checksum import FIELD, record_digest
from clipgen.session.naming import SVG

SCHEMA = 2
MAX_VERSION = 40

_LATER = {"fps", "film_length", "by_stroke", "every_step", "pngs", "format", "quality", "mark", "keep_state"}
"""Keys that a record has only if these were asked for."""
_KEYS = {"schema", "version", "plan", "asked", "init_sha256", "films", "metadata", "run", "init_png", FIELD} | _LATER
_CHECKED = {"run", "init_png", "pngs", FIELD}
"""Keys that a record of an earlier version has not."""


@dataclass(frozen=True)
class Order:
    """What to make of one plan."""

    plan: Plan
    """Its `init` is a file name, never a path to open."""
    described: dict[str, Any]
    """The result of `describe_plan`."""
    films: tuple[str, ...] = ()
    saving: Saving = AS_PNG
    """How the picture is stored."""
    run: str = field(default="", compare=False)
    """Names the run in all files of its state; empty for a state of an earlier version, which has no checksums."""
    init_png: str = field(default="", compare=False)
    """SHA-256 of the init image as the state has it; empty without one."""
    timing: Timing = USUAL
    """What the films are asked to have."""
    every_step: int | None = None
    """Steps between two pictures in the folder of step pictures; None for no such folder."""
    pngs: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Names of the other images in the state, and their SHA-256."""
    keep_state: bool | None = None
    """Whether the state is kept after the run has finished; None for a state of an earlier version."""

    def __post_init__(self) -> None:
        """Raise a UsageError if a film is to draw strokes where there are none."""
        if self.timing.by_stroke and not self.plan.generator.strokes:
            raise UsageError(f"{BY_STROKE} goes with --backend {STROKES}, not with {self.plan.backend}")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of the files that it asks for, that of the picture first."""
        return (self.saving.suffix, *([SVG] if self.plan.generator.strokes else []), *self.films)

    @classmethod
    def of(
        cls,
        plan: Plan,
        films: Sequence[str] = (),
        *,
        saving: Saving = AS_PNG,
        timing: Timing = USUAL,
        every_step: int | None = None,
        init_sha256: str | None = None,
        keep_state: bool | None = None,
    ) -> Self:
        """Return the order for a plan; init_sha256: as for `describe_plan`."""
        described = describe_plan(plan, init_sha256)
        own = Plan.from_dict(described["plan"])
        return cls(own, described, tuple(films), saving, timing=timing, every_step=every_step, keep_state=keep_state)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        made = {"schema": SCHEMA, "version": __version__}
        record = {**made, **self.described, "films": list(self.films), "metadata": self.saving.metadata}
        later: dict[str, Any] = {
            "fps": self.timing.fps,
            "film_length": self.timing.seconds,
            "every_step": self.every_step,
            "keep_state": self.keep_state,
        }
        later |= {"by_stroke": self.timing.by_stroke or None, "quality": self.saving.quality}
        later |= {"format": None if self.saving.suffix == PNG else self.saving.suffix, "mark": self.saving.mark}
        record |= {name: value for name, value in later.items() if value is not None}
        if not self.run:
            return record
        record |= {"run": self.run} | ({"init_png": self.init_png} if self.init_png else {})
        record |= {"pngs": dict(self.pngs)} if self.pngs else {}
        return {**record, FIELD: record_digest(record)}

    @classmethod
    def from_dict(cls, record: Any) -> Self:
        """Return the order that `to_dict` described; raises KeyError, TypeError, ValueError or UsageError otherwise."""
        _check_record(record)
        old = record["schema"] == JOB_SCHEMA
        asked = {**record["asked"], "schema": JOB_SCHEMA} if old else record
        plan, digest = read_plan(asked), asked.get("init_sha256")
        if bool(plan.init) != bool(digest) or not (digest is None or _is_digest(digest)):
            raise ValueError("not the hash of an init image")
        films, run, init_png = record["films"], record.get("run", ""), record.get("init_png", "")
        timing = Timing(record.get("fps"), record.get("film_length"), record.get("by_stroke", False))
        described, every = described_as(plan, digest), record.get("every_step")
        pngs = tuple(record.get("pngs", {}).items())
        marked = record.get("mark", False)  # in a state of an earlier version, none was asked for
        saving = Saving(record.get("format", PNG), record.get("quality"), record["metadata"], marked)
        kept = record.get("keep_state")
        return cls(plan, described, tuple(films), saving, run, init_png, timing, every, pngs, kept)

    def with_steps(self, steps: int) -> Self:
        """Return the order with this number of steps."""
        plan = replace(self.plan, steps=steps)
        return replace(self, plan=plan, described={**self.described, "plan": json.loads(plan.to_json())})


def _check_record(record: Any) -> None:
    """Raise what `from_dict` does unless a record has the keys that it may have, and the checksum that it must."""
    if not record.keys() <= _KEYS:
        raise ValueError("an order with an unknown key")
    films, version = record["films"], record["version"]
    if not isinstance(films, list) or not set(films) <= set(FPS) or len(set(films)) < len(films):
        raise ValueError("not an order of clipgen")
    if not all(isinstance(record.get(name, True), bool) for name in ("metadata", "mark", "keep_state")):
        raise ValueError("not an order of clipgen")
    if not isinstance(version, str) or len(version) > MAX_VERSION:
        raise ValueError("not an order of clipgen")
    if record["schema"] not in (SCHEMA, JOB_SCHEMA) or isinstance(record["schema"], bool):
        raise UsageError("it is of a later clipgen")
    if "every_step" in record:
        check_whole("the number of steps between two pictures", record["every_step"], 1, MAX_STEPS)
    if not record.keys() & _CHECKED:
        return
    if record[FIELD] != record_digest(record) or not re.fullmatch("[0-9a-f]{16}", record["run"]):
        raise ValueError("its checksum is wrong")
    if not all(map(_is_digest, [*record.get("pngs", {}).values(), record.get("init_png", "0" * 64)])):
        raise ValueError("not the hash of an image")


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None

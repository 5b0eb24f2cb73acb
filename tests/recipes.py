"""Recipes that clipgen did not write, the pictures that carry them, and how each is refused."""

import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import Result

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Outcome
from clipgen.outputs.metadata import CHUNK, Recipe

JOB = Job(parse_prompts("red"), preset="starter")
RECIPE = Recipe(resolve(JOB)[0], None, Outcome.FINISHED, 3, 0.25, 0.5)


def png_with(text: str, key: str = CHUNK, path: str = "foreign.png") -> Path:
    chunks = PngInfo()
    chunks.add_text(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)
    return Path(path)


def recipe_with(changes: dict[str, Any]) -> str:
    """Write a good recipe, but for some parts: keys of the record, and after dots of what is in it."""
    return _changed(RECIPE.to_dict(), changes)


def old_recipe_with(changes: dict[str, Any], job: Job = JOB) -> str:
    """The same of schema 1, which holds what was asked for in place of the plan."""
    made = {"outcome": "finished", "steps_done": 3, "clip_score": 0.25, "loss": 0.5}
    return _changed({"schema": 1, "version": RECIPE.version, "job": job.to_dict(), **made}, changes)


def _changed(record: dict[str, Any], changes: dict[str, Any]) -> str:
    for name, value in changes.items():
        *outer, last = name.split(".")
        place: Any = record
        for key in outer:
            place = place[key]
        place[last] = value
    return json.dumps(record)


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 600
    assert result.stderr[:-1].isprintable()
    assert result.stdout == ""

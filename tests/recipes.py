"""Recipes that clipgen did not write, the pictures that carry them, and how each is refused."""

import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import Result

from clipgen.config.job import Job, parse_prompts
from clipgen.core.contracts import Outcome
from clipgen.outputs.metadata import CHUNK, Recipe

RECIPE = Recipe(Job(parse_prompts("red")), None, Outcome.FINISHED, 3, 0.25, 0.5)


def png_with(text: str, key: str = CHUNK, path: str = "foreign.png") -> Path:
    chunks = PngInfo()
    chunks.add_text(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)
    return Path(path)


def recipe_with(changes: dict[str, Any]) -> str:
    """Write a good recipe, but for some parts: a key of the record or, with a dot, of its job."""
    record = RECIPE.to_dict()
    for name, value in changes.items():
        place = record["job"] if name.startswith("job.") else record
        place[name.removeprefix("job.")] = value
    return json.dumps(record)


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 600
    assert result.stderr[:-1].isprintable()
    assert result.stdout == ""

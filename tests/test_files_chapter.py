"""The chapter on files: every command in it does what it says, typed one after the other in an empty folder."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image

from clipgen.config.saving import QUALITY
from clipgen.config.upscales import MAX_PIXELS
from clipgen.engine.upscaling import CONTEXT, SEAM, TILES

CHAPTER = (Path(__file__).parent.parent / "examples" / "files" / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", CHAPTER, re.DOTALL) for line in block.strip().splitlines()]
PROMPT = "a red boat"
SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2")


def typed(line: str) -> list[str]:
    """The arguments of a command, on the models that tests use: these know few words."""
    args = ["red" if arg == PROMPT else arg for arg in shlex.split(line)[1:]]
    return [*args, *SMALL] if args[0] == "red" else args


def test_the_commands_work_one_after_the_other(cli: Cli) -> None:
    pytest.importorskip("c2pa", reason="clipgen[c2pa] is not installed")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    for line in LINES:
        program = line.split()[0]
        if program == "clipgen":
            result = cli(*typed(line))
            assert result.exit_code == 0, f"{line}: {result.stderr}"
        elif program != "exiftool" or shutil.which(program):
            subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    for name, side in {"boat.png": 32, "large.png": 128, "twice.jpg": 64, "small.png": 32}.items():
        with Image.open(name) as image:
            assert image.size == (side, side), name
    assert Path("signed.jpg").stat().st_size > Path("boat.jpg").stat().st_size + 1000


def test_the_numbers_are_those_of_the_program() -> None:
    assert f"`--quality`, {QUALITY} unless" in CHAPTER
    assert f"in tiles of {TILES[0]} pixels, smaller ones if memory is short." in CHAPTER
    assert f"{CONTEXT} pixels more are seen ({2 * CONTEXT}\nif the network folds pixels first)" in CHAPTER
    assert f"over {SEAM}." in CHAPTER
    assert f"Up to {MAX_PIXELS // 10**6} million pixels" in CHAPTER

"""The README installs and tests as CI does, and its exit codes and presets are those of the program."""

import re
from pathlib import Path

import pytest

from clipgen import errors
from clipgen.config.preset import OWN, Preset
from clipgen.config.presets import PRESETS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
INSTALL, CHECK = BLOCKS[0], next(block for block in BLOCKS if "python -m pytest" in block)
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def pip_commands(lines: list[str]) -> list[str]:
    return [line.replace("--quiet ", "") for line in lines if line.startswith("pip ")]


def test_the_first_block_installs_and_makes_the_first_picture() -> None:
    assert pip_commands(INSTALL) == ["pip install ."]
    assert INSTALL[-1] == 'clipgen "a city in the style of Van Gogh" --backend vqgan'


def test_ci_installs_and_tests_as_the_readme_says() -> None:
    assert pip_commands(CI) == pip_commands(CHECK)
    assert CI[-1] == CHECK[-1]


def test_every_exit_code_is_in_the_table() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    listed = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for code in row.split(",")}
    assert listed == codes | {0, 130, 143}


@pytest.mark.parametrize("preset", [one for one in PRESETS.values() if one.name != OWN], ids=lambda preset: preset.name)
def test_the_table_of_presets_is_that_of_the_program(preset: Preset) -> None:
    found = re.search(rf"^\| {preset.name} \| (.*) \|$", README, re.MULTILINE)
    assert found
    size, steps, cutouts, clips, memory = found[1].split(" | ")
    assert size == f"{preset.size[0]}x{preset.size[1]}"
    for backend, row in preset.generators.items():
        assert str(row.steps) == (re.search(rf"\({backend} (\d+)\)", steps) or re.match(r"(\d+)", steps))[1]  # type: ignore[index]
        assert str(row.cutouts) == cutouts
    named = [f"clip/openai-{clip.lower()}" for clip in clips.split(", ")]
    assert named == [row.weights for row in preset.perceptors] or preset.name in ("starter", "photo", "quick")
    assert memory == f"{preset.memory / 10**9:g} GB"

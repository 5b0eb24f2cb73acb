"""The README's commands are those that are checked, and its options exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from clipgen.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
CHECKS = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_first_block_installs_and_makes_the_first_picture() -> None:
    assert BLOCKS[0][-1] == 'clipgen "a city in the style of Van Gogh" --backend vqgan'
    assert "pip install ." in BLOCKS[0]


def test_the_second_block_is_what_ci_runs() -> None:
    assert [line for line in BLOCKS[1] if line.startswith("pip install")] == [
        line.replace(" --quiet", "") for line in CHECKS if line.startswith("pip install")
    ]
    assert BLOCKS[1][-1] == CHECKS[-1] == "python -m pytest"


COMMANDS = [shlex.split(line, comments=True) for block in BLOCKS for line in block if line.startswith("clipgen ")]


@pytest.mark.parametrize("args", [command[1:] for command in COMMANDS], ids=" ".join)
def test_every_command_of_the_readme_is_understood(args: list[str]) -> None:
    group = get_command(app)
    context = group.make_context("clipgen", args)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
    command.make_context(name, rest, parent=context)

"""Each heading of the troubleshooting is what the program says: its command says it, or its sources hold it."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image

import clipgen
from clipgen.cli.explain import text_of

GAP = "…"
ENTRIES = re.findall(r"^### (.+)\n\n(?:```sh\n(.+)\n```\n)?", text_of("troubleshooting"), re.MULTILINE)
BY_COMMAND = [(heading, command) for heading, command in ENTRIES if command]
BY_SOURCE = [heading for heading, command in ENTRIES if not command]


def pattern_of(heading: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, heading.split(GAP))))


@cache
def messages() -> str:
    """Every text in the sources, one a line, with a gap for what is filled in."""
    found = []
    for path in sorted(Path(clipgen.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(one.value) if isinstance(one, ast.Constant) else GAP for one in node.values)
                found.append("".join(parts).replace("\n", " "))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value.replace("\n", " "))
    return "\n".join(found)


@pytest.mark.parametrize(("heading", "command"), BY_COMMAND, ids=lambda text: text[:40])
def test_the_command_of_an_entry_says_its_heading(cli: Cli, heading: str, command: str) -> None:
    Path("prompts.txt").write_text("a cat\n")
    Image.new("RGB", (64, 64)).save("photo.jpg")
    Image.new("L", (8, 8), 255).save("small-mask.png")
    said = cli(*shlex.split(command)[1:])
    assert pattern_of(heading).search(said.stderr), said.stderr
    assert (said.exit_code == 0) == ("words" in command)


@pytest.mark.parametrize("heading", BY_SOURCE)
def test_the_heading_of_an_entry_is_in_the_sources(heading: str) -> None:
    assert pattern_of(heading).search(messages())


def test_there_are_entries_of_both_kinds() -> None:
    assert len(BY_COMMAND) > 12
    assert len(BY_SOURCE) > 6
    assert not pattern_of("the film … was eaten").search(messages())

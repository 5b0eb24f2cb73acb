"""The tables of other programs' options: what is on the right exists, and the program says the same of the left."""

import re
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from clipgen.cli.app import app
from clipgen.cli.foreign_flags import advice
from clipgen.config.losses import LOSS_KINDS
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import STARTS

PAGE = (Path(__file__).parent.parent / "examples/other-tools/README.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+|-[a-z](?![\w-]))")
FOREIGN = re.compile(r"--?[A-Za-z][\w-]*")
COMMAND = re.compile(r"clipgen ([a-z]+)")


@cache
def commands() -> dict[str, set[str]]:
    """The options of each command."""
    group = get_command(app)
    return {name: {each for one in command.params for each in one.opts} for name, command in group.commands.items()}  # type: ignore[attr-defined]


def rows_of(text: str) -> list[tuple[str, str]]:
    rows = [re.split(r" (?<!\\)\| ", line.strip("| \n")) for line in re.findall(r"^\| .+ \|$", text, re.MULTILINE)]
    assert all(len(row) == 2 for row in rows)
    return [(left, right) for left, right in rows if left != "there"]


def section(title: str) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]  # type: ignore[index]


def told(text: str) -> set[str]:
    """The options and commands that a text tells to type."""
    found = set(OPTION.findall(text)) | {f"clipgen {name}" for name in COMMAND.findall(text) if name in commands()}
    return found - {"clipgen run"}


SECTIONS = ("`generate.py` of nerdyrodent", "The notebooks of EleutherAI", "pixray", "PyTTI")
TYPED = [row for title in SECTIONS[:3] for row in rows_of(section(title))]


@pytest.mark.parametrize("row", rows_of(PAGE), ids=lambda row: row[0][:40])
def test_what_is_on_the_right_exists(row: tuple[str, str]) -> None:
    code = " ".join(CODE.findall(row[1]))
    assert set(OPTION.findall(code)) <= set().union(*(commands()[name] for name in ("run", "batch", "zoom", "restyle")))
    for option, names in (("recipe", PEER_RECIPES), ("start", STARTS), ("loss", LOSS_KINDS)):
        assert set(re.findall(rf"--{option} ([A-Za-z-]+)", code)) - {"NAME"} <= {*names}


@pytest.mark.parametrize("row", TYPED, ids=lambda row: row[0][:40])
def test_the_program_says_the_same_of_an_old_option(row: tuple[str, str]) -> None:
    """One that exists here under the same name, or with hyphens in it, needs no advice."""
    wanted = told(" ".join(CODE.findall(row[1])))
    own = commands()["run"]
    for flag in CODE.findall(row[0]):
        name = flag if flag.startswith("-") else f"--{flag}"
        if not wanted or not FOREIGN.fullmatch(name):
            continue
        same = {name, name.replace("_", "-")} & own & wanted
        said = advice(name)
        assert same or (said and wanted & told(said)), f"{name}: {said}, the page: {wanted}"
        assert same or told(said or "") >= {one for one in wanted if one.startswith("clipgen ")}


def test_every_option_of_generate_py_has_a_row() -> None:
    """They are those of its last version, of October 2022."""
    names = (
        "p ip i se s ii in iw m conf ckpt nps npw lr cutm cuts cutp sd opt o vid zvid zs zse zsc zsx zsy cpe vl ofps"
    )
    wanted = {f"-{name}" for name in [*names.split(), "ifps", "d", "aug", "vsd", "cd"]}
    assert wanted <= {flag for row in rows_of(section(SECTIONS[0])) for flag in CODE.findall(row[0])}


def test_pytti_settings_have_rows() -> None:
    named = {name for row in rows_of(section("PyTTI")) for name in re.findall(r"\w+", row[0])}
    assert {"scenes", "steps_per_scene", "interpolation_steps", "cutouts", "infill_mode", "video_path"} <= named

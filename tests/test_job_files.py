"""Job files: the prompt and the options of a run in TOML."""

import re
import tomllib
from pathlib import Path

import pytest
from conftest import Cli

from clipgen.outputs.metadata import read_recipe

JOB = """
prompt = "red|blue:0.2"
size = "32x32"
steps = 4
seed = 7
cutouts = 2
start = "noise"
preset = "starter"
loss = ["symmetry", "saturation:-2"]
quiet = true
tile = false
"""


@pytest.fixture
def file(cli: Cli) -> Path:
    path = Path("job.toml")
    path.write_text(JOB, encoding="utf-8")
    return path


def test_a_job_file_is_made(cli: Cli, file: Path) -> None:
    made = cli("run", str(file))
    assert made.exit_code == 0, made.stderr
    assert not made.stderr
    plan = read_recipe(Path(made.stdout.strip())).plan
    assert (plan.text, plan.size, plan.steps, plan.seed, plan.cutouts) == ("red|blue:0.2", (32, 32), 4, 7, 2)
    assert [str(row) for row in plan.losses[1:]] == ["symmetry:30:left-right", "saturation:-2"]


def test_what_is_typed_counts_more(cli: Cli, file: Path) -> None:
    made = cli(str(file), "--steps", "2", "--loss=seam", "--seed=8")
    plan = read_recipe(Path(made.stdout.strip())).plan
    assert (plan.steps, plan.seed, [row.name for row in plan.losses]) == (2, 8, ["prompt", "seam"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 4", "job.toml: prompt must be a text"),
        ('prompt = ["red"]', "job.toml: prompt must be a text"),
        ('prompt = "red"\nstepz = 4', "job.toml: the key must be one of .*, got 'stepz'; did you mean steps?"),
        ('prompt = "red"\nhelp = true', "job.toml: the key must be one of .*, got 'help'"),
        ('prompt = "red"\nsteps = "two"', "--steps"),
        ('prompt = "red"\nsteps = true', "job.toml: steps must be a text or a number"),
        ('prompt = "red"\n[steps]\na = 1', "job.toml: steps must be a text or a number"),
        ('prompt = "red"\ntile = 1', "job.toml: tile must be true or false, got 1"),
        ('prompt = "red"\nsize = "0x0"', "--size"),
        ("prompt = red", "the job file job.toml is not TOML"),
        ("a = " + "[" * 5000, "the job file job.toml is not TOML"),
        ("\udcff", "the job file job.toml is not UTF-8 text"),
    ],
)
def test_a_job_file_that_is_wrong_is_refused_in_one_line(cli: Cli, text: str, message: str) -> None:
    Path("job.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    result = cli("run", "job.toml")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr), result.stderr
    assert [path.name for path in Path().iterdir()] == ["job.toml"]


def test_a_job_file_that_cannot_be_read_is_said(cli: Cli) -> None:
    Path("a.toml").mkdir()
    for name, said in (("no.toml", "No such file"), ("a.toml", "Is a directory")):
        result = cli(name)
        assert result.exit_code == 2
        assert f"the job file {name} cannot be read ({said}" in result.stderr


def test_the_printed_job_file_has_every_option_and_can_be_made(cli: Cli) -> None:
    text = cli("job").stdout
    assert tomllib.loads(text) == {"prompt": "a lighthouse at sunset"}
    for name in ("steps", "loss", "tile", "size", "clip-weights", "save-every", "out"):
        assert f"\n# {name} = " in text
    assert "[/dim]" not in text

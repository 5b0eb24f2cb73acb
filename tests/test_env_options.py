"""Options from the environment: below what is typed, above what a job file says, and only for runs and batches."""

import os
from pathlib import Path

import pytest
from fakes import Cli

from clipgen.cli.environment import PREFIX
from clipgen.config.plan import Plan
from clipgen.outputs.metadata import read_recipe
from clipgen.weights.cache import VARIABLE

SMALL = {"SIZE": "32x32", "STEPS": "3", "CUTOUTS": "2", "START": "noise", "PRESET": "starter", "SEED": "5"}
JOB = 'prompt = "red"\nsteps = 2\nseed = 9\ngif = true\nloss = ["seam", "saturation:-2"]\n'


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Options that make runs quick stand in the environment."""
    hold(monkeypatch, **SMALL)
    return monkeypatch


def hold(patch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        patch.setenv(f"{PREFIX}{name}", value)


def made(cli: Cli, *args: str) -> tuple[Plan, list[str]]:
    result = cli(*args)
    assert result.exit_code == 0, result.stderr
    paths = result.stdout.split()
    return read_recipe(Path(paths[0])).plan, paths


def test_no_test_knows_the_options_of_the_user() -> None:
    names = {f"{PREFIX}{name}" for name in (*SMALL, "LOSS", "MP4", "QUIET", "OUT")}
    assert names.isdisjoint(os.environ)
    assert VARIABLE in os.environ


def test_a_variable_stands_for_an_option(cli: Cli, held: pytest.MonkeyPatch) -> None:
    hold(held, GIF="1", MP4="no", OUT="elsewhere", LOSS="palette:5:navy,gold; symmetry", QUIET="true", INIT_WEIGHT="")
    for command in (("red",), ("run", "red")):
        plan, paths = made(cli, *command)
        assert (plan.size, plan.steps, plan.seed, plan.cutouts, plan.start) == ((32, 32), 3, 5, 2, "noise")
        assert [row.name for row in plan.losses[1:]] == ["palette", "symmetry"]
        assert [Path(path).suffix for path in paths] == [".png", ".gif"]
        assert Path(paths[0]).parent == Path("elsewhere")
    assert cli("red").stderr == ""


def test_what_is_typed_counts_more(cli: Cli, held: pytest.MonkeyPatch) -> None:
    hold(held, LOSS="symmetry;seam", OUT="elsewhere")
    plan, [path] = made(cli, "red", "--steps", "2", "--seed=6", "--loss", "saturation", "-o", "here.png")
    assert (plan.steps, plan.seed, [row.name for row in plan.losses[1:]]) == (2, 6, ["saturation"])
    assert path == "here.png"


def test_what_a_job_file_says_counts_less(cli: Cli, held: pytest.MonkeyPatch) -> None:
    Path("job.toml").write_text(JOB, encoding="utf-8")
    hold(held, LOSS="symmetry", GIF="0")
    plan, paths = made(cli, "job.toml")
    assert (plan.steps, plan.seed, [row.name for row in plan.losses[1:]]) == (3, 5, ["symmetry"])
    assert len(paths) == 1
    plan, _ = made(cli, "job.toml", "--steps", "4", "--loss=seam")
    assert (plan.steps, plan.seed, [row.name for row in plan.losses[1:]]) == (4, 5, ["seam"])
    for name in ("STEPS", "SEED", "LOSS", "GIF"):
        held.delenv(f"{PREFIX}{name}")
    plan, paths = made(cli, "job.toml")
    assert (plan.steps, plan.seed, len(plan.losses), len(paths)) == (2, 9, 3, 2)


def test_a_batch_takes_them_and_its_lines_count_more(cli: Cli, held: pytest.MonkeyPatch) -> None:
    hold(held, TOGETHER="1", CANDIDATES="3")  # a batch has no candidates
    Path("prompts.txt").write_text("red\n--steps 2 :: blue\n", encoding="utf-8")
    result = cli("batch", "prompts.txt")
    assert result.exit_code == 0, result.stderr
    plans = [read_recipe(Path(path)).plan for path in result.stdout.split()]
    assert [(plan.text, plan.steps, plan.seed) for plan in plans] == [("red", 3, 5), ("blue", 2, 5)]


def test_replay_and_info_depend_on_no_variable(cli: Cli, held: pytest.MonkeyPatch) -> None:
    _, [first] = made(cli, "red", "-o", "first.png")
    recipe = cli("info", first).stdout
    hold(held, STEPS="2", SEED="7", LOSS="seam", GIF="1", BACKEND="nonsense", STEPSS="1")
    replayed = cli("replay", first, "-o", "again.png")
    assert (replayed.exit_code, replayed.stdout) == (0, "again.png\n")
    assert "STEPSS" not in replayed.stderr
    assert Path("again.png").read_bytes() == Path(first).read_bytes()
    assert cli("info", first).stdout == recipe


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STEPS", "many", "CLIPGEN_STEPS must be a whole number, got 'many'"),
        ("STEPS", "0", "CLIPGEN_STEPS must be a whole number from 1 to 100000, got 0"),
        ("LR", "x", "CLIPGEN_LR must be a number, or change as in 0.1..0.02 or 0.1@0,0.02@50%, got 'x'"),
        ("MP4", "maybe", "CLIPGEN_MP4 must be 1 or 0, or true or false, got 'maybe'"),
        ("SIZE", "wide", "CLIPGEN_SIZE must look like 256x256"),
        (
            "BACKEND",
            "vqgn",
            "CLIPGEN_BACKEND must be one of dvae, kl, pixels, strokes, titok, vqgan, got 'vqgn'; did you mean vqgan?",
        ),
        ("LOSS", "seam;sym", "CLIPGEN_LOSS must be one of"),
        ("OUT", "x.tif", "CLIPGEN_OUT x.tif is not a PNG, JPEG or WebP file; use -o x.png"),
        ("CANDIDATES", "0", "CLIPGEN_CANDIDATES must be a whole number from 1 to 64, got 0"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    hold(monkeypatch, **{name: value})
    result = cli("red")
    assert result.exit_code == 2
    assert f"error: {message}" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not any(Path().iterdir())
    assert cli("--help").exit_code == cli("run", "--help").exit_code == 0


def test_what_is_typed_wrong_is_named_as_it_was_typed(cli: Cli, held: pytest.MonkeyPatch) -> None:
    assert "error: --steps must be a whole number, got 'x'" in cli("red", "--steps", "x").stderr
    Path("prompts.txt").write_text("--steps 0 :: red\n", encoding="utf-8")
    assert "line 1: --steps must be a whole number from 1" in cli("batch", "prompts.txt", "--cutouts", "2").stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("STEPSS", "did you mean CLIPGEN_STEPS?"),
        ("INITWEIGHT", "did you mean CLIPGEN_INIT_WEIGHT?"),
        ("ITERATIONS", "use --steps NUMBER"),
        ("QQQQ", "clipgen job lists the options"),
    ],
)
def test_an_unknown_variable_is_a_warning(cli: Cli, held: pytest.MonkeyPatch, name: str, hint: str) -> None:
    hold(held, **{name: "1"})
    result = cli("red")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: there is no variable CLIPGEN_{name}; {hint}\n")
    assert cli("red", "-q").stderr == ""


def test_the_help_names_no_variable_for_each_option(cli: Cli, held: pytest.MonkeyPatch) -> None:
    for args in (("--help",), ("run", "--help"), ("batch", "--help")):
        assert cli(*args).stdout.count(PREFIX) <= 1
    assert PREFIX in cli("--help").stdout

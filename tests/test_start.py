"""Where the latent begins can be chosen, is written into the recipe, and must go with the preset and the init image."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Cli
from recipes import assert_refused
from test_recipe import pixels
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.config.presets import PRESETS
from clipgen.outputs.metadata import read_recipe

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2", "--seed", "1")


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels", "strokes"])
def test_a_run_from_noise_says_so_in_its_recipe(cli: Cli, backend: str) -> None:
    result = cli("red", *SMALL, "--backend", backend, "--start", "noise", "--preset", "starter")
    assert result.exit_code == 0, result.stderr
    path = result.stdout.splitlines()[0]
    plan, classic = read_recipe(Path(path)).plan, PRESETS["starter"].guidance["noise"]
    assert (plan.start, plan.unclip) == ("noise", ())
    usual = classic.generators[backend].settings
    assert replace(plan.generator, strokes=()) == replace(usual, strokes=())  # whose widths depend on the size
    assert not any("unclip" in name or "prior" in name for name in plan.networks)
    rows = dict(line.split(None, 1) for line in cli("info", path).stdout.splitlines())
    assert rows["start"] == "noise"


def test_a_batch_can_start_from_noise_too(cli: Cli) -> None:
    Path("prompts.txt").write_text("red\nblue\n")
    result = cli("batch", "prompts.txt", *SMALL, "--start", "noise", "--json")
    assert [picture["plan"]["start"] for picture in json.loads(result.stdout)["pictures"]] == ["noise", "noise"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--start", "init"), "--start init needs an init image; add --init FILE"),
        (
            ("--start", "noise", "--init", "x.png"),
            "--start noise and --init 'x.png' exclude each other; leave one out",
        ),
        (
            ("--start", "unclip", "--preset", "draft"),
            "--start unclip goes with preset starter, not with draft; use --start noise",
        ),
        (
            ("--start", "nois"),
            "--start must be one of codes, dalle-mini, gradient, init, noise, perlin, prior, snow, tokens, unclip, got "
            "'nois'; did you",
        ),
    ],
)
def test_a_start_that_cannot_be_is_one_line_and_writes_nothing(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    assert_refused(cli("red", *SMALL, *flags), message)
    Path("prompts.txt").write_text("red\n")
    assert_refused(cli("batch", "prompts.txt", *SMALL, *flags), message)
    assert list(Path().iterdir()) == [Path("prompts.txt")]


def test_the_real_models_draw_from_noise_and_draw_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--size", "64x64", "--steps", "4", "--cutouts", "2", "--device", "cpu", "--seed", "1")
    made = CliRunner().invoke(app, ["a cat", *flags, "--start", "noise", "-o", "made.png"])
    assert made.exit_code == 0, made.stderr
    again = CliRunner().invoke(app, ["replay", "made.png", "--device", "cpu", "-o", "again.png"])
    assert again.exit_code == 0, again.stderr
    assert pixels(Path("again.png")) == pixels(Path("made.png"))
    assert read_recipe(Path("again.png")) == read_recipe(Path("made.png"))

"""`clipgen train`: what belongs to one's own pictures, what to the drawn world, and what comes out."""

import json
from pathlib import Path

import pytest
from fakes import Cli
from own_pictures import SIDE, shrink, write_pictures

from clipgen.cli.train import NAMES
from clipgen.training.settings import KINDS

QUICK = ("--resolution", f"{SIDE}", "--steps", "2", "--batch", "4")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink(monkeypatch, tmp_path / "cache")


def test_it_trains_into_a_preset_and_prints_the_path_of_the_weights(cli: Cli, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "pets")
    result = cli("train", "clip", "--data", str(data), "--out", "mine", *QUICK)
    assert result.exit_code == 0
    assert result.stdout == "mine/clip.safetensors\n"
    assert json.loads(Path("mine/preset.json").read_text())["name"] == "pets"
    assert "held-out pictures: R@1" in result.stderr


def test_without_a_folder_the_preset_is_named_after_the_data(cli: Cli, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "My Pets")
    assert cli("train", "dvae", "--data", str(data), *QUICK).stdout == "my-pets-clipgen/dvae.safetensors\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("judge", "--data", "x"), "NAME 'judge' learns from the drawn world only: with --data it is one of clip"),
        (("nonsense", "--data", "x"), "NAME 'nonsense' is unknown: with --data it is one of clip"),
        (("nonsense",), "NAME must be one of"),
        (("clip", "--minutes", "3"), "--minutes is for pictures of your own: add --data PATH"),
        (("clip", "--flip"), "--flip is for pictures of your own"),
        (("clip", "--from", "starter/clip"), "--from is for pictures of your own"),
        (("clip", "--data", "x", "--pictures", "9"), "--pictures is for the drawn world"),
        (
            ("clip", "--data", "x", "--runs", "r"),
            "--runs r is for the drawn world",
        ),
        (("clip", "--data", "x", "--resolution", "50"), "--resolution must be a multiple of 16, got 50"),
        (("clip", "--data", "missing"), "--data missing does not exist"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    result = cli("train", *arguments)
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert said in line
    assert not list(Path().iterdir())


def test_help_names_all_that_can_be_trained(cli: Cli) -> None:
    shown = " ".join(cli("train", "--help").stdout.replace("│", " ").split()).replace("- ", "-")
    for name in (*NAMES, *KINDS):
        assert name in shown

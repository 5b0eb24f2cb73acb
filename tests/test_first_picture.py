"""Runs that begin at the picture of a folder that the guides match best with the prompt."""

from pathlib import Path

import numpy as np
import pytest
import titoks
import torch
from fakes import Cli, FakePerceptor, plan
from PIL import Image

from clipgen.cli import first_options
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session import first_picture
from clipgen.session.first_picture import best_match

SMALL = ("--steps", "2", "--cutouts", "2", "--size", "48x32", "--seed", "1", "--preset", "starter", "--start", "init")
COLOURS = ("blue", "green", "red")


class Seeing(FakePerceptor):
    """Has a device, as networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a picture of each colour and one that cannot be read, and guides that know colours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(first_picture, "perceptor_of", lambda _name, _note: Seeing())
    monkeypatch.setattr(first_options, "fetch_missing", lambda *_asked, **_how: None)
    Path("pictures").mkdir()
    for name in COLOURS:
        Image.new("RGB", (60, 40), name).save(f"pictures/{name}.png")
    Path("pictures/broken.png").write_text("x")
    return Path("pictures")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels"])
def test_a_run_begins_at_the_picture_that_fits_and_its_recipe_names_it(cli: Cli, colour: str, backend: str) -> None:
    result = cli(colour, *SMALL, "--backend", backend, "--init-from", "pictures")
    assert result.exit_code == 0, result.stderr
    assert f"starts from pictures/{colour}.png: of 4 pictures it matches the prompt best" in result.stderr
    assert "left out: the picture 'pictures/broken.png' is not one of PNG" in result.stderr
    picture = Path(result.stdout.strip())
    recipe, chosen = read_recipe(picture), f"pictures/{colour}.png"
    assert (Path(recipe.plan.init).name, recipe.plan.start) == (f"{colour}.png", "init")
    assert recipe.init_sha256
    again = cli("replay", str(picture), "--init", chosen, "-o", "again.png")
    same = cli(colour, *SMALL, "--backend", backend, "--init", chosen, "-o", "same.png")
    assert (again.exit_code, same.exit_code) == (0, 0)
    assert "warning" not in again.stderr
    pixels = [np.asarray(Image.open(path)) for path in (picture, "again.png", "same.png")]
    assert np.array_equal(pixels[0], pixels[1])
    assert np.array_equal(pixels[0], pixels[2])


def test_a_mask_goes_with_the_picture_that_was_chosen(cli: Cli) -> None:
    result = cli("red", *SMALL, "--init-from", "pictures", "--mask", "left", "--backend", "pixels")
    assert result.exit_code == 0, result.stderr
    assert (np.asarray(Image.open(result.stdout.strip()))[:, 24:] == (255, 0, 0)).all()


def test_weights_count_and_of_equals_the_first_is_taken(folder: Path) -> None:
    files = sorted(folder.glob("*.png"))
    assert best_match(files, plan("red:-1"), "cpu", print).path.name != "red.png"
    assert best_match(files, plan("red:0.2|blue:1"), "cpu", print).path.name == "blue.png"
    twice = [folder / "red.png", folder / "red.png", folder / "blue.png"]
    best = best_match(twice, plan("red"), "cpu", print)
    assert best.score == pytest.approx(1.0, abs=1e-3)
    assert best.unread == ()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--init-from", "nowhere"), "--init-from 'nowhere' is no folder; name one that holds pictures, or use --init"),
        (("--init-from", "pictures/red.png"), "is no folder"),
        (("--init-from", "empty"), "--init-from: there is no picture in empty"),
        (("--init-from", "bad"), "--init-from: the picture 'bad/x.png' is not one of PNG"),
        (("--init-from", "pictures", "--init", "pictures/red.png"), "and --init exclude each other; leave one out"),
        (("--init-from", "pictures", "--init-tokens", "x.npy"), "and --init-tokens exclude each other"),
        (("--init-from", "pictures", "--start", "perlin"), "--start perlin and --init-from exclude each other"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/x.png").write_text("x")
    result = cli("red", "--preset", "starter", *args)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert not Path("outputs").exists()


def test_without_a_text_there_is_nothing_to_go_by(folder: Path) -> None:
    asked = plan("red:0", targets=("noise:7:0.1",))
    with pytest.raises(UsageError, match="goes by the texts of the prompt, and there is none; use --init FILE"):
        best_match([folder / "red.png"], asked, "cpu", print)


def test_a_titok_begins_there_too(cli: Cli) -> None:
    found = plan("green", backend="titok")
    files = [Path(f"pictures/{name}.png") for name in COLOURS]
    assert best_match(files, found, "cpu", print).path == files[1]
    assert found.size[0] == titoks.SIDE

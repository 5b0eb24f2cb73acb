"""Edits: outside the mask nothing changes, inside the run has a free hand; extensions; bad masks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli, fake_models, job, plan
from PIL import Image

from clipgen.config.edits import parse_extension
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.inputs import extended, load_inputs
from clipgen.steering.given import Given
from clipgen.steering.masks import feathered, filled, window

SMALL = ("--steps", "6", "--cutouts", "4", "--seed", "1", "--preset", "starter")


def photo(size: tuple[int, int] = (48, 32)) -> Image.Image:
    numbers = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(numbers)


def changes(picture: Path, init: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(Image.open(picture)).astype(int) - np.asarray(init).astype(int)).max(2)


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels"])
@pytest.mark.parametrize("inside", ["around", "init"])
def test_outside_the_mask_every_pixel_is_that_of_the_init_image(cli: Cli, backend: str, inside: str) -> None:
    photo().save("photo.png")
    made = cli(
        *("red", "--init", "photo.png", "--size", "48x32", "--mask", "left", "--inside", inside),
        *("--backend", backend, *SMALL),
    )
    assert made.exit_code == 0, made.stderr
    found = changes(Path(made.stdout.strip()), photo())
    assert found[:, 24:].max() == 0
    assert (found[:, :20] > 0).mean() > 0.8


def test_an_edit_is_recorded_replayed_and_resumed(cli: Cli) -> None:
    photo().save("photo.png")
    mask = Image.new("L", (48, 32))
    mask.paste(255, (8, 8, 30, 20))
    mask.save("mask.png")
    args = ("red", "--init", "photo.png", "--size", "48x32", "--mask", "mask.png", "--feather", "0.1", *SMALL)
    made = cli(*args, "--keep-state")
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    assert changes(picture, photo())[np.asarray(mask) < 128].max() == 0
    [edit] = read_recipe(picture).plan.edit
    assert (edit.mask, len(edit.sha256), edit.feather) == ("mask.png", 64, 0.1)
    refused = cli("replay", str(picture), "--init", "photo.png")
    assert refused.exit_code == 2
    assert "has the mask 'mask.png', which is not inside it; add --mask FILE" in refused.stderr
    again = cli("replay", str(picture), "--init", "photo.png", "--mask", "mask.png")
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    longer = cli("resume", str(picture), "--steps", "9")
    assert longer.exit_code == 0, longer.stderr
    whole = cli(*args[:-6], *SMALL[2:], "--steps", "9")
    assert changes(picture, Image.open(whole.stdout.strip()))[np.asarray(mask) < 128].max() == 0
    state = picture.with_suffix(".clipgen")
    (state / "mask.png").write_bytes(b"") if state.exists() else None


def test_an_extension_adds_picture_on_the_sides_that_are_named(cli: Cli) -> None:
    photo((32, 32)).save("photo.png")
    made = cli("red", "--init", "photo.png", "--extend", "16,0,0,0", "--size", "48x32", *SMALL)
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    assert np.array_equal(np.asarray(Image.open(picture))[:, 16:], np.asarray(photo((32, 32))))
    wide = extended(photo((4, 3)), (2, 1, 0, 3))
    assert wide.size == (6, 7)
    assert np.array_equal(np.asarray(wide)[1:4, 2:], np.asarray(photo((4, 3))))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("--mask", "small.png"),
            "--mask 'small.png' has 8x8 pixels, the init image 48x32; give a mask of the same size",
        ),
        (("--mask", "black.png"), "--mask 'black.png' is all black, so nothing would change"),
        (("--mask", "white.png"), "--mask 'white.png' is all white, so everything would change"),
        (("--mask", "none.png"), "--mask 'none.png' does not exist"),
        (("--mask", "photo.txt"), "--mask 'photo.txt' is not one of PNG"),
        (("--extend", "1,2,3"), "--extend must be LEFT,TOP,RIGHT,BOTTOM"),
        (("--extend", "0,0,0,0"), "--extend must add pixels on some side"),
        (("--extend", "9999,0,0,0"), "--extend takes numbers from 0 to 4096"),
        (("--feather", "0.1"), "--feather is about a mask; add --mask FILE"),
        (("--mask", "left", "--feather", "2"), "--feather must be a number from 0 to 0.5"),
        (("--mask", "left", "--inside", "out"), "--inside"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    photo().save("photo.png")
    Image.new("L", (8, 8), 255).save("small.png")
    Image.new("L", (48, 32), 0).save("black.png")
    Image.new("L", (48, 32), 255).save("white.png")
    Path("photo.txt").write_text("no picture\n")
    result = cli("red", "--init", "photo.png", *SMALL, *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr
    assert not Path("outputs").exists()
    alone = cli("red", *SMALL, "--mask", "left")
    assert alone.exit_code == 2
    assert "--mask needs an init image; add --init FILE" in alone.stderr


def test_what_is_transparent_may_change(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (6, 4), (9, 9, 9, 255))
    clear.putpixel((2, 1), (9, 9, 9, 0))
    clear.save(tmp_path / "mask.png")
    photo((6, 4)).save(tmp_path / "photo.png")
    inputs, _ = load_inputs(job(init=str(tmp_path / "photo.png"), mask=str(tmp_path / "mask.png")))
    assert inputs.mask is not None
    found = np.asarray(inputs.mask)
    assert found[1, 2] == 255
    assert found.sum() == 255


def test_the_edge_is_soft_inside_and_hard_outside() -> None:
    chosen = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    chosen[..., 10:30, 10:] = True
    soft = feathered(chosen, 4)
    assert soft[~chosen].max() == 0
    assert soft[chosen].min() > 0
    assert soft[0, 0, 20, 20] == 1
    assert soft[0, 0, 20, 39] == 1
    assert soft[0, 0, 10, 25] < soft[0, 0, 12, 25] < soft[0, 0, 14, 25] == 1
    assert torch.equal(feathered(chosen, 0), chosen.float())


def test_holes_are_filled_with_the_colours_around_them() -> None:
    images = torch.zeros(1, 3, 32, 48)
    images[..., 24:] = 1.0
    mask = torch.zeros(1, 1, 32, 48)
    mask[..., 8:24, 4:16] = 1
    full = filled(images, mask)
    assert torch.equal(full * (1 - mask), images * (1 - mask))
    assert full[..., 8:24, 4:10].max() < 0.35
    assert filled(torch.rand(1, 3, 7, 5), torch.ones(1, 1, 7, 5)).isfinite().all()


def test_the_window_has_the_shape_of_the_picture_and_holds_the_mask() -> None:
    chosen = torch.zeros(32, 48, dtype=torch.bool)
    chosen[4:10, 40:47] = True
    left, top, right, bottom = window(chosen)
    assert left <= 40
    assert right >= 47
    assert top <= 4
    assert bottom >= 10
    assert right <= 48
    assert abs((right - left) / (bottom - top) - 1.5) < 0.2
    assert window(torch.ones(32, 48, dtype=torch.bool)) == (0, 0, 48, 32)


def test_cells_that_no_mask_touches_keep_their_latent() -> None:
    asked = plan("red", init="a.png", mask="left", backend="pixels", steps=4)
    mask = torch.zeros(1, 1, 32, 48)
    mask[..., :24] = 1
    run = Run([asked], fake_models("pixels"), Given(torch.rand(1, 3, 32, 48), mask))
    before = [level.detach().clone() for level in run.loop.generator.parameters()]
    for _ in range(3):
        run.find_gradients()
        run.update()
    finest, was = run.loop.generator.parameters()[0], before[0]
    assert torch.equal(finest[..., 24:], was[..., 24:])
    assert not torch.equal(finest[..., :24], was[..., :24])


def test_a_plan_with_an_edit_needs_its_images() -> None:
    asked = plan("red", init="a.png", mask="left")
    with pytest.raises(UsageError, match="must come with it and with its mask"):
        Run([asked], fake_models(), Given(torch.rand(1, 3, 32, 48)))
    assert parse_extension(" 1, 2,3 ,4") == (1, 2, 3, 4)


def test_a_size_that_cuts_the_mask_off_is_refused(cli: Cli) -> None:
    photo().save("photo.png")
    refused = cli("red", *SMALL, "--init", "photo.png", "--extend", "96,0,96,0", "--size", "32x32")
    assert refused.exit_code == 2
    assert "at --size 32x32 nothing of the mask is left" in refused.stderr
    assert not list(Path().rglob("outputs/*.png"))

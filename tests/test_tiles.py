"""Pictures that tile: the way their edges are shown and pulled together."""

from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.reading_plans import job_of
from clipgen.steering.tiles import rolled

RED = parse_prompts("red")
SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2", "--seed", "1")


def test_a_rolled_picture_has_the_same_pixels_elsewhere() -> None:
    images = torch.rand(2, 3, 8, 12)
    moved = rolled(images, [1, 2], 5)
    assert torch.equal(moved.flatten(2).sort().values, images.flatten(2).sort().values)
    assert not torch.equal(moved, images)
    assert torch.equal(moved[1:], rolled(images[1:], [2], 5))
    assert not torch.equal(moved, rolled(images, [1, 2], 6))


def test_a_tiling_plan_starts_from_noise_and_minds_the_seam() -> None:
    made, _ = resolve(Job(RED, preset="starter", tile=True))
    assert (made.tile, made.start, made.unclip) == (True, "noise", ())
    assert "seam:30" in [str(row) for row in made.losses]
    assert resolve(job_of(made))[0] == made
    typed, _ = resolve(Job(RED, preset="starter", tile=True, losses=("seam:3",)))
    assert [str(row) for row in typed.losses if row.name == "seam"] == ["seam:3"]
    with pytest.raises(UsageError, match="--tile does not go with start unclip of preset starter"):
        resolve(Job(RED, preset="starter", tile=True, start="unclip"))
    with pytest.raises(UsageError, match="--tile must be true or false, got 'yes'"):
        Job(RED, tile="yes")  # type: ignore[arg-type]


def test_perceptors_see_rolled_pictures() -> None:
    plain, tiling = (Run([plan("red", start="noise", tile=tile)], fake_models()) for tile in (False, True))
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    seen = [run.loop.measure(images).scores for run in (plain, tiling)]
    assert not torch.equal(*seen)
    moved = rolled(images, [plan().seed], 0)
    torch.testing.assert_close(plain.loop.measure(moved).scores, seen[1])


def test_a_tile_is_typed_recorded_and_replayed(cli: Cli) -> None:
    made = cli("red", *SMALL, "--preset", "starter", "--tile")
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    assert read_recipe(picture).plan.tile
    again = Path(cli("replay", str(picture)).stdout.strip())
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    other = Path(cli("replay", str(picture), "--backend", "pixels").stdout.strip())
    assert read_recipe(other).plan.tile


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "cell"), [("vqgan", 8), ("dvae", 8), ("pixels", 1)])
def test_the_seam_of_a_real_tile_is_no_sharper_than_the_edges_of_cells_inside(backend: str, cell: int) -> None:
    from clipgen import generate

    made = generate("blue flowers", backend=backend, preset="starter", tile=True, seed=1, size=128, cutouts=8, steps=60)
    image = torch.tensor(list(made.image.tobytes())).view(128, 128, 3) / 255
    for turned in (image, image.transpose(0, 1)):
        jumps = turned.diff(dim=0).abs().mean((1, 2))
        assert (turned[0] - turned[-1]).abs().mean() <= jumps[cell - 1 :: cell].mean()

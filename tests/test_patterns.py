"""Where a latent can begin beside noise and an init image: patterns, and an init image with noise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image

from clipgen.config import preset
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.steering.starts import PATTERNS, noisy, pattern_images

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2", "--seed", "1")
every_pattern = pytest.mark.parametrize("name", PATTERNS)


def test_the_patterns_are_those_that_presets_can_name() -> None:
    assert tuple(PATTERNS) == preset.PATTERNS


@every_pattern
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (200, 24), (8, 8)])
def test_a_pattern_depends_on_its_seed_alone(name: str, size: tuple[int, int]) -> None:
    both, second = pattern_images(name, size, [1, 2]), pattern_images(name, size, [2])
    assert both.shape == (2, 3, size[1], size[0])
    assert torch.equal(both[1:], second)
    assert not torch.equal(both[0], both[1])
    assert 0 <= float(both.min()) <= float(both.max()) <= 1


def test_patterns_differ_in_how_fast_they_change() -> None:
    steps = {name: float(pattern_images(name, (64, 64), [3]).diff(dim=3).abs().mean()) for name in PATTERNS}
    assert 4 * steps["gradient"] < 2 * steps["perlin"] < steps["snow"]


def test_a_gradient_is_even() -> None:
    image = pattern_images("gradient", (32, 32), [5])[0]
    torch.testing.assert_close(image.diff(dim=2), image.diff(dim=2).mean((1, 2), keepdim=True).expand(3, 32, 31))


@every_pattern
@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels", "strokes"])
def test_a_run_begins_at_its_pattern(name: str, backend: str) -> None:
    asked = replace(plan("red", backend=backend), start=name)
    begun = [Run([replace(asked, seed=seed)], fake_models(backend)).loop.generator.decode() for seed in (1, 1, 2)]
    assert torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[0], begun[2])
    if backend == "pixels":
        torch.testing.assert_close(begun[0], pattern_images(name, asked.size, [1]), atol=0.02, rtol=0)


@every_pattern
def test_a_pattern_is_typed_recorded_and_replayed(cli: Cli, name: str) -> None:
    made = cli("red", *SMALL, "--preset", "starter", "--start", name)
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    assert read_recipe(picture).plan.start == name
    again = Path(cli("replay", str(picture)).stdout.strip())
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()


def test_noise_on_an_init_image_is_that_of_its_seed() -> None:
    images = torch.full((2, 3, 16, 16), 0.5)
    some = noisy(images, 0.1, [1, 2])
    assert float((some - 0.5).std()) == pytest.approx(0.1, rel=0.1)
    assert torch.equal(some[1:], noisy(images[1:], 0.1, [2]))
    assert noisy(images, 0.0, [1, 2]) is images


def test_noise_on_an_init_image_is_typed_recorded_and_replayed(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "green").save("a.png")
    made = [cli("red", *SMALL, "--init", "a.png", "--init-noise", noise).stdout.strip() for noise in ("0", "0.4")]
    assert Image.open(made[0]).tobytes() != Image.open(made[1]).tobytes()
    assert [read_recipe(Path(path)).plan.init_noise for path in made] == [0.0, 0.4]
    again = cli("replay", made[1], "--init", "a.png").stdout.strip()
    assert Image.open(again).tobytes() == Image.open(made[1]).tobytes()
    other = cli("replay", made[1], "--init", "a.png", "--backend", "dvae").stdout.strip()
    assert read_recipe(Path(other)).plan.init_noise == 0.4
    without = cli("replay", made[1], "--start", "noise").stdout.strip()
    assert read_recipe(Path(without)).plan.init_noise == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"init_noise": 0.3}, "--init-noise 0.3 needs an init image; add --init FILE"),
        ({"init_noise": 1.5, "init": "a.png"}, "--init-noise must be a number from 0 to 1, got 1.5"),
        ({"start": "snow", "init": "a.png"}, "--start snow and --init 'a.png' exclude each other"),
        ({"start": "perlin noise"}, "--start must be one of .*, got 'perlin noise'"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Job(parse_prompts("red"), **fields)

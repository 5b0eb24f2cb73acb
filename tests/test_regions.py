"""Regions: a text for a part of the picture moves that part alone."""

from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.run import Run
from clipgen.steering.given import Given

SMALL = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1", "--preset", "starter")


def moved(*targets: str, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Where the gradient of a region is not 0, (H, W); the text of the prompt weighs nothing."""
    asked = plan("red:0", targets=targets, start="noise", backend="pixels")
    run = Run([asked], fake_models("pixels"), Given(targets=() if mask is None else (mask,)))
    run.find_gradients()
    grad = run.loop.generator.parameters()[0].grad
    assert grad is not None
    return grad[0].abs().sum(0) > 0


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("left", (slice(0, 32), slice(0, 24))),
        ("bottom", (slice(16, 32), slice(0, 48))),
        ("centre", (slice(8, 24), slice(12, 36))),
    ],
)
def test_the_gradient_of_a_region_stays_in_it(place: str, part: tuple[slice, slice]) -> None:
    found = moved(f"region:{place}:blue")
    inside = torch.zeros_like(found)
    inside[part] = True
    assert not found[~inside].any()
    assert found[inside].float().mean() > 0.9


def test_a_mask_of_any_shape_is_a_region() -> None:
    mask = torch.zeros(1, 1, 32, 48)
    mask[..., 4:12, 30:44] = 1
    found = moved("region:sky.png:blue", mask=mask)
    assert not found[mask[0, 0] == 0].any()
    assert found[mask[0, 0] == 1].float().mean() > 0.9


def test_regions_start_from_noise_as_no_unclip_proposes_them() -> None:
    made, _ = resolve(Job(parse_prompts("a meadow"), preset="starter", targets=("region:left:a tree",)))
    assert (made.start, made.unclip) == ("noise", ())


def test_a_region_is_recorded_and_replayed(cli: Cli) -> None:
    made = cli("red", "--region", "left:blue", "--region", "right:green:0.5", *SMALL)
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    again = cli("replay", str(picture))
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    assert "--region 'left:blue:1'" in cli("info", str(picture)).stdout

"""Style images: a loss on every backend, by features of a classifier that ships with its package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image

from clipgen.core.contracts import Moment
from clipgen.engine.run import Run
from clipgen.outputs.metadata import read_recipe
from clipgen.perceptors.style import StyleFeatures, load_style_features
from clipgen.steering.given import Given
from clipgen.steering.style import relaxed_distance, style_loss
from clipgen.weights.registry import sha256_of_network

SMALL = ("--size", "48x32", "--steps", "2", "--cutouts", "2", "--seed", "1", "--preset", "starter", "--start", "noise")


@pytest.fixture(scope="module")
def features() -> StyleFeatures:
    return load_style_features()


def stripes(period: int, colour: tuple[float, float, float], *, across: bool = False, shift: int = 0) -> torch.Tensor:
    """Stripes (1, 3, 96, 96) of a colour on white."""
    line = ((torch.arange(96) + shift) // period % 2).float()
    share = (line[:, None] if across else line[None, :]).expand(96, 96)
    return torch.lerp(torch.ones(3, 96, 96), torch.tensor(colour)[:, None, None].expand(3, 96, 96), share)[None]


def measured(features: StyleFeatures, style: torch.Tensor, *pictures: torch.Tensor) -> list[float]:
    images = torch.cat(pictures)
    moment = Moment(0.0, slice(0, len(images)), images, {}, {}, generator=None)  # type: ignore[arg-type]
    return style_loss(features, style)(moment).tolist()


def test_a_picture_in_the_same_style_is_nearer_than_others(features: StyleFeatures) -> None:
    style, red = stripes(6, (0.8, 0.1, 0.1)), (0.8, 0.1, 0.1)
    same, moved, other_colour, turned, plain = measured(
        features,
        style,
        style,
        stripes(6, red, shift=4),
        stripes(6, (0.1, 0.1, 0.8)),
        stripes(6, red, across=True),
        torch.full((1, 3, 96, 96), 0.5),
    )
    assert same < 1e-3 < moved
    assert moved < min(other_colour, turned) < plain


def test_the_relaxed_distance_is_that_of_its_definition() -> None:
    costs = torch.tensor([[1.0, 4.0, 0.5], [3.0, 2.0, 5.0]])
    assert float(relaxed_distance(costs)) == pytest.approx(max((0.5 + 2.0) / 2, (1.0 + 2.0 + 0.5) / 3))


def test_each_picture_is_measured_as_it_is_on_its_own(features: StyleFeatures) -> None:
    style, pictures = stripes(6, (0.8, 0.1, 0.1)), [stripes(9, (0.1, 0.6, 0.1)), torch.rand(1, 3, 96, 96)]
    assert measured(features, style, *pictures) == [measured(features, style, each)[0] for each in pictures]


@pytest.mark.parametrize(
    "backend",
    ["vqgan", pytest.param("dvae", marks=pytest.mark.slow), "pixels", pytest.param("strokes", marks=pytest.mark.slow)],
)
def test_pictures_of_every_backend_take_over_the_colours(backend: str) -> None:
    styled, plain = (
        plan(
            "red:0.1", targets=targets, start="noise", backend=backend, steps=12, lr={"strokes": 4.0}.get(backend, 0.1)
        )
        for targets in (("style:green.png:3",), ())
    )
    green = torch.tensor([0.1, 0.8, 0.2])[None, :, None, None].expand(1, 3, 32, 32)
    found = []
    for asked, given in ((styled, Given(targets=(green,))), (plain, Given())):
        run = Run([asked], fake_models(backend), given)
        for _ in range(12):
            [step] = run.find_gradients()
            run.update()
        found.append(float((run.finish()[0].image - green[0, :, :1, :1]).abs().mean()))
        assert ("style 1" in step.terms) == bool(asked.targets)
    assert found[0] < found[1]


def test_a_style_is_recorded_with_its_file_and_its_network(cli: Cli) -> None:
    Image.fromarray((255 * stripes(6, (0.8, 0.1, 0.1))[0].permute(1, 2, 0).numpy()).astype(np.uint8)).save("s.png")
    made = cli("red", "--style-image", "s.png:0.5", *SMALL, "--keep-state")
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    told = read_recipe(picture).plan
    [row] = told.targets
    assert (row.kind, row.detail, row.weight.start, len(row.sha256)) == ("style", "s.png", 0.5, 64)
    assert ("classifier/efficientnet-lite0", sha256_of_network("classifier/efficientnet-lite0")) in [
        (each.name, each.sha256) for each in told.models
    ]
    refused = cli("replay", str(picture))
    assert (refused.exit_code, "add, with their paths: --style-image 's.png:0.5'" in refused.stderr) == (2, True)
    again = cli("replay", str(picture), "--style-image", "s.png:0.5")
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    assert cli("resume", str(picture), "--steps", "+1").exit_code == 0
    without = cli("red", *SMALL)
    assert Image.open(without.stdout.strip()).tobytes() != Image.open(picture).tobytes()

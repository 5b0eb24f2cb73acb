"""Losses that an installed package adds by an entry point, and the hold on the init image by its embedding."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
import torch
from fakes import Cli, FakePerceptor, Recorder, fake_models, plan
from PIL import Image

from clipgen.config import losses as config
from clipgen.core.contracts import Moment
from clipgen.engine.optimise import optimise
from clipgen.errors import UsageError
from clipgen.steering import losses as steering

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2", "--seed", "1", "--preset", "starter", "--start", "noise")


def brightness(detail: str) -> Callable[[Moment], torch.Tensor]:
    """A loss that a package could add: the distance from a brightness."""
    wanted = float(detail or 1)
    return lambda moment: (moment.images.mean((1, 2, 3)) - wanted).square()


def crooked(_detail: str) -> Callable[[Moment], torch.Tensor]:
    return lambda moment: moment.images.mean()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", config.GROUP)
        for name, value in (("brightness", "brightness"), ("crooked", "crooked"), ("gone", "gone"), ("seam", "crooked"))
    )

    def found(**wanted: Any) -> EntryPoints:
        return points.select(**wanted)

    monkeypatch.setattr(config, "entry_points", found)
    monkeypatch.setattr(steering, "entry_points", found)
    config.own_losses.cache_clear()
    yield
    config.own_losses.cache_clear()


def test_a_loss_of_a_package_is_listed_typed_and_minimised(cli: Cli) -> None:
    assert "brightness" in cli("losses").stdout
    recorder = Recorder()
    dark = optimise(
        plan("red", losses=("brightness:500:0.1",), steps=30, backend="pixels"), fake_models("pixels"), [recorder]
    )
    terms = [float(step.terms["brightness"]) for step in recorder.steps]
    assert terms[-1] < 0.2 * terms[0]
    assert torch.tensor(list(dark.image.tobytes())).float().mean() < 90
    made = cli("red", *SMALL, "--loss", "brightness:2:0.5")
    assert made.exit_code == 0, made.stderr
    again = cli("replay", made.stdout.strip())
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(made.stdout.strip()).tobytes()


def test_a_package_cannot_take_the_name_of_a_loss_that_is_there() -> None:
    assert set(config.own_losses()) == {"brightness", "crooked", "gone"}


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("brightness:1:much", "cannot be used: ValueError"),
        ("crooked", r"--loss crooked must return a number for each picture, got shape \(\)"),
        ("gone", "cannot be used: AttributeError"),
        ("brightnes", "brightness"),
    ],
)
def test_a_loss_that_fails_is_refused_by_its_name(loss: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        optimise(plan("red", losses=(loss,), backend="pixels"), fake_models("pixels"))


def test_the_embedding_of_the_init_image_holds_the_picture() -> None:
    blue = Image.new("RGB", (48, 32), "blue")
    recorder = Recorder()
    asked = plan("red", init="blue.png", losses=("init-embedding:1", "layout:0"), backend="pixels")
    optimise(asked, fake_models("pixels"), [recorder], init=blue)
    assert float(recorder.steps[0].terms["init-embedding"]) < 0.02  # noise on cutouts is all that differs
    assert "layout" not in recorder.steps[0].terms
    held, free = (
        optimise(plan("red", init="blue.png", losses=losses, backend="pixels"), fake_models("pixels"), init=blue)
        for losses in (("init-embedding:20", "layout:0"), ("layout:0",))
    )
    seen = [FakePerceptor().encode_images(_small(each.image)) for each in (held, free)]
    target = FakePerceptor().encode_images(_small(blue))
    assert (seen[0] * target).sum() > (seen[1] * target).sum() + 0.1


def _small(image: Image.Image) -> torch.Tensor:
    pixels = torch.tensor(list(image.resize((16, 16)).tobytes())).view(16, 16, 3)
    return pixels.permute(2, 0, 1)[None] / 255

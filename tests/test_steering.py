"""Losses by name: how they are typed, what each measures, and what it makes of a picture."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Cli
from fakes import Recorder, fake_models, plan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from clipgen.config.job import Job
from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import LOSS_KINDS, TYPED_LOSSES
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.schedules import Schedule
from clipgen.engine.optimise import optimise
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.arguments import job_fields, named_after_parameters
from clipgen.session.reading_plans import job_of
from clipgen.steering.losses import PICTURE_LOSSES

RED = parse_prompts("red")
WITHOUT_INIT = [name for name in TYPED_LOSSES if not (LOSS_KINDS[name].needs_init or LOSS_KINDS[name].guide)]


def pictures(count: int = 2, size: tuple[int, int] = (24, 32)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def measure(name: str, images: Tensor, detail: str = "") -> Tensor:
    row = LossSettings(name, Schedule.constant(1.0), detail)
    return PICTURE_LOSSES[name](row.detail)(images)


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("seam", "seam:30"),
        ("saturation:-2.50", "saturation:-2.5"),
        ("contrast:8..1", "contrast:8..1"),
        ("palette", "palette:10:#000000,#ffffff"),
        ("palette: navy, #fd0", "palette:10:#000080,#ffdd00"),
        ("palette:2e1:Gold", "palette:20:#ffd700"),
        ("symmetry:both", "symmetry:30:both"),
        ("edges:3", "edges:3:#ffffff"),
    ],
)
def test_a_loss_is_read_and_spelled_in_full(typed: str, full: str) -> None:
    assert str(LossSettings.parse(typed)) == full
    assert str(LossSettings.parse(full)) == full
    assert Job(RED, losses=(typed,)).losses == (full,)


@given(
    st.sampled_from(WITHOUT_INIT), st.floats(0, 1e6, allow_subnormal=False), st.floats(0, 1e6, allow_subnormal=False)
)
def test_every_weight_is_read_as_it_is_spelled(name: str, start: float, end: float) -> None:
    for schedule in (Schedule.constant(start), Schedule("cosine", start, end)):
        row = LossSettings(name, schedule)
        assert LossSettings.parse(str(row)) == row


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("simmetry", "--loss must be one of .*, got 'simmetry'; did you mean symmetry"),
        ("prompt:2", "--loss must be one of .*, got 'prompt'"),
        ("palette:1:navi", "loss palette: 'navi' is no colour"),
        ("palette:1:red,,blue", "loss palette: '' is no colour"),
        ("palette:1:" + ",".join(["red"] * 33), "loss palette: takes at most 32 colours, got 33"),
        ("symmetry:2:diagonal", "loss symmetry: the axis must be one of both, left-right, top-bottom"),
        ("edges:red,blue", "loss edges: takes one colour, got 'red,blue'"),
        ("seam:2:left", "loss seam: takes nothing after its weight, got 'left'"),
        ("palette:-1", "the weight of palette must be at least 0"),
        ("seam:5..-1", "the weight of seam must be at least 0"),
        ("contrast:1e9", "must be a number from -1e.06 to 1e.06"),
        ("contrast:nan", "takes nothing after its weight, got 'nan'"),
        ("layout:1", "--loss layout needs an init image; add --init FILE"),
        ("", "--loss must be one of"),
    ],
)
def test_what_is_no_loss_is_refused_in_one_line(cli: Cli, typed: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Job(RED, losses=(typed,))
    result = cli("red", "--loss", typed)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_loss_is_named_once() -> None:
    with pytest.raises(UsageError, match="--loss names seam twice"):
        Job(RED, losses=("seam:1", "seam:2"))


def test_a_typed_loss_takes_the_place_of_one_of_the_preset() -> None:
    job = Job(RED, preset="photo", losses=("contrast:0", "total-variation:7", "palette:3:red"))
    made, _ = resolve(job, device="cpu")
    assert [str(row) for row in made.losses[1:]] == ["total-variation:7", "palette:3:#ff0000"]
    assert job_of(made).losses == ("total-variation:7", "palette:3:#ff0000", "contrast:0")
    assert resolve(job_of(made), device="cpu")[0].losses == made.losses


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_a_picture_is_measured_alone_and_pulled_at(name: str) -> None:
    images = pictures().requires_grad_()
    values = measure(name, images)
    values.sum().backward()
    assert values.shape == (2,)
    assert (values.detach() > 0).all()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.flatten(1).any(1).all()
    assert torch.equal(measure(name, images[1:].detach()), values[1:].detach())
    assert measure(name, torch.rand(1, 3, 1, 1)).isfinite().all()


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_gradients_grow_with_the_weight(name: str) -> None:
    found = []
    for weight in (1.0, 3.0):
        images = pictures(1).requires_grad_()
        (weight * measure(name, images)).sum().backward()
        found.append(images.grad)
    torch.testing.assert_close(found[1], 3 * found[0])


def test_measures_are_zero_where_there_is_nothing_to_do() -> None:
    grey = torch.full((1, 3, 20, 20), 0.5)
    for name in ("smoothness", "total-variation", "contrast", "saturation", "range", "symmetry", "seam"):
        assert float(measure(name, grey)) == 0
    assert float(measure("palette", grey, "#808080")) < 1e-4
    assert float(measure("edges", grey, "#808080")) < 1e-4


def test_a_palette_counts_the_nearest_colour() -> None:
    images = torch.zeros(1, 3, 4, 4)
    images[:, 0, :2] = 1  # the upper half is red, the lower black
    assert float(measure("palette", images, "red,black")) == 0
    assert float(measure("palette", images, "red")) == pytest.approx(0.5)
    assert float(measure("palette", images, "white")) == pytest.approx((2 + 3) / 2)


def test_mirror_images_are_symmetric() -> None:
    half = torch.rand(1, 3, 8, 4)
    mirrored = torch.cat([half, half.flip(3)], 3)
    assert float(measure("symmetry", mirrored)) == 0
    assert float(measure("symmetry", mirrored.transpose(2, 3), "top-bottom")) == 0
    assert float(measure("symmetry", mirrored, "both")) > 0.01


def test_the_margin_alone_gets_its_colour() -> None:
    images = torch.ones(1, 3, 40, 20)
    images[:, :, 2:-2, 2:-2] = 0
    assert float(measure("edges", images)) == 0
    assert float(measure("edges", images, "black")) == 1


def test_a_wave_that_fits_the_picture_has_no_seam() -> None:
    place = torch.arange(32) / 32
    wave = (torch.sin(2 * torch.pi * place) / 2 + 0.5).expand(1, 3, 32, 32)
    ramp = place.expand(1, 3, 32, 32)
    assert float(measure("seam", wave)) < 0.02 * float(measure("seam", ramp))


def test_black_and_white_are_out_of_range() -> None:
    values = [float(measure("range", torch.full((1, 3, 4, 4), value))) for value in (0.0, 0.03, 0.1, 0.5, 0.97, 1.0)]
    assert values[0] == pytest.approx(values[5])
    assert values[1] == pytest.approx(values[4], abs=1e-5)
    assert values[0] > values[1] > values[2] == values[3] == 0


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_descent_leads_to_less(name: str) -> None:
    images = pictures(1)
    first = float(measure(name, images))
    for _ in range(50):
        images.requires_grad_()
        [gradient] = torch.autograd.grad(measure(name, images).sum(), images)
        images = (images - 0.01 * gradient / gradient.abs().max().clamp_min(1e-9)).detach()
    assert float(measure(name, images)) < 0.9 * first


@pytest.mark.parametrize(("name", "detail"), [("saturation", ""), ("palette", "white")])
def test_a_run_with_a_loss_ends_with_less_of_it(name: str, detail: str) -> None:
    asked, found = plan("red", backend="pixels", steps=30), []
    for weight in (0.0, 50.0):
        losses = (*asked.losses, LossSettings(name, Schedule.constant(weight), detail))
        recorder = Recorder()
        optimise(replace(asked, losses=losses), fake_models("pixels"), [recorder])
        found.append(float(measure(name, recorder.steps[-1].image[None], detail)))
    assert found[1] < 0.7 * found[0]


def test_losses_are_typed_recorded_and_replayed(cli: Cli) -> None:
    small = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1", "--start", "noise")
    Image.new("RGB", (8, 8), "#204060").save("sea.png")
    made = cli("red", *small, "--loss", "palette:5:@sea.png", "--loss", "symmetry")
    assert made.exit_code == 0
    picture = made.stdout.strip()
    assert [str(row) for row in read_recipe(Path(picture)).plan.losses[1:]] == [
        "palette:5:#204060",
        "symmetry:30:left-right",
    ]
    assert "palette:5:#204060, symmetry:30:left-right" in cli("info", picture).stdout
    again = cli("replay", picture).stdout.strip()
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    other = cli("replay", picture, "--loss", "symmetry:0").stdout.strip()
    assert [row.name for row in read_recipe(Path(other)).plan.losses] == ["prompt", "palette"]
    dvae = cli("replay", picture, "--backend", "dvae").stdout.strip()
    assert [row.name for row in read_recipe(Path(dvae)).plan.losses] == ["prompt", "palette", "symmetry"]


def test_colours_come_from_a_picture_that_can_be_read(cli: Cli) -> None:
    for file in ("missing.png", "."):
        result = cli("red", "--loss", f"palette:5:@{file}")
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: --loss {file!r} ")


@pytest.mark.usefixtures("own_folder")
def test_losses_are_set_from_python() -> None:
    Image.new("RGB", (8, 8), "#204060").save("sea.png")
    fields, _ = job_fields({"losses": "palette:5:@sea.png"})
    assert fields["losses"] == ("palette:5:#204060",)
    with pytest.raises(UsageError, match=r"losses.*'no.png' does not exist"), named_after_parameters():
        job_fields({"losses": ["symmetry", "palette:@no.png"]})


def test_losses_are_listed(cli: Cli) -> None:
    table = cli("losses").stdout
    assert all(name in table for name in TYPED_LOSSES)
    rows = json.loads(cli("losses", "--json").stdout)["losses"]
    assert [row["name"] for row in rows] == list(TYPED_LOSSES)

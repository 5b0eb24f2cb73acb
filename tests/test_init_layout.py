"""Init images of the starter set: the picture that is drawn over one keeps its layout, and the run turns into it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from clipgen.config.holding import PURE_NOISE
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import UnclipSettings
from clipgen.core.contracts import Moment
from clipgen.session.planning import change_plan
from clipgen.starter.unclip.layout import Layout
from clipgen.starter.unclip.proposal import TURN_UNTIL, TURN_VARIANCE, PictureLoss
from clipgen.starter.unclip.sampler import noise_levels, sample, steered


def left_light(width: int = 64) -> Tensor:
    image = torch.full((3, 64, width), 0.1)
    image[:, :, : width // 2] = 0.9
    return image


def test_a_layout_is_that_of_the_image_at_any_size_brightness_and_contrast() -> None:
    layout = Layout(left_light())
    assert float(layout.distance(left_light(96)[None])) == pytest.approx(0.0, abs=1e-6)
    assert float(layout.distance(0.3 * left_light()[None])) == pytest.approx(0.0, abs=1e-6)
    right = left_light().flip(2)
    assert float(layout.distance(right[None])) > 3.0


def test_colours_belong_to_the_layout() -> None:
    image = left_light()
    tinted = image.clone()
    tinted[0] *= 0.5
    assert float(Layout(image).distance(tinted[None])) > 0.05


def test_of_a_mixture_a_share_of_the_layout_is_that_of_the_image_and_detail_stays() -> None:
    layout, detailed = Layout(left_light()), torch.full((1, 3, 64, 64), 0.5)
    detailed[..., ::2] += 0.1
    mixed = layout.mixed_into(detailed, 0.5)
    assert torch.equal(layout.mixed_into(detailed, 0.0), detailed)
    assert float(mixed[..., :16].mean() - mixed[..., -16:].mean()) == pytest.approx(0.4, abs=0.02)
    assert float(mixed[..., 8].mean() - mixed[..., 9].mean()) == pytest.approx(0.1, abs=0.01)


def test_steering_leads_samples_to_what_is_near() -> None:
    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        return noisy / (1 + sigma.square())[:, None]  # of data that are standard normal

    goal = torch.tensor([2.0, 0.0])
    noise = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))

    def distance(data: Tensor) -> Tensor:
        return (data - goal).square().sum(1)

    levels = noise_levels(20.0, 0.02, 12)
    free = sample(denoise, 20.0 * noise, levels)
    led = sample(steered(denoise, distance, 0.2), 20.0 * noise, levels)
    assert float(distance(led).mean()) < 0.5 * float(distance(free).mean())
    assert not led.requires_grad


def moment(images: Tensor, progress: float, rows: slice) -> Moment:
    generator: Any = None
    return Moment(progress, rows, images, {}, {}, generator)


def test_pictures_are_drawn_to_what_they_turn_into_ever_less() -> None:
    loss = PictureLoss({1: torch.ones(3, 4, 4)})
    images = torch.full((1, 3, 8, 8), 0.5)
    at_first = float(loss(moment(images, 0.0, slice(1, 2))))
    assert at_first == pytest.approx(0.25 / TURN_VARIANCE)
    assert float(loss(moment(images, TURN_UNTIL / 2, slice(1, 2)))) == pytest.approx(at_first / 2)
    assert float(loss(moment(images, TURN_UNTIL, slice(1, 2)))) == 0.0
    assert float(loss(moment(images, 0.0, slice(0, 1)))) == 0.0  # another picture, which has none


def unclip_at(weight: float) -> UnclipSettings:
    job = Job(parse_prompts("a red flower"), preset="starter", init="a.png", init_weight=weight)
    return resolve(job)[0].unclip[0]


def test_the_init_weight_leads_from_the_prompt_to_the_image() -> None:
    rows = [unclip_at(weight) for weight in (0.0, 0.25, 1.0, 4.0, 16.0)]
    noises = [row.init_img2img_noise for row in rows]
    shares = [row.layout_share for row in rows]
    assert noises[0] == PURE_NOISE
    assert noises == sorted(noises, reverse=True)
    assert shares == sorted(shares)
    assert (shares[0], rows[0].layout_guidance) == (0.0, 0.0)
    assert 0.8 < shares[-1] < 1.0


def test_a_replay_with_another_init_weight_is_that_of_a_run_with_it(tmp_path: Any) -> None:
    from PIL import Image

    path = str(tmp_path / "a.png")
    Image.new("RGB", (64, 64), "blue").save(path)
    plan = resolve(Job(parse_prompts("a red flower"), preset="starter", init=path))[0]
    changed = change_plan(plan, {"init": path, "init_weight": 4.0}, "cpu")[0]
    assert changed.unclip == (unclip_at(4.0),)
    assert changed.weight_of("layout") == pytest.approx(1.2)
    before = replace(plan, unclip=(replace(plan.unclip[0], init_img2img_noise=0.0),))  # of an earlier version
    assert change_plan(before, {"init": path, "init_weight": 4.0}, "cpu")[0].unclip == before.unclip

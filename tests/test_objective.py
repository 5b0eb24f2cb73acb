"""What pulls at the pictures: each loss with its weight over the run, and the score beside them."""

import math
from dataclasses import replace

import pytest
import torch
from fakes import FakePerceptor, Recorder, colour, fake_loop, fake_models, guide, guided_by, plan
from PIL import Image
from torch import Tensor

from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import LOSS_KINDS
from clipgen.config.schedules import Schedule
from clipgen.config.strokes import STROKES
from clipgen.core.losses import LOSSES
from clipgen.engine.optimise import optimise
from clipgen.generators import GENERATORS
from clipgen.steering.losses import PICTURE_LOSSES

every_backend = pytest.mark.parametrize("backend", GENERATORS)


def test_the_losses_are_those_that_settings_can_name() -> None:
    assert {*LOSSES, *PICTURE_LOSSES, "init-pixels", "init-embedding", "anchor", "norm", "aesthetic"} == set(LOSS_KINDS)
    assert not LOSSES.keys() & PICTURE_LOSSES.keys()


def test_negative_prompts_push_away() -> None:
    # Away from blue lies yellow.
    red, green, blue = colour(optimise(plan("blue:-1", steps=40), fake_models()))
    assert min(red, green) > 2 * blue


def test_a_text_past_its_stop_does_not_pull() -> None:
    recorder = Recorder()
    optimise(plan("red:1:100|blue:-1:100"), fake_models(), [recorder])
    assert torch.equal(recorder.steps[-1].image, recorder.steps[0].image)


def test_the_terms_of_a_step_sum_to_its_loss() -> None:
    recorder = Recorder()
    asked = plan("red|blue:-0.5", init="a.png", init_weight=0.0).with_loss("init", 3.0)
    asked = asked.with_loss("total-variation", 2.0)
    optimise(asked, fake_models(), [recorder], init=Image.new("RGB", (48, 32), "green"))
    for step in recorder.steps:
        assert list(step.terms) == ["prompt", "init", "total-variation"]
        assert float(step.loss) == pytest.approx(sum(map(float, step.terms.values())), abs=1e-6)
    assert all(float(term) != 0 for term in recorder.steps[-1].terms.values())


def test_a_loss_counts_as_much_as_its_schedule_says_at_each_step() -> None:
    asked = replace(plan(backend="pixels"), losses=(LossSettings("prompt", Schedule.constant(1.0)),))
    fading = LossSettings("total-variation", Schedule("cosine", 8.0, 2.0))
    recorder = Recorder()
    optimise(replace(asked, losses=(*asked.losses, fading)), fake_models("pixels"), [recorder])
    for step in recorder.steps:
        across, down = (step.image.diff(dim=dim).abs().mean() for dim in (2, 1))
        weight = 2 + 6 * (1 + math.cos(math.pi * step.index / 12)) / 2
        assert float(step.terms["total-variation"]) == pytest.approx(weight * float(across + down), rel=1e-4)


def test_total_variation_in_the_loss_makes_pictures_smoother() -> None:
    stripes = Image.new("RGB", (48, 32), "black")
    stripes.paste("red", (8, 0, 16, 32))
    stripes.paste("red", (32, 0, 40, 32))
    steps = []
    for weight in (0.0, 10.0):
        recorder = Recorder()
        asked = plan("white:1:10", lr=0.05, init="stripes.png").with_loss("total-variation", weight)
        optimise(asked, fake_models(), [recorder], init=stripes)
        steps.append(float(recorder.steps[-1].image.diff(dim=2).abs().mean()))
        assert ("total-variation" in recorder.steps[0].terms) == (weight > 0)
    assert steps[1] < 0.7 * steps[0]


@pytest.mark.parametrize("backend", [name for name in GENERATORS if name != STROKES])
def test_the_init_image_is_the_start_and_its_weight_holds_on_to_it(backend: str) -> None:
    blue = Image.new("RGB", (48, 32), (0, 0, 255))
    ends = []
    for weight in (0.0, 1000.0):
        recorder = Recorder()
        asked = plan("red:1:0", backend=backend, init="blue.png", init_weight=0.0, steps=50)
        asked = asked.with_loss("init", weight)
        optimise(asked, fake_models(backend), [recorder], init=blue)
        ends.append(recorder.steps[-1].image.mean((1, 2)))
        assert ("init" in recorder.steps[0].terms) == (weight > 0)
    assert ends[0][0] > 0.6 > ends[0][2]
    assert ends[1][2] > 0.9 > 0.1 > ends[1][0]


def test_several_perceptors_are_averaged() -> None:
    one, two = (fake_loop(plan(), fake_models(perceptors=count)).find_gradients() for count in (1, 2))
    torch.testing.assert_close(one.losses, two.losses)
    torch.testing.assert_close(one.scores, two.scores)


class Contrary(FakePerceptor):
    """Sees the opposite of what there is."""

    def encode_images(self, cutouts: Tensor) -> Tensor:
        return -super().encode_images(cutouts)


def test_perceptors_that_see_opposites_cancel_out_in_the_score() -> None:
    measured = fake_loop(plan(), guided_by(FakePerceptor(), Contrary())).find_gradients()
    assert abs(float(measured.scores)) < 1e-6 < abs(float(measured.losses.detach()))


def test_a_perceptor_guides_only_in_its_part_of_the_run() -> None:
    guides = (guide(FakePerceptor(), until=0.5), guide(Contrary(), since=0.5))
    recorder = Recorder()
    optimise(plan(steps=20), replace(fake_models(), guides=guides), [recorder])
    reds = [float(step.image[0].mean() - step.image[1:].mean()) for step in recorder.steps]
    assert reds[10] > reds[0] + 0.1
    assert reds[20] < reds[10] - 0.1
    scores = [float(step.score) for step in recorder.steps]
    assert scores[9] > 0 > scores[10]

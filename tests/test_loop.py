"""The core alone, without engine, presets or files: decode, cut out, embed, compare, follow the gradient."""

from dataclasses import replace

import pytest
import torch
from fakes import FakeVQGAN, fake_loop, fake_models, guided_by, plan
from torch import Tensor, nn

from clipgen.config.settings import CutoutSettings
from clipgen.core.loop import Loop
from clipgen.core.optim import RULES
from clipgen.generators import GENERATORS
from clipgen.perceptors.classifier import CLASSES, ClassifierPerceptor

every_backend = pytest.mark.parametrize("backend", GENERATORS)


@every_backend
@pytest.mark.parametrize("rule", RULES)
def test_five_steps_lower_the_loss_of_every_picture(backend: str, rule: str) -> None:
    asked = plan(backend=backend, lr=0.1)
    asked = replace(asked, generator=replace(asked.generator, optimizer=rule))
    others = [plan("blue:2|white:0.5", backend=backend, seed=1), plan("green:-1", backend=backend, seed=2)]
    loop = fake_loop(asked, fake_models(backend), *others)
    losses = [loop.step().losses for _ in range(5)]
    loop.generator.set_step(12, 12, loop.seeds)
    assert (loop.measure(loop.decode(loop.generator)).losses < losses[0]).all()
    assert loop.done == 5


def test_the_cutouts_change_from_step_to_step() -> None:
    loop = fake_loop(plan(cutouts=4), fake_models())
    still = CutoutSettings(share_plain=0, share_whole=0, jitter=0, noise=0)
    loop.cutouts = replace(loop.cutouts, settings=still)
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    losses = set()
    for loop.done in range(5):
        losses.add(float(loop.measure(picture).losses))
    assert len(losses) == 5


def test_the_learning_rate_follows_its_schedule() -> None:
    asked = plan("red", steps=20, backend="pixels")  # one length of step for each number of the latent, at first
    scales: list[float] = []
    loop = fake_loop(asked, fake_models("pixels"))
    step = loop.optimizer.step

    def watched(scale: float) -> None:
        scales.append(scale)
        step(scale)

    loop.optimizer.step = watched  # type: ignore[method-assign]
    for _ in range(20):
        loop.step()
    assert scales == [asked.lr_schedule.at(k / 20) for k in range(20)]
    assert scales[0] == 1
    assert scales == sorted(scales, reverse=True)
    assert scales[-1] < 0.12


def test_latents_are_brought_back_into_range_after_every_update() -> None:
    class Strict(FakeVQGAN):
        def straight_through(self, latent: Tensor) -> Tensor:
            assert latent.min() >= -1e-5
            assert latent.max() <= 1 + 1e-5
            return super().straight_through(latent)

    loop = fake_loop(plan(lr=3.0), replace(fake_models(), network=Strict()))
    for _ in range(5):
        loop.step()
    assert loop.done == 5


THINGS = {"goldfish": 1, "zebra": 340, "banana": 954}  # class by name; they answer to red, green and blue here


def knows_three_colours() -> ClassifierPerceptor:
    """A convolution whose channels are logits: of three things, which answer to red, green and blue, and of others."""
    convolution = nn.Conv2d(3, CLASSES, 4, stride=4)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.bias.fill_(-4.0)
        convolution.weight[list(THINGS.values())] = (6 * torch.eye(3) - 2)[:, :, None, None].expand(3, 3, 4, 4) / 16
        convolution.bias[list(THINGS.values())] = 0.0
    network = nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten()).requires_grad_(False)
    return ClassifierPerceptor(network, size=16, mean=[0.5] * 3, std=[0.25] * 3)


def pixels_by_classifier(prompt: str, seed: int = 0) -> Loop:
    asked = plan(prompt, backend="pixels", steps=40, seed=seed)
    return fake_loop(asked, guided_by(knows_three_colours(), backend="pixels"))


@pytest.mark.parametrize(
    ("prompt", "wanted"), [("goldfish", [1, 0, 0]), ("a big zebra", [0, 1, 0]), ("bananas", [0, 0, 1])]
)
def test_pixels_that_a_classifier_guides_take_the_colour_of_the_thing_that_it_is_told(
    prompt: str, wanted: list[int]
) -> None:
    loop = pixels_by_classifier(prompt)
    for _ in range(40):
        loop.step()
    mean = loop.decode(loop.generator).detach().mean((0, 2, 3))
    torch.testing.assert_close(mean, torch.tensor(wanted).float(), atol=0.25, rtol=0)


def test_things_of_one_text_share_the_picture() -> None:
    loop = pixels_by_classifier("a goldfish and a banana")
    for _ in range(40):
        loop.step()
    red, green, blue = loop.decode(loop.generator).detach().mean((0, 2, 3)).tolist()
    assert min(red, blue) > green + 0.2


def test_a_thing_that_is_not_wanted_is_pushed_away() -> None:
    loop = pixels_by_classifier("a goldfish|a banana:-0.5")
    before = float(loop.find_gradients().losses.detach())
    for _ in range(40):
        loop.step()
    assert float(loop.find_gradients().losses.detach()) < before
    red, _, blue = loop.decode(loop.generator).detach().mean((0, 2, 3)).tolist()
    assert red > blue + 0.4


def test_the_score_of_a_classifier_is_the_probability_of_what_is_wanted() -> None:
    scores = [float(pixels_by_classifier("a goldfish").step().scores)]
    loop = pixels_by_classifier("a goldfish|a banana:-0.1")
    scores += [float(loop.step().scores) for _ in range(40)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)  # what pushes is not in the score
    assert 0 < scores[0] < 0.4
    assert 0.95 < scores[-1] <= 1

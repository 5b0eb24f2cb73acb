import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipgen.config.prompts import NO_STOP
from clipgen.core.losses import prompt_loss, prompt_score, total_variation
from clipgen.perceptors.clip import spherical_distance


def at_angle(degrees: float) -> Tensor:
    return torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


@pytest.mark.parametrize("degrees", [0.0, 1.0, 45.0, 90.0, 135.0, 180.0])
def test_the_distance_is_half_the_squared_angle(degrees: float) -> None:
    distance = spherical_distance(at_angle(20), at_angle(20 + degrees))
    assert float(distance) == pytest.approx(math.radians(degrees) ** 2 / 2, abs=1e-6)


def test_the_distance_is_that_of_the_notebooks() -> None:
    torch.manual_seed(0)
    a, b = normalize(torch.randn(100, 32), dim=1), normalize(torch.randn(100, 32), dim=1)
    notebook = (a - b).norm(dim=-1).div(2).arcsin().square().mul(2)
    torch.testing.assert_close(spherical_distance(a, b), notebook)


@pytest.mark.parametrize("degrees", [0.0, 180.0])
def test_equal_and_opposite_vectors_have_finite_gradients(degrees: float) -> None:
    a = at_angle(0).requires_grad_()
    spherical_distance(a, at_angle(degrees)).backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()


def one_cutout(degrees: float, weight: float, stop: float = NO_STOP) -> tuple[Tensor, Tensor]:
    """Value and gradient, with respect to the cutout's angle, of the loss to a text at angle 0."""
    angle = torch.tensor(math.radians(degrees), requires_grad=True)
    cutout = torch.stack([angle.cos(), angle.sin()])[None, None]
    distance = spherical_distance(cutout, at_angle(0))[:, :, None]
    loss = prompt_loss(distance, torch.tensor([[weight]]), torch.tensor([[stop]]))
    loss.sum().backward()
    assert angle.grad is not None
    return loss.detach(), angle.grad


def test_a_weight_scales_and_a_negative_one_pushes_away() -> None:
    pull, pull_grad = one_cutout(60, 2.0)
    push, push_grad = one_cutout(60, -2.0)
    assert float(pull) == pytest.approx(2 * math.radians(60) ** 2 / 2, rel=1e-5)
    assert float(push) == pytest.approx(-float(pull))
    assert float(pull_grad) == pytest.approx(2 * math.radians(60), rel=1e-5)
    assert float(push_grad) == pytest.approx(-float(pull_grad))


@pytest.mark.parametrize(("weight", "beyond", "short_of"), [(1.0, 0.6, 0.5), (-1.0, -0.5, -0.6)])
def test_a_stop_ends_the_gradient_and_keeps_the_value(weight: float, beyond: float, short_of: float) -> None:
    value = math.copysign(math.radians(60) ** 2 / 2, weight)  # 0.548
    for stop, moves in ((beyond, False), (short_of, True)):
        loss, grad = one_cutout(60, weight, stop)
        assert float(loss) == pytest.approx(value, rel=1e-5)
        assert bool(grad != 0) == moves


def test_pictures_and_padding_do_not_mix() -> None:
    torch.manual_seed(0)
    distances = torch.rand(2, 5, 3)
    weights, stops = torch.tensor([[1.0, -0.5, 2.0], [0.7, 0.0, 0.0]]), torch.full((2, 3), NO_STOP)
    together = prompt_loss(distances, weights, stops)
    alone = [
        prompt_loss(distances[:1], weights[:1], stops[:1]),
        prompt_loss(distances[1:, :, :1], weights[1:, :1], stops[1:, :1]),
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_score_is_the_mean_cosine_to_the_texts_that_pull() -> None:
    cutouts = torch.stack([at_angle(0), at_angle(60)])[None]
    texts = torch.stack([at_angle(0), at_angle(90), at_angle(180)])[None]
    cosines = cutouts @ texts.transpose(1, 2)
    score = prompt_score(cosines, torch.tensor([[1.0, 3.0, -5.0]]))
    assert float(score) == pytest.approx(0.25 * (1 + 0.5) / 2 + 0.75 * (0 + math.sin(math.radians(60))) / 2)
    assert float(prompt_score(cosines, torch.tensor([[-1.0, 0.0, -1.0]]))) == 0


def test_total_variation_counts_steps_between_neighbours() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 8, 8)
    assert float(total_variation(stripes)) == 1
    assert float(total_variation(torch.full((1, 3, 8, 8), 0.3))) == 0

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from clipgen.config.prompts import NO_STOP, parse_prompts
from clipgen.core.contracts import Moment
from clipgen.core.losses import (
    LAYOUT,
    LOSSES,
    Objective,
    Targets,
    encode_targets,
    prompt_loss,
    prompt_score,
)
from clipgen.errors import UsageError
from clipgen.perceptors.clip import spherical_distance
from clipgen.steering.losses import contrast, total_variation


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


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_a_picture_one_pixel_wide_has_a_finite_total_variation(shape: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *shape, requires_grad=True)
    variation = total_variation(images)
    variation.sum().backward()
    assert variation.isfinite().all()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert total_variation(torch.rand(2, 3, 1, 1)).tolist() == [0, 0]


def test_total_variation_counts_steps_between_neighbours() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 8, 8)
    assert float(total_variation(stripes)) == 1
    assert float(total_variation(torch.full((1, 3, 8, 8), 0.3))) == 0


Readings = Sequence[Sequence[str]]


def targets(prompts: Sequence[str], readings: Sequence[Readings], shares: Sequence[float] = (1.0, 1.0)) -> Targets:
    """The targets of pictures for two fake perceptors."""
    parsed = [parse_prompts(text) for text in prompts]
    return encode_targets([FakePerceptor(), FakePerceptor()], shares, parsed, readings, torch.device("cpu"))


def moment(images: Tensor, vectors: dict[int, Tensor] | None = None, start: int = 0) -> Moment:
    nothing: Any = None
    rows = slice(start, start + len(images))
    return Moment(0.0, rows, images, vectors or {}, {}, nothing)


def seen(*pictures: int) -> Tensor:
    """Unit vectors (b, 3, 12) of three cutouts of each picture, which depend on its number alone."""
    drawn = [torch.randn(3, 12, generator=torch.Generator().manual_seed(number)) for number in pictures]
    return normalize(torch.stack(drawn), dim=2).requires_grad_()


ONE = targets(["red"], [[["red"], ["red"]]])


def photographs() -> Tensor:
    return torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def test_the_layout_of_a_photograph_is_its_own() -> None:
    images = photographs()
    layout = LOSSES["layout"](ONE, images)
    assert layout(moment(images)).tolist() == [0, 0, 0]
    assert layout(moment(images[1:2], start=1)).tolist() == [0]
    assert (layout(moment(images[1:2], start=0)) > 0).all()  # that of another


def test_the_distance_of_a_layout_is_the_mean_square_of_what_a_blur_leaves_by_the_contrast_of_the_photograph() -> None:
    images = photographs().mul(0.5).add(0.25)
    layout = LOSSES["layout"](ONE, images)
    spread = torch.stack([each.mean(0).var() for each in adaptive_avg_pool2d(images, LAYOUT)]) + 0.005
    for step in (0.05, 0.1, 0.2):
        torch.testing.assert_close(layout(moment(images + step)), step**2 / spread)
    texture = torch.ones(32, 48).mul(0.2)
    texture[::2] *= -1
    torch.testing.assert_close(layout(moment(images + texture)), torch.zeros(3), atol=1e-6, rtol=0)
    changed = images.clone()
    changed[1, :, :16] += 0.2
    torch.testing.assert_close(layout(moment(changed)), torch.tensor([0.0, 0.02, 0.0]) / spread)


def test_a_layout_holds_a_picture_of_any_size() -> None:
    images = photographs()
    layout = LOSSES["layout"](ONE, images)
    for size in ((64, 96), (16, 16), (16, 48)):
        same = interpolate(images, size, mode="area")
        torch.testing.assert_close(layout(moment(same)), torch.zeros(3), atol=1e-6, rtol=0)
        assert (layout(moment(1 - same)) > 1e-3).all()
    small = interpolate(images, (9, 7), mode="area").requires_grad_()
    layout(moment(small)).sum().backward()
    assert small.grad is not None
    assert small.grad.isfinite().all()
    assert small.grad.any()


def test_a_layout_needs_an_init_image() -> None:
    with pytest.raises(UsageError, match="layout holds a picture to its init image, and there is none"):
        LOSSES["layout"](ONE, None)


def test_contrast_counts_how_far_pixels_are_from_grey() -> None:
    images = torch.stack([torch.full((3, 8, 8), value) for value in (0.5, 0.0, 1.0, 0.25)]).requires_grad_()
    values = contrast(images)
    torch.testing.assert_close(values.detach(), torch.tensor([0.0, 0.25, 0.25, 0.0625]))
    values.sum().backward()
    assert images.grad is not None
    assert images.grad.sign().mean((1, 2, 3)).tolist() == [0, -1, 1, -1]  # descent leads to grey


def test_shares_weigh_the_perceptors_that_guide_now() -> None:
    own = targets(["red"], [[["red"], ["red"]]], shares=(1.0, 3.0))
    first, second = torch.tensor([1.0, -2.0]), torch.tensor([5.0, 2.0])
    assert own.mean({0: first, 1: second}).tolist() == [4.0, 1.0]
    assert own.mean({1: second}).tolist() == second.tolist()
    assert own.mean({0: first}).tolist() == first.tolist()


def test_shares_weigh_loss_and_score() -> None:
    own = targets(["red"], [[["red"], ["red"]]], shares=(1.0, 3.0))
    both, loss = {0: seen(1), 1: seen(2)}, LOSSES["prompt"](own, None)
    images = torch.zeros(1, 3, 8, 8)
    objective = Objective({}, own, needs_maps=False)
    for measure in (loss, objective.score):
        first, second, together = (measure(moment(images, one)) for one in ({0: both[0]}, {1: both[1]}, both))
        torch.testing.assert_close(together, (first + 3 * second) / 4)
        assert not torch.allclose(first, second)


def test_a_text_of_which_a_perceptor_takes_nothing_has_no_weight_for_it() -> None:
    own = targets(["red:2|blue:-0.5:-0.3", "white"], [[["red", ""], ["", "blue"]], [["white"], ["white"]]])
    assert own.weights[0].tolist() == [[2, 0], [1, 0]]
    assert own.weights[1].tolist() == [[0, -0.5], [1, 0]]
    assert own.counts == (2, 1)
    assert not own.vectors[0][0, 1].any()
    assert not own.vectors[1][0, 0].any()
    torch.testing.assert_close(own.vectors[0][0, :1], FakePerceptor().encode_texts(["red"]))
    torch.testing.assert_close(own.vectors[1][0, 1:], FakePerceptor().encode_texts(["blue"]))


def test_what_a_perceptor_does_not_take_gives_no_gradient() -> None:
    own = targets(["red|blue:3", "white|blue"], [[["red", ""], ["red", "blue"]], [["", "blue"], ["white", ""]]])
    for k, row, text in ((0, 0, "red"), (0, 1, "blue"), (1, 1, "white")):
        gradients, values, scores = [], [], []
        alone = targets([text], [[[text], [text]]])
        for whose, number in ((own, row), (alone, 0)):
            vectors = seen(7)
            at = moment(torch.zeros(1, 3, 8, 8), {k: vectors}, start=number)
            value = LOSSES["prompt"](whose, None)(at)
            value.sum().backward()
            assert vectors.grad is not None
            gradients.append(vectors.grad)
            values.append(value.detach())
            scores.append(Objective({}, whose, needs_maps=False).score(at))
        torch.testing.assert_close(gradients[0], gradients[1])
        torch.testing.assert_close(values[0], values[1])
        torch.testing.assert_close(scores[0], scores[1])


def test_some_pictures_have_their_own_targets_without_padding() -> None:
    own = targets(["red|blue", "white"], [[["red", ""], ["", "blue"]], [["white"], ["white"]]])
    one = own.of(slice(1, 2))
    assert [tuple(part.shape) for part in (*one.vectors, *one.weights, one.stops)] == [(1, 1, 12)] * 2 + [(1, 1)] * 3
    assert (one.counts, one.shares) == ((1,), own.shares)

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.starter.train.prior import SHAPE, PriorData, PriorTrainer, features, untrained_prior
from clipgen.starter.unclip.prior import Prior, build_prior
from clipgen.starter.unclip.sampler import Method, Start
from clipgen.training.loop import Plan, train_module

CONFIG = {"cells": 2, "channels": [3, 2], "kept": 4, "text": 4, "width": 32, "depth": 2, "heads": 2}


@pytest.fixture
def prior() -> Prior:
    """One whose weights are all random, as an untrained one predicts nothing yet."""
    torch.manual_seed(0)
    prior = Prior(CONFIG).eval().requires_grad_(False)
    for weight in prior.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return prior


ALONE = torch.ones(1)


def test_the_noise_decides_which_features_are_drawn(prior: Prior) -> None:
    noise = torch.randn(3, 8)
    noise[2] = noise[0]
    drawn = prior.sample(torch.randn(1, 1, 4), ALONE, noise)
    assert drawn.shape == (3, prior.length)
    torch.testing.assert_close(drawn[0], drawn[2])
    assert not torch.allclose(drawn[0], drawn[1])


def test_features_are_those_of_all_perceptors_cell_by_cell(prior: Prior) -> None:
    prior.centre.copy_(torch.tensor([1.0, 0, 0, 0, 0]))
    first, second = torch.arange(6.0).view(1, 3, 1, 2), torch.tensor([[[[10.0, 11.0]], [[20.0, 21.0]]]])
    expected = torch.tensor([[0 - 1, 2, 4, 10, 1 - 1, 3, 5, 11]])  # the basis keeps the first four of five
    torch.testing.assert_close(prior.shorten([first, second]), expected.float())


def test_the_distance_is_in_units_of_the_spread(prior: Prior) -> None:
    prior.std[:] = torch.tensor([3.0, 1.0]).repeat(4)  # a mean square of 5
    views = torch.stack([torch.ones(2, 8), torch.zeros(2, 8)])
    views[0, 1, :4] = -1
    torch.testing.assert_close(prior.distance(views, torch.ones(2, 8)), torch.tensor([[0, 0.4], [0.2, 0.2]]))


def test_zeros_stand_for_no_text(prior: Prior) -> None:
    """Whatever the statistics of the texts are."""
    noisy, sigma = torch.randn(2, 8), torch.tensor([0.1, 3.0])
    unconditional = prior.denoise(noisy, sigma, torch.zeros(2, 1, 4))
    prior.text_mean.fill_(3.0)
    torch.testing.assert_close(prior.denoise(noisy, sigma, torch.zeros(2, 1, 4)), unconditional)
    assert not torch.allclose(prior.denoise(noisy, sigma, torch.ones(2, 1, 4)), unconditional)


def test_little_noise_is_left_alone_and_of_pure_noise_nothing_is_kept(prior: Prior) -> None:
    vectors, texts = torch.randn(4, 8), torch.randn(4, 1, 4)
    torch.testing.assert_close(prior.denoise(vectors, torch.full((4,), 1e-4), texts), vectors, atol=1e-3, rtol=0)
    one, other = (prior.denoise(1e4 * v, torch.full((4,), 1e4), texts) for v in (vectors, vectors + 1e-3))
    torch.testing.assert_close(one, other, atol=1e-2, rtol=0)


def test_guidance_goes_beyond_the_text_and_at_a_scale_of_zero_nowhere(prior: Prior) -> None:
    texts, noise = torch.randn(1, 1, 4), torch.randn(1, 8)
    conditional, more = (prior.sample(texts, ALONE, noise, Method(scale)) for scale in (1.0, 2.0))
    unconditional = prior.sample(torch.zeros(1, 1, 4), ALONE, noise)
    assert (more - unconditional).norm() > (conditional - unconditional).norm()
    torch.testing.assert_close(prior.sample(texts, ALONE, noise, Method(0.0)), unconditional)


def test_texts_count_by_their_weights(prior: Prior) -> None:
    texts, noise = torch.randn(2, 1, 4), torch.randn(6, 8)
    alone = prior.sample(texts[:1], ALONE, noise)
    torch.testing.assert_close(prior.sample(texts, torch.tensor([1.0, 0.0]), noise), alone)
    torch.testing.assert_close(prior.sample(texts[[0, 0]], torch.tensor([0.3, 0.7]), noise), alone)
    mostly, hardly = (prior.sample(texts, torch.tensor([weight, 1 - weight]), noise) for weight in (0.9, 0.1))
    assert (mostly - alone).norm() < (hardly - alone).norm()


def circle(count: int) -> tuple[Tensor, Tensor]:
    """Pictures' vectors on the upper or the lower half of a circle, and texts that say which half."""
    angles = torch.rand(count) * np.pi
    upper = torch.rand(count) < 0.5
    vectors = torch.stack([angles.cos(), torch.where(upper, 1, -1) * angles.sin()], 1)
    return vectors, torch.stack([upper.float() + 1, 2 - upper.float()], 1)


def alone(texts: Tensor) -> Tensor:
    """Texts (B, D) as ones without tokens."""
    return texts[:, None]


UPPER, LOWER = torch.tensor([[[2.0, 1.0]]]), torch.tensor([[[1.0, 2.0]]])


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Prior:
    """A prior that has learned the circle."""
    torch.manual_seed(3)
    vectors, texts = circle(4000)
    plan = Plan(600, 256, 0.003, seed=1, average=0.99)
    prior = Prior({**CONFIG, "cells": 1, "channels": [2], "kept": 2, "text": 2})
    trainer = PriorTrainer(plan, prior, PriorData(vectors, texts[None]), alone, torch.device("cpu"))
    folder = tmp_path_factory.mktemp("halves")
    return train_module(folder, trainer.network, plan, trainer.losses_at, lambda _: None)


def test_errors_count_more_in_the_cells_that_what_is_worn_changes() -> None:
    """Of three pictures and their mirror images the last is the second but for what is worn, in the second cell."""
    prior = Prior({**CONFIG, "cells": 2, "channels": [2], "kept": 2, "text": 2})
    straight = torch.randn(3, 4)
    straight[2] = straight[1] + torch.tensor([0.0, 0.0, 3.0, 0.0])
    vectors, plan = torch.cat([straight, straight.roll(2, 1)]), Plan(1, 1, 0.003)
    for worn, expected in ((0, [[1, 1]] * 6), (1, [[1, 1], [1, 7], [1, 7], [1, 1], [7, 1], [7, 1]])):
        seen = PriorData(vectors, torch.randn(2, 3, 2), worn=worn)
        trainer = PriorTrainer(plan, prior, seen, alone, torch.device("cpu"))
        assert trainer.cell_weights.tolist() == expected


def test_errors_count_by_the_weights_of_cells(prior: Prior) -> None:
    given = torch.randn(3, prior.length), torch.randn(3, prior.length), torch.ones(3), torch.zeros(3, 1, 4)
    cell_weights = torch.zeros(3, prior.cells)
    cell_weights[:, 0] = 2
    first, rest = prior.error(*given, cell_weights), prior.error(*given, 2 - cell_weights)
    torch.testing.assert_close(first + rest, 2 * prior.error(*given))
    assert (first > 0).all()
    assert (rest > 0).all()


def test_training_teaches_it_where_the_pictures_of_a_text_are(halves: Prior) -> None:
    upper, lower = (halves.sample(text, ALONE, torch.randn(200, 2)) for text in (UPPER, LOWER))
    assert (upper[:, 1] > -0.1).float().mean() > 0.95
    assert (lower[:, 1] < 0.1).float().mean() > 0.95
    assert upper[:, 0].std() > 0.5  # all over the half, not at its middle


@pytest.mark.slow
def test_training_teaches_it_what_tokens_mean(tmp_path: Path) -> None:
    """The vectors of texts mean nothing."""
    torch.manual_seed(3)

    def read(texts: Tensor) -> Tensor:
        return torch.stack([torch.rand_like(texts), texts], 1)

    vectors, texts = circle(4000)
    plan = Plan(600, 256, 0.003, seed=1, average=0.99)
    prior = Prior({**CONFIG, "cells": 1, "channels": [2], "kept": 2, "text": 2})
    trainer = PriorTrainer(plan, prior, PriorData(vectors, texts[None]), read, torch.device("cpu"))
    learned = train_module(tmp_path, trainer.network, plan, trainer.losses_at, lambda _: None)
    upper, lower = (learned.sample(read(text[0]), ALONE, torch.randn(200, 2)) for text in (UPPER, LOWER))
    assert (upper[:, 1] > -0.1).float().mean() > 0.95
    assert (lower[:, 1] < 0.1).float().mean() > 0.95


def test_tokens_after_the_end_count_nothing(prior: Prior) -> None:
    noisy, sigma, texts = torch.randn(2, 8), torch.tensor([0.1, 3.0]), torch.randn(2, 3, 4)
    longer = torch.cat([texts, torch.zeros(2, 2, 4)], 1)
    torch.testing.assert_close(prior.denoise(noisy, sigma, longer), prior.denoise(noisy, sigma, texts))
    shorter = prior.denoise(noisy, sigma, texts[:, :2])
    assert not torch.allclose(shorter, prior.denoise(noisy, sigma, texts))


def test_what_is_drawn_from_a_start_keeps_to_it_where_the_text_lets_it(halves: Prior) -> None:
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    left = torch.tensor([-0.6, -0.8])
    near, far = (halves.sample(UPPER, ALONE, noise, start=Start(left, level)) for level in (1.5, 8.0))
    assert (near[:, 0] < 0).float().mean() > (far[:, 0] < 0).float().mean() + 0.15
    assert (near[:, 1] > -0.1).float().mean() > 0.8


def test_a_text_with_a_weight_below_zero_is_negated(halves: Prior) -> None:
    """Of anything but what is below is what is above."""
    anything, noise = torch.zeros(1, 1, 2), torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    above = halves.sample(torch.cat([anything, LOWER]), torch.tensor([1.0, -2.0]), noise)
    assert (above[:, 1] > -0.1).float().mean() > 0.9


def test_features_score_above_zero_for_the_text_that_makes_them_likelier(halves: Prior) -> None:
    features = torch.tensor([[0.0, 1.0], [0.7, 0.7], [0.0, -1.0], [-0.7, -0.7]])
    upper, lower = (halves.classifier_score(features, text, ALONE) for text in (UPPER, LOWER))
    assert ((upper > 0) == torch.tensor([True, True, False, False])).all()
    assert ((lower > 0) == (upper < 0)).all()


def test_the_score_adds_up_by_the_weights_of_the_texts(halves: Prior) -> None:
    features, texts = torch.tensor([[0.0, 1.0], [0.0, -1.0]]), torch.cat([UPPER, LOWER])
    upper, lower = (halves.classifier_score(features, text, ALONE) for text in (UPPER, LOWER))
    both = halves.classifier_score(features, texts, torch.tensor([1.0, -3.0]))
    torch.testing.assert_close(both, upper - 3 * lower)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 8.0])
def test_to_know_nothing_is_an_error_of_one_at_every_level_of_noise(sigma: float) -> None:
    """Of standard normal numbers, an untrained network's output is zero."""
    blank = Prior({**CONFIG, "cells": 500})
    data, noise = torch.randn(8, blank.length), torch.randn(8, blank.length)
    error = blank.error(data, noise, torch.full((8,), sigma), torch.zeros(8, 1, 4))
    torch.testing.assert_close(error.mean(), torch.tensor(1.0), atol=0.05, rtol=0)


def test_a_score_does_not_depend_on_the_others(halves: Prior) -> None:
    features = torch.tensor([[0.0, 1.0], [0.7, 0.7], [0.0, -1.0]])
    together = halves.classifier_score(features, UPPER, ALONE)
    torch.testing.assert_close(halves.classifier_score(features[1:2], UPPER, ALONE), together[1:2])
    torch.testing.assert_close(halves.classifier_score(features, torch.zeros(1, 1, 2), ALONE), torch.zeros(3))


def test_what_a_draw_of_noise_and_its_opposite_disagree_on_does_not_count(
    halves: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halves, "error", lambda data, noise, sigma, texts: texts[:, 0, 0] * noise.sum())
    text = torch.tensor([[[2.0, 0.0]]])
    torch.testing.assert_close(halves.classifier_score(torch.zeros(3, 2), text, ALONE), torch.zeros(3))


def test_features_are_those_of_pictures_and_then_of_their_mirror_images() -> None:
    """FakePerceptor sees quarters: a mirror image exchanges the left ones and the right ones."""
    pictures = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    guides = [FakePerceptor(), FakePerceptor()]
    prior = Prior({**CONFIG, "cells": 4, "channels": [3, 3], "kept": 6})
    seen = features(guides, prior, pictures)  # type: ignore[arg-type]
    assert seen.shape == (600, 24)
    straight, mirrored = seen.view(2, 300, 2, 2, 2, 3)  # then pictures, rows, columns, perceptors, colours
    torch.testing.assert_close(mirrored, straight.flip(2))
    torch.testing.assert_close(straight[..., 0, :], straight[..., 1, :])
    quarter = torch.from_numpy(pictures[299, :16, :16] / 255 - 0.5).mean((0, 1))
    torch.testing.assert_close(straight[299, 0, 0, 0].double(), quarter, atol=1e-3, rtol=0)


def test_an_untrained_prior_keeps_what_differs_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pictures that differ in nothing but how bright they are, one number says all."""
    monkeypatch.setitem(SHAPE, "kept", 1)
    light = np.random.default_rng(0).integers(0, 256, (50, 1, 1, 1), dtype=np.uint8)
    guides = [FakePerceptor(), FakePerceptor()]
    prior = untrained_prior(guides, np.broadcast_to(light, (50, 32, 32, 3)), 4)  # type: ignore[arg-type]
    assert (prior.cells, prior.kept, prior.length) == (4, 1, 4)
    direction = prior.basis[:, 0]
    torch.testing.assert_close(direction.abs(), torch.full((6,), 6**-0.5))
    assert direction.sign().unique().numel() == 1


def test_weights_of_another_kind_are_refused(prior: Prior) -> None:
    checkpoint = weights.Checkpoint("feature-prior", CONFIG, prior.state_dict())
    assert build_prior(checkpoint).length == 8
    with pytest.raises(ClipgenError, match="'prior' is no feature prior"):
        build_prior(replace(checkpoint, kind="prior"))


def test_weights_of_another_version_are_refused_in_one_line(prior: Prior) -> None:
    tensors = {name: tensor for name, tensor in prior.state_dict().items() if not name.startswith("read.")}
    with pytest.raises(ClipgenError, match=r"^this feature prior is of another version of clipgen: .*train it again"):
        build_prior(weights.Checkpoint("feature-prior", CONFIG, tensors))

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.starter.train.features import SHAPE, FeatureTrainer, SeenInCells, features, fresh_prior
from clipgen.starter.train.loop import Plan, train_module
from clipgen.starter.unclip.prior import FeaturePrior, Start, build_feature_prior

CONFIG = {"cells": 2, "channels": [3, 2], "kept": 4, "text": 4, "width": 32, "depth": 2, "heads": 2}


@pytest.fixture
def prior() -> FeaturePrior:
    """One whose weights are all random, as a fresh one says nothing yet."""
    torch.manual_seed(0)
    prior = FeaturePrior(CONFIG).eval().requires_grad_(False)
    for weight in prior.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return prior


ALONE = torch.ones(1)


def test_features_are_imagined_as_the_noise_decides(prior: FeaturePrior) -> None:
    noise = torch.randn(3, 8)
    noise[2] = noise[0]
    imagined = prior.imagine(torch.randn(1, 1, 4), ALONE, noise)
    assert imagined.shape == (3, prior.length)
    torch.testing.assert_close(imagined[0], imagined[2])
    assert not torch.allclose(imagined[0], imagined[1])


def test_features_are_those_of_all_perceptors_cell_by_cell(prior: FeaturePrior) -> None:
    prior.centre.copy_(torch.tensor([1.0, 0, 0, 0, 0]))
    first, second = torch.arange(6.0).view(1, 3, 1, 2), torch.tensor([[[[10.0, 11.0]], [[20.0, 21.0]]]])
    expected = torch.tensor([[0 - 1, 2, 4, 10, 1 - 1, 3, 5, 11]])  # the basis keeps the first four of five
    torch.testing.assert_close(prior.shorten([first, second]), expected.float())


def test_the_distance_is_in_units_of_the_spread(prior: FeaturePrior) -> None:
    prior.std[:] = torch.tensor([3.0, 1.0]).repeat(4)  # a mean square of 5
    views = torch.stack([torch.ones(2, 8), torch.zeros(2, 8)])
    views[0, 1, :4] = -1
    torch.testing.assert_close(prior.distance(views, torch.ones(2, 8)), torch.tensor([[0, 0.4], [0.2, 0.2]]))


def test_nothing_told_is_what_no_text_says(prior: FeaturePrior) -> None:
    """The statistics of the texts must not make zeros, which tell nothing, into a text."""
    noisy, sigma = torch.randn(2, 8), torch.tensor([0.1, 3.0])
    untold = prior.denoise(noisy, sigma, torch.zeros(2, 1, 4))
    prior.text_mean.fill_(3.0)
    torch.testing.assert_close(prior.denoise(noisy, sigma, torch.zeros(2, 1, 4)), untold)
    assert not torch.allclose(prior.denoise(noisy, sigma, torch.ones(2, 1, 4)), untold)


def test_little_noise_is_left_alone_and_of_pure_noise_nothing_is_kept(prior: FeaturePrior) -> None:
    vectors, texts = torch.randn(4, 8), torch.randn(4, 1, 4)
    torch.testing.assert_close(prior.denoise(vectors, torch.full((4,), 1e-4), texts), vectors, atol=1e-3, rtol=0)
    one, other = (prior.denoise(1e4 * v, torch.full((4,), 1e4), texts) for v in (vectors, vectors + 1e-3))
    torch.testing.assert_close(one, other, atol=1e-2, rtol=0)


def test_a_larger_scale_goes_farther_from_what_is_imagined_of_nothing(prior: FeaturePrior) -> None:
    texts, noise = torch.randn(1, 1, 4), torch.randn(1, 8)
    told, more = (prior.imagine(texts, ALONE, noise, scale) for scale in (1.0, 2.0))
    untold = prior.imagine(torch.zeros(1, 1, 4), ALONE, noise)
    assert (more - untold).norm() > (told - untold).norm()
    torch.testing.assert_close(prior.imagine(texts, ALONE, noise, 0.0), untold)


def test_texts_count_by_their_shares(prior: FeaturePrior) -> None:
    texts, noise = torch.randn(2, 1, 4), torch.randn(6, 8)
    alone = prior.imagine(texts[:1], ALONE, noise)
    torch.testing.assert_close(prior.imagine(texts, torch.tensor([1.0, 0.0]), noise), alone)
    torch.testing.assert_close(prior.imagine(texts[[0, 0]], torch.tensor([0.3, 0.7]), noise), alone)
    mostly, hardly = (prior.imagine(texts, torch.tensor([share, 1 - share]), noise) for share in (0.9, 0.1))
    assert (mostly - alone).norm() < (hardly - alone).norm()


def circle(count: int) -> tuple[Tensor, Tensor]:
    """Pictures' vectors on the upper or the lower half of a circle, and texts that say which half."""
    angles = torch.rand(count) * np.pi
    upper = torch.rand(count) < 0.5
    vectors = torch.stack([angles.cos(), torch.where(upper, 1, -1) * angles.sin()], 1)
    return vectors, torch.stack([upper.float() + 1, 2 - upper.float()], 1)


def alone(texts: Tensor) -> Tensor:
    """Texts (B, D) without tokens, as a prior is told them."""
    return texts[:, None]


UPPER, LOWER = torch.tensor([[[2.0, 1.0]]]), torch.tensor([[[1.0, 2.0]]])


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> FeaturePrior:
    """A prior that has learned the circle."""
    torch.manual_seed(3)
    vectors, texts = circle(4000)
    plan = Plan(600, 256, 0.003, seed=1, average=0.99)
    prior = FeaturePrior({**CONFIG, "cells": 1, "channels": [2], "kept": 2, "text": 2})
    trainer = FeatureTrainer(plan, prior, SeenInCells(vectors, texts[None]), alone, torch.device("cpu"))
    folder = tmp_path_factory.mktemp("halves")
    return train_module(folder, trainer.network, plan, trainer.losses_at, lambda _: None)


def test_what_is_worn_counts_more_in_the_cells_that_it_changes() -> None:
    """Of three pictures and their mirror images the last is the second but for what is worn, in the second cell."""
    prior = FeaturePrior({**CONFIG, "cells": 2, "channels": [2], "kept": 2, "text": 2})
    straight = torch.randn(3, 4)
    straight[2] = straight[1] + torch.tensor([0.0, 0.0, 3.0, 0.0])
    vectors, plan = torch.cat([straight, straight.roll(2, 1)]), Plan(1, 1, 0.003)
    for worn, expected in ((0, [[1, 1]] * 6), (1, [[1, 1], [1, 7], [1, 7], [1, 1], [7, 1], [7, 1]])):
        seen = SeenInCells(vectors, torch.randn(2, 3, 2), worn=worn)
        trainer = FeatureTrainer(plan, prior, seen, alone, torch.device("cpu"))
        assert trainer.heed.tolist() == expected


def test_errors_count_by_the_heed_that_is_paid(prior: FeaturePrior) -> None:
    told = torch.randn(3, prior.length), torch.randn(3, prior.length), torch.ones(3), torch.zeros(3, 1, 4)
    heed = torch.zeros(3, prior.cells)
    heed[:, 0] = 2
    first, rest = prior.error(*told, heed), prior.error(*told, 2 - heed)
    torch.testing.assert_close(first + rest, 2 * prior.error(*told))
    assert (first > 0).all()
    assert (rest > 0).all()


def test_training_teaches_it_where_the_pictures_of_a_text_are(halves: FeaturePrior) -> None:
    upper, lower = (halves.imagine(text, ALONE, torch.randn(200, 2)) for text in (UPPER, LOWER))
    assert (upper[:, 1] > -0.1).float().mean() > 0.95
    assert (lower[:, 1] < 0.1).float().mean() > 0.95
    assert upper[:, 0].std() > 0.5  # all over the half, not at its middle


def test_training_teaches_it_what_tokens_say(tmp_path: Path) -> None:
    """The vectors of texts say nothing."""
    torch.manual_seed(3)

    def read(said: Tensor) -> Tensor:
        return torch.stack([torch.rand_like(said), said], 1)

    vectors, texts = circle(4000)
    plan = Plan(600, 256, 0.003, seed=1, average=0.99)
    prior = FeaturePrior({**CONFIG, "cells": 1, "channels": [2], "kept": 2, "text": 2})
    trainer = FeatureTrainer(plan, prior, SeenInCells(vectors, texts[None]), read, torch.device("cpu"))
    learned = train_module(tmp_path, trainer.network, plan, trainer.losses_at, lambda _: None)
    upper, lower = (learned.imagine(read(text[0]), ALONE, torch.randn(200, 2)) for text in (UPPER, LOWER))
    assert (upper[:, 1] > -0.1).float().mean() > 0.95
    assert (lower[:, 1] < 0.1).float().mean() > 0.95


def test_tokens_after_the_end_say_nothing(prior: FeaturePrior) -> None:
    noisy, sigma, texts = torch.randn(2, 8), torch.tensor([0.1, 3.0]), torch.randn(2, 3, 4)
    longer = torch.cat([texts, torch.zeros(2, 2, 4)], 1)
    torch.testing.assert_close(prior.denoise(noisy, sigma, longer), prior.denoise(noisy, sigma, texts))
    shorter = prior.denoise(noisy, sigma, texts[:, :2])
    assert not torch.allclose(shorter, prior.denoise(noisy, sigma, texts))


def test_what_is_imagined_from_a_start_keeps_to_it_where_the_text_lets_it(halves: FeaturePrior) -> None:
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    left = torch.tensor([-0.6, -0.8])
    near, far = (halves.imagine(UPPER, ALONE, noise, start=Start(left, level)) for level in (1.5, 8.0))
    assert (near[:, 0] < 0).float().mean() > (far[:, 0] < 0).float().mean() + 0.15
    assert (near[:, 1] > -0.1).float().mean() > 0.8


def test_what_a_text_says_is_imagined_away_by_a_share_below_zero(halves: FeaturePrior) -> None:
    """Of anything but what is below is what is above."""
    anything, noise = torch.zeros(1, 1, 2), torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    above = halves.imagine(torch.cat([anything, LOWER]), torch.tensor([1.0, -2.0]), noise)
    assert (above[:, 1] > -0.1).float().mean() > 0.9


def test_features_are_evidence_for_the_text_that_makes_them_likelier(halves: FeaturePrior) -> None:
    features = torch.tensor([[0.0, 1.0], [0.7, 0.7], [0.0, -1.0], [-0.7, -0.7]])
    upper, lower = (halves.evidence(features, text, ALONE) for text in (UPPER, LOWER))
    assert ((upper > 0) == torch.tensor([True, True, False, False])).all()
    assert ((lower > 0) == (upper < 0)).all()


def test_evidence_counts_by_the_shares_of_the_texts(halves: FeaturePrior) -> None:
    features, texts = torch.tensor([[0.0, 1.0], [0.0, -1.0]]), torch.cat([UPPER, LOWER])
    upper, lower = (halves.evidence(features, text, ALONE) for text in (UPPER, LOWER))
    both = halves.evidence(features, texts, torch.tensor([1.0, -3.0]))
    torch.testing.assert_close(both, upper - 3 * lower)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 8.0])
def test_to_know_nothing_is_an_error_of_one_at_every_noise(sigma: float) -> None:
    """Of standard normal numbers, an untrained network's output is zero."""
    blank = FeaturePrior({**CONFIG, "cells": 500})
    data, noise = torch.randn(8, blank.length), torch.randn(8, blank.length)
    error = blank.error(data, noise, torch.full((8,), sigma), torch.zeros(8, 1, 4))
    torch.testing.assert_close(error.mean(), torch.tensor(1.0), atol=0.05, rtol=0)


def test_evidence_does_not_depend_on_the_company(halves: FeaturePrior) -> None:
    features = torch.tensor([[0.0, 1.0], [0.7, 0.7], [0.0, -1.0]])
    together = halves.evidence(features, UPPER, ALONE)
    torch.testing.assert_close(halves.evidence(features[1:2], UPPER, ALONE), together[1:2])
    torch.testing.assert_close(halves.evidence(features, torch.zeros(1, 1, 2), ALONE), torch.zeros(3))


def test_what_a_draw_of_noise_and_its_opposite_disagree_on_is_no_evidence(
    halves: FeaturePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halves, "error", lambda data, noise, sigma, texts: texts[:, 0, 0] * noise.sum())
    said = torch.tensor([[[2.0, 0.0]]])
    torch.testing.assert_close(halves.evidence(torch.zeros(3, 2), said, ALONE), torch.zeros(3))


def test_pictures_are_seen_as_they_are_and_mirrored() -> None:
    """FakePerceptor sees quarters: a mirror image exchanges the left ones and the right ones."""
    pictures = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    guides = [FakePerceptor(), FakePerceptor()]
    prior = FeaturePrior({**CONFIG, "cells": 4, "channels": [3, 3], "kept": 6})
    seen = features(guides, prior, pictures)  # type: ignore[arg-type]
    assert seen.shape == (600, 24)
    straight, mirrored = seen.view(2, 300, 2, 2, 2, 3)  # then pictures, rows, columns, perceptors, colours
    torch.testing.assert_close(mirrored, straight.flip(2))
    torch.testing.assert_close(straight[..., 0, :], straight[..., 1, :])
    quarter = torch.from_numpy(pictures[299, :16, :16] / 255 - 0.5).mean((0, 1))
    torch.testing.assert_close(straight[299, 0, 0, 0].double(), quarter, atol=1e-3, rtol=0)


def test_a_fresh_prior_keeps_what_differs_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pictures that differ in nothing but how bright they are, one number says all."""
    monkeypatch.setitem(SHAPE, "kept", 1)
    light = np.random.default_rng(0).integers(0, 256, (50, 1, 1, 1), dtype=np.uint8)
    guides = [FakePerceptor(), FakePerceptor()]
    prior = fresh_prior(guides, np.broadcast_to(light, (50, 32, 32, 3)), 4)  # type: ignore[arg-type]
    assert (prior.cells, prior.kept, prior.length) == (4, 1, 4)
    direction = prior.basis[:, 0]
    torch.testing.assert_close(direction.abs(), torch.full((6,), 6**-0.5))
    assert direction.sign().unique().numel() == 1


def test_weights_of_another_kind_are_refused(prior: FeaturePrior) -> None:
    checkpoint = weights.Checkpoint("feature-prior", CONFIG, prior.state_dict())
    assert build_feature_prior(checkpoint).length == 8
    with pytest.raises(ClipgenError, match="'prior' is no feature prior"):
        build_feature_prior(replace(checkpoint, kind="prior"))


def test_weights_of_another_version_are_refused_in_one_line(prior: FeaturePrior) -> None:
    tensors = {name: tensor for name, tensor in prior.state_dict().items() if not name.startswith("read.")}
    with pytest.raises(ClipgenError, match=r"^this feature prior is of another version of clipgen: .*train it again"):
        build_feature_prior(weights.Checkpoint("feature-prior", CONFIG, tensors))

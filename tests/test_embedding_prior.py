from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor

from clipgen import weights
from clipgen.embedding_prior import EmbeddingPrior, Start, build_embedding_prior
from clipgen.errors import ClipgenError
from clipgen.starter.train.embedding import EmbeddingTrainer, looks
from clipgen.starter.train.loop import Plan, train_module

CONFIG = {"parts": [3, 2], "text": 4, "width": 32, "depth": 2}


@pytest.fixture
def prior() -> EmbeddingPrior:
    torch.manual_seed(0)
    return EmbeddingPrior(CONFIG).eval().requires_grad_(False)


ALONE = torch.ones(1)


def test_unit_vectors_are_imagined_for_every_perceptor_as_the_noise_decides(prior: EmbeddingPrior) -> None:
    noise = torch.randn(3, 5)
    noise[2] = noise[0]
    imagined = prior.imagine(torch.randn(1, 4), ALONE, noise)
    first, second = prior.split(imagined)
    assert first.shape == (3, 3)
    assert second.shape == (3, 2)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(second.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(imagined[0], imagined[2])
    assert not torch.allclose(imagined[0], imagined[1])


def test_nothing_told_is_what_no_text_says(prior: EmbeddingPrior) -> None:
    """The statistics of the texts must not make zeros, which tell nothing, into a text."""
    noisy, sigma = torch.randn(2, 5), torch.tensor([0.1, 3.0])
    untold = prior.denoise(noisy, sigma, torch.zeros(2, 4))
    prior.text_mean.fill_(3.0)
    torch.testing.assert_close(prior.denoise(noisy, sigma, torch.zeros(2, 4)), untold)
    assert not torch.allclose(prior.denoise(noisy, sigma, torch.ones(2, 4)), untold)


def test_little_noise_is_left_alone_and_of_pure_noise_nothing_is_kept(prior: EmbeddingPrior) -> None:
    vectors, texts = torch.randn(4, 5), torch.randn(4, 4)
    torch.testing.assert_close(prior.denoise(vectors, torch.full((4,), 1e-4), texts), vectors, atol=1e-3, rtol=0)
    one, other = (prior.denoise(1e4 * v, torch.full((4,), 1e4), texts) for v in (vectors, vectors + 1e-3))
    torch.testing.assert_close(one, other, atol=1e-2, rtol=0)


def test_a_larger_scale_goes_farther_from_what_is_imagined_of_nothing(prior: EmbeddingPrior) -> None:
    texts, noise = torch.randn(1, 4), torch.randn(1, 5)
    told, more = (prior.imagine(texts, ALONE, noise, scale) for scale in (1.0, 2.0))
    untold = prior.imagine(torch.zeros(1, 4), ALONE, noise)
    assert (more - untold).norm() > (told - untold).norm()
    torch.testing.assert_close(prior.imagine(texts, ALONE, noise, 0.0), untold)


def test_texts_count_by_their_shares(prior: EmbeddingPrior) -> None:
    texts, noise = torch.randn(2, 4), torch.randn(6, 5)
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


UPPER, LOWER = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 2.0]])


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingPrior:
    """A prior that has learned the circle."""
    torch.manual_seed(3)
    vectors, texts = circle(4000)
    plan = Plan(600, 256, 0.003, seed=1, average=0.99)
    trainer = EmbeddingTrainer(plan, vectors, texts[None], [2], torch.device("cpu"))
    folder = tmp_path_factory.mktemp("halves")
    return train_module(folder, trainer.network, plan, trainer.losses_at, lambda _: None)


def test_training_teaches_it_where_the_pictures_of_a_text_are(halves: EmbeddingPrior) -> None:
    upper, lower = (halves.imagine(text, ALONE, torch.randn(200, 2)) for text in (UPPER, LOWER))
    assert (upper[:, 1] > -0.1).float().mean() > 0.95
    assert (lower[:, 1] < 0.1).float().mean() > 0.95
    assert upper[:, 0].std() > 0.5  # all over the half, not at its middle


def test_what_is_imagined_from_a_start_keeps_to_it_where_the_text_lets_it(halves: EmbeddingPrior) -> None:
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    left = torch.tensor([-0.6, -0.8])
    near, far = (halves.imagine(UPPER, ALONE, noise, start=Start(left, level)) for level in (1.5, 8.0))
    assert (near[:, 0] < 0).float().mean() > (far[:, 0] < 0).float().mean() + 0.2
    assert (near[:, 1] > -0.1).float().mean() > 0.8


def test_what_a_text_says_is_imagined_away_by_a_share_below_zero(halves: EmbeddingPrior) -> None:
    """Of anything but what is below is what is above."""
    anything, noise = torch.zeros(1, 2), torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    above = halves.imagine(torch.cat([anything, LOWER]), torch.tensor([1.0, -2.0]), noise)
    assert (above[:, 1] > -0.1).float().mean() > 0.9


def test_what_lies_off_the_pictures_of_a_text_is_in_doubt(halves: EmbeddingPrior) -> None:
    angle = torch.tensor(1.0)
    true = torch.stack([angle.cos(), angle.sin()])
    candidates = torch.stack([true, 0.3 * true, 1.7 * true, -true])
    doubts = halves.doubt(candidates, UPPER, ALONE, torch.randn(64, 2, generator=torch.Generator().manual_seed(0)))
    assert doubts.argmin() == 0
    assert doubts[3] > 2 * doubts[0]


def test_pictures_are_looked_at_as_they_are_and_mirrored() -> None:
    """FakePerceptor sees quarters: a mirror image exchanges the left ones and the right ones."""
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    guides = [FakePerceptor(), FakePerceptor()]
    seen = looks(guides, pictures, chunk=2)  # type: ignore[arg-type]
    assert seen.shape == (6, 24)
    straight, mirrored = seen.view(2, 3, 2, 2, 2, 3)  # then pictures, perceptors, rows, columns, colours
    torch.testing.assert_close(mirrored, straight.flip(3))
    torch.testing.assert_close(straight[:, 0], straight[:, 1])
    alone = looks(guides[:1], pictures[1:2])  # type: ignore[arg-type]
    torch.testing.assert_close(alone[0], seen[1, :12])


def test_weights_of_another_kind_are_refused(prior: EmbeddingPrior) -> None:
    checkpoint = weights.Checkpoint("embedding-prior", CONFIG, prior.state_dict())
    assert build_embedding_prior(checkpoint).parts == [3, 2]
    with pytest.raises(ClipgenError, match="'prior' is no embedding prior"):
        build_embedding_prior(replace(checkpoint, kind="prior"))

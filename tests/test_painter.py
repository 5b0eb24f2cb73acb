from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from fakes import STRIDE, FakeVQGAN
from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.loop import Plan
from clipgen.starter.train.painting import PaintTrainer, Seen, latents, painted
from clipgen.starter.unclip.coarse import Sketcher
from clipgen.starter.unclip.decoder import Over, Painter, build_painter
from clipgen.starter.unclip.sampler import noise_levels, sample, told

CONFIG: dict[str, Any] = {
    "cells": 2, "kept": 3, "text": 5, "side": 4, "block": 8, "latent": 6, "components": 2,
    "narrow": 64, "wide": 64, "embedding": 16,
}  # fmt: skip
ALONE = torch.ones(1)


@pytest.fixture
def painter() -> Painter:
    """One whose weights are all random, as a fresh one changes nothing yet."""
    torch.manual_seed(0)
    painter = Painter(CONFIG).eval().requires_grad_(False)
    for weight in painter.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.1)
    return painter


def shown(painter: Painter, count: int) -> Tensor:
    return painter.shows(torch.randn(count, 12), torch.rand(count, 3, 32, 32))


def test_a_sample_of_what_is_normal_is_normal() -> None:
    """Of numbers of mean 0.3 and deviation 0.5 the best denoiser is known."""

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        weight = 0.25 / (0.25 + sigma[:, None] ** 2)
        return weight * noisy + (1 - weight) * 0.3

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(denoise, 20.0 * noise, noise_levels(20.0, 0.02, 12))
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.05)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(drawn[:, 0].argsort(), noise[:, 0].argsort())


def test_texts_change_what_is_denoised_by_their_shares_and_the_scale() -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts

    texts, shares = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, -0.5])
    changed = told(denoise, texts, shares, 2.0)(torch.zeros(3, 2), torch.ones(3))
    torch.testing.assert_close(changed, torch.tensor([[2.0, -1.0]]).expand(3, -1))


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_scale_goes_beyond_what_is_untold(scale: float) -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts + 10

    texts, noisy = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.zeros(3, 2)
    for shares, mixed in (([0.5, 0.5], [10.5, 10.5]), ([1.0, -0.5], [11.0, 9.5])):
        changed = told(denoise, texts, torch.tensor(shares), scale, lambda noisy, sigma: noisy - 1)
        beyond = scale * torch.tensor([mixed]) + scale - 1
        torch.testing.assert_close(changed(noisy, torch.ones(3)), beyond.expand(3, -1))


def test_noise_decides_what_is_painted(painter: Painter) -> None:
    features, sketches, noise = torch.randn(1, 12).expand(3, -1), torch.rand(1, 3, 32, 32), torch.randn(3, 2, 4, 4)
    noise[2] = noise[0]
    painted = painter.paint(features, sketches.expand(3, -1, -1, -1), torch.randn(1, 5), ALONE, noise)
    assert painted.shape == (3, 6, 4, 4)
    torch.testing.assert_close(painted[0], painted[2])
    assert not torch.allclose(painted[0], painted[1])


def test_at_a_scale_of_zero_nothing_is_told(painter: Painter) -> None:
    noise = torch.randn(1, 2, 4, 4)
    painted = [
        painter.paint(torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5), ALONE, noise, scale)
        for scale in (0.0, 0.0, 1.0)
    ]
    torch.testing.assert_close(painted[0], painted[1])
    assert not torch.allclose(painted[0], painted[2])


def test_what_is_painted_over_through_little_noise_stays(painter: Painter) -> None:
    seen = torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5), ALONE, torch.randn(1, 2, 4, 4)
    latents = 2 + torch.einsum("bdhw,dc->bchw", torch.randn(1, 2, 4, 4), painter.lengthen)
    painter.centre.fill_(2.0)
    little, much = (painter.paint(*seen, over=Over(latents, sigma)) for sigma in (0.04, 10.0))
    assert (little - latents).abs().max() < 0.3
    assert (much - latents).abs().max() > 1.0


def test_features_sketch_and_text_are_all_told(painter: Painter) -> None:
    noisy, sigma = torch.randn(1, 2, 4, 4), torch.ones(1)
    features, sketch, text = torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5)
    ways = [
        (features, sketch, text), (features + 1, sketch, text), (features, 1 - sketch, text), (features, sketch, -text)
    ]  # fmt: skip
    clean = [painter.denoise(noisy, sigma, painter.shows(seen, drawn), said) for seen, drawn, said in ways]
    assert all(not torch.allclose(clean[0], other, atol=1e-4) for other in clean[1:])


def test_what_is_told_of_a_cell_is_told_at_its_place(painter: Painter) -> None:
    features, sketch = torch.zeros(1, 12), torch.full((1, 3, 32, 32), 0.5)
    features[0, 3:6] = 1.0  # top right
    sketch[0, :, 16:, :16] = 1.0  # bottom left
    told = painter.shows(features, sketch)[0]
    assert (told[-3:, :2, 2:] == 1).all()
    assert told[-3:].sum() == 3 * 4
    assert (told[:-3, 2:, :2] == 2).all()
    assert told[:-3].sum() == 2 * 3 * 8**2 * 4


def test_nothing_told_is_what_no_text_says(painter: Painter) -> None:
    noisy, sigma, seen = torch.randn(2, 2, 4, 4), torch.tensor([0.1, 3.0]), shown(painter, 2)
    untold = painter.denoise(noisy, sigma, seen, torch.zeros(2, 5))
    painter.text_mean.fill_(3.0)
    torch.testing.assert_close(painter.denoise(noisy, sigma, seen, torch.zeros(2, 5)), untold)


def test_little_noise_is_left_alone(painter: Painter) -> None:
    clean, seen = torch.randn(4, 2, 4, 4), shown(painter, 4)
    denoised = painter.denoise(clean, torch.full((4,), 1e-4), seen, torch.randn(4, 5))
    torch.testing.assert_close(denoised, clean, atol=1e-3, rtol=0)


def test_weights_of_another_kind_are_refused(painter: Painter) -> None:
    checkpoint = weights.Checkpoint("painter", CONFIG, painter.state_dict())
    assert build_painter(checkpoint).shape == (2, 4, 4)
    with pytest.raises(ClipgenError, match="'clip' is no painter"):
        build_painter(replace(checkpoint, kind="clip"))


def sketcher() -> Sketcher:
    config = {"cells": 2, "kept": 3, "width": 8, "depth": 1, "heads": 1, "channels": 4}
    return Sketcher(config)


def test_latents_are_those_of_pictures_and_then_of_their_mirror_images() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (130, 16, 16, 3), np.uint8)
    found = latents(cast(VQGANNetwork, FakeVQGAN()), pictures, torch.device("cpu"))
    assert found.shape == (260, 3, 16 // STRIDE, 16 // STRIDE)
    torch.testing.assert_close(found[130:], found[:130].flip(3))
    expected = pictures[129, :STRIDE, :STRIDE].reshape(-1, 3).mean(0) / 255
    torch.testing.assert_close(found[129, :, 0, 0].float(), torch.tensor(expected).float(), atol=1e-3, rtol=0)


def test_paintings_are_what_is_decoded_of_the_nearest_codes() -> None:
    network: Any = SimpleNamespace(
        nearest=lambda latents: latents > 0.5,
        lookup=lambda codes: codes.float(),
        decode=lambda latents: latents.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3),
    )
    colours = torch.rand(130, 3, 2, 2)
    pictures = painted(network, colours.half(), torch.device("cpu"))
    assert pictures.shape == (130, 3, 2 * STRIDE, 2 * STRIDE)
    assert (pictures[:, :, ::STRIDE, ::STRIDE] == 255 * (colours.half() > 0.5).numpy()).all()


def learned(trainer: PaintTrainer) -> Painter:
    """Its network after all steps of its plan."""
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=trainer.plan.rate)
    for step in range(trainer.plan.steps):
        optimiser.zero_grad()
        trainer.losses_at(step)["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return trainer.network.eval().requires_grad_(False)


def test_training_learns_to_upsample_what_is_painted_where_it_is_painted() -> None:
    """Of latents along one line in six dimensions: those of a cell lie where the painting is bright."""
    torch.manual_seed(3)
    paintings = torch.randint(0, 256, (32, 1, 4, 4)).expand(-1, 3, -1, -1)
    line = torch.tensor([1.0, 2, 0, -1, 0, 1])
    bright = paintings[:, 0, :, :, None] / 127.5 - 1
    seen = Seen(
        (bright * line).permute(0, 3, 1, 2),
        torch.randn(32, 12),
        torch.randn(2, 16, 5),
        paintings.repeat_interleave(4, 2).repeat_interleave(4, 3).byte().numpy(),
    )
    trainer = PaintTrainer(Plan(steps=80, batch=16, rate=0.003), seen, sketcher(), torch.device("cpu"))
    assert trainer.network.shape == (3, 4, 4)
    assert trainer.network.block == 4
    network = learned(trainer)
    assert seen.paintings is not None
    shown = network.shows(seen.features, torch.from_numpy(seen.paintings) / 255)
    noisy, wanted = 5 * torch.randn(32, *network.shape), network.components(seen.latents)
    clean = network.denoise(noisy, torch.full((32,), 5.0), shown, torch.zeros(32, 5))
    assert (clean - wanted).square().mean() < 0.3 * wanted.square().mean()


def test_training_learns_to_paint_what_is_seen_where_it_is_seen() -> None:
    """Of latents along one line in six dimensions: those of a cell lie where its features say."""
    torch.manual_seed(3)
    where = torch.randn(32, 2, 2, 1)
    line = torch.tensor([1.0, 2, 0, -1, 0, 1])
    painted = (where * line).permute(0, 3, 1, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    seen = Seen(painted, where.expand(-1, -1, -1, 3).flatten(1), torch.randn(2, 16, 5))
    trainer = PaintTrainer(Plan(steps=80, batch=16, rate=0.003), seen, sketcher(), torch.device("cpu"))
    painter = learned(trainer)
    shown = painter.shows(seen.features, trainer.sketcher(seen.features).clamp(0, 1))
    noise = torch.full((32,), 20.0)
    clean = painter.denoise(20 * torch.randn(32, *painter.shape), noise, shown, torch.zeros(32, 5))
    assert (clean - painter.components(painted)).square().mean() < 0.3 * painter.components(painted).square().mean()


def trainer_of(seen: Seen) -> PaintTrainer:
    return PaintTrainer(Plan(steps=80, batch=16, rate=0.003), seen, sketcher(), torch.device("cpu"))


def loss(trainer: PaintTrainer) -> float:
    torch.manual_seed(0)
    return trainer.losses_at(0)["loss"].item()


def test_pictures_are_learned_from_by_their_shares() -> None:
    """Of two pictures and their mirror images, only those of the second."""
    painted = torch.randn(4, 6, 4, 4)
    trainer = trainer_of(Seen(painted, torch.randn(4, 12), torch.randn(2, 2, 5), shares=np.array([0.0, 1.0])))
    before = loss(trainer)
    painted[[0, 2]] += 1
    assert loss(trainer) == before
    painted[3] += 1
    assert loss(trainer) != before


def test_errors_count_more_where_heed_is_to_be_paid() -> None:
    told = torch.randn(8, 6, 4, 4), torch.randn(8, 12), torch.randn(2, 4, 5)
    plain = loss(trainer_of(Seen(*told)))
    assert loss(trainer_of(Seen(*told, heed=torch.zeros(8, 1, 4, 4)))) == pytest.approx(plain)
    assert 2 * plain < loss(trainer_of(Seen(*told, heed=torch.full((8, 1, 4, 4), 2.0)))) < 3 * plain

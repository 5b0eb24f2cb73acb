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
from clipgen.starter.train.decoder import DecoderData, DecoderTrainer, decoded, latents
from clipgen.starter.unclip.coarse_decoder import CoarseDecoder
from clipgen.starter.unclip.decoder import Decoder, build_decoder
from clipgen.starter.unclip.sampler import Method, Start
from clipgen.training.loop import Plan

CONFIG: dict[str, Any] = {
    "cells": 2, "kept": 3, "text": 5, "side": 4, "block": 8, "latent": 6, "components": 2,
    "narrow": 64, "wide": 64, "embedding": 16,
}  # fmt: skip
ALONE = torch.ones(1)


@pytest.fixture
def decoder() -> Decoder:
    """One whose weights are all random, as an untrained one predicts nothing yet."""
    torch.manual_seed(0)
    decoder = Decoder(CONFIG).eval().requires_grad_(False)
    for weight in decoder.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.1)
    return decoder


def condition(decoder: Decoder, count: int) -> Tensor:
    return decoder.condition(torch.randn(count, 12), torch.rand(count, 3, 32, 32))


def test_noise_decides_which_latents_are_drawn(decoder: Decoder) -> None:
    features, coarse, noise = torch.randn(1, 12).expand(3, -1), torch.rand(1, 3, 32, 32), torch.randn(3, 2, 4, 4)
    noise[2] = noise[0]
    drawn = decoder.sample(features, coarse.expand(3, -1, -1, -1), torch.randn(1, 5), ALONE, noise)
    assert drawn.shape == (3, 6, 4, 4)
    torch.testing.assert_close(drawn[0], drawn[2])
    assert not torch.allclose(drawn[0], drawn[1])


def test_at_a_guidance_scale_of_zero_nothing_conditions(decoder: Decoder) -> None:
    noise = torch.randn(1, 2, 4, 4)
    drawn = [
        decoder.sample(torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5), ALONE, noise, Method(scale))
        for scale in (0.0, 0.0, 1.0)
    ]
    torch.testing.assert_close(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


def test_img2img_through_little_noise_changes_little(decoder: Decoder) -> None:
    given = torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5), ALONE, torch.randn(1, 2, 4, 4)
    latents = 2 + torch.einsum("bdhw,dc->bchw", torch.randn(1, 2, 4, 4), decoder.lengthen)
    decoder.centre.fill_(2.0)
    little, much = (decoder.sample(*given, start=Start(latents, sigma)) for sigma in (0.04, 10.0))
    assert (little - latents).abs().max() < 0.3
    assert (much - latents).abs().max() > 1.0


def test_features_coarse_picture_and_text_all_condition(decoder: Decoder) -> None:
    noisy, sigma = torch.randn(1, 2, 4, 4), torch.ones(1)
    features, coarse, text = torch.randn(1, 12), torch.rand(1, 3, 32, 32), torch.randn(1, 5)
    ways = [
        (features, coarse, text), (features + 1, coarse, text), (features, 1 - coarse, text), (features, coarse, -text)
    ]  # fmt: skip
    clean = [decoder.denoise(noisy, sigma, decoder.condition(*seen), text) for *seen, text in ways]
    assert all(not torch.allclose(clean[0], other, atol=1e-4) for other in clean[1:])


def test_each_place_is_conditioned_on_its_own_cell_and_pixels(decoder: Decoder) -> None:
    features, coarse = torch.zeros(1, 12), torch.full((1, 3, 32, 32), 0.5)
    features[0, 3:6] = 1.0  # top right
    coarse[0, :, 16:, :16] = 1.0  # bottom left
    condition = decoder.condition(features, coarse)[0]
    assert (condition[-3:, :2, 2:] == 1).all()
    assert condition[-3:].sum() == 3 * 4
    assert (condition[:-3, 2:, :2] == 2).all()
    assert condition[:-3].sum() == 2 * 3 * 8**2 * 4


def test_zeros_stand_for_no_text(decoder: Decoder) -> None:
    """Whatever the statistics of the texts are."""
    noisy, sigma, given = torch.randn(2, 2, 4, 4), torch.tensor([0.1, 3.0]), condition(decoder, 2)
    unconditional = decoder.denoise(noisy, sigma, given, torch.zeros(2, 5))
    decoder.text_mean.fill_(3.0)
    torch.testing.assert_close(decoder.denoise(noisy, sigma, given, torch.zeros(2, 5)), unconditional)


def test_little_noise_is_left_alone(decoder: Decoder) -> None:
    clean, given = torch.randn(4, 2, 4, 4), condition(decoder, 4)
    denoised = decoder.denoise(clean, torch.full((4,), 1e-4), given, torch.randn(4, 5))
    torch.testing.assert_close(denoised, clean, atol=1e-3, rtol=0)


def test_weights_of_another_kind_are_refused(decoder: Decoder) -> None:
    checkpoint = weights.Checkpoint("painter", CONFIG, decoder.state_dict())
    assert build_decoder(checkpoint).shape == (2, 4, 4)
    with pytest.raises(ClipgenError, match="'clip' is no painter"):
        build_decoder(replace(checkpoint, kind="clip"))


def coarse_decoder() -> CoarseDecoder:
    config = {"cells": 2, "kept": 3, "width": 8, "depth": 1, "heads": 1, "channels": 4}
    return CoarseDecoder(config)


def test_latents_are_those_of_pictures_and_then_of_their_mirror_images() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (130, 16, 16, 3), np.uint8)
    found = latents(cast(VQGANNetwork, FakeVQGAN()), pictures, torch.device("cpu"))
    assert found.shape == (260, 3, 16 // STRIDE, 16 // STRIDE)
    torch.testing.assert_close(found[130:], found[:130].flip(3))
    expected = pictures[129, :STRIDE, :STRIDE].reshape(-1, 3).mean(0) / 255
    torch.testing.assert_close(found[129, :, 0, 0].float(), torch.tensor(expected).float(), atol=1e-3, rtol=0)


def test_decoded_pictures_are_those_of_the_nearest_codes() -> None:
    network: Any = SimpleNamespace(
        nearest=lambda latents: latents > 0.5,
        lookup=lambda codes: codes.float(),
        decode=lambda latents: latents.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3),
    )
    colours = torch.rand(130, 3, 2, 2)
    pictures = decoded(network, colours.half(), torch.device("cpu"))
    assert pictures.shape == (130, 3, 2 * STRIDE, 2 * STRIDE)
    assert (pictures[:, :, ::STRIDE, ::STRIDE] == 255 * (colours.half() > 0.5).numpy()).all()


def learned(trainer: DecoderTrainer) -> Decoder:
    """Its network after all steps of its plan."""
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=trainer.plan.rate)
    for step in range(trainer.plan.steps):
        optimiser.zero_grad()
        trainer.losses_at(step)["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return trainer.network.eval().requires_grad_(False)


@pytest.mark.slow
def test_training_learns_to_upsample_what_is_decoded_where_it_is() -> None:
    """Of latents along one line in six dimensions: those of a cell lie where the decoded picture is bright."""
    torch.manual_seed(3)
    images = torch.randint(0, 256, (32, 1, 4, 4)).expand(-1, 3, -1, -1)
    line = torch.tensor([1.0, 2, 0, -1, 0, 1])
    bright = images[:, 0, :, :, None] / 127.5 - 1
    data = DecoderData(
        (bright * line).permute(0, 3, 1, 2),
        torch.randn(32, 12),
        torch.randn(2, 16, 5),
        images.repeat_interleave(4, 2).repeat_interleave(4, 3).byte().numpy(),
    )
    trainer = DecoderTrainer(Plan(steps=80, batch=16, rate=0.003), data, coarse_decoder(), torch.device("cpu"))
    assert trainer.network.shape == (3, 4, 4)
    assert trainer.network.block == 4
    network = learned(trainer)
    assert data.decoded is not None
    given = network.condition(data.features, torch.from_numpy(data.decoded) / 255)
    noisy, wanted = 5 * torch.randn(32, *network.shape), network.components(data.latents)
    clean = network.denoise(noisy, torch.full((32,), 5.0), given, torch.zeros(32, 5))
    assert (clean - wanted).square().mean() < 0.3 * wanted.square().mean()


@pytest.mark.slow
def test_training_learns_to_decode_features_where_they_are() -> None:
    """Of latents along one line in six dimensions: those of a cell lie where its features say."""
    torch.manual_seed(3)
    where = torch.randn(32, 2, 2, 1)
    line = torch.tensor([1.0, 2, 0, -1, 0, 1])
    wanted = (where * line).permute(0, 3, 1, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    data = DecoderData(wanted, where.expand(-1, -1, -1, 3).flatten(1), torch.randn(2, 16, 5))
    trainer = DecoderTrainer(Plan(steps=80, batch=16, rate=0.003), data, coarse_decoder(), torch.device("cpu"))
    decoder = learned(trainer)
    given = decoder.condition(data.features, trainer.coarse_decoder(data.features).clamp(0, 1))
    noise = torch.full((32,), 20.0)
    clean = decoder.denoise(20 * torch.randn(32, *decoder.shape), noise, given, torch.zeros(32, 5))
    assert (clean - decoder.components(wanted)).square().mean() < 0.3 * decoder.components(wanted).square().mean()


def trainer_of(data: DecoderData) -> DecoderTrainer:
    return DecoderTrainer(Plan(steps=80, batch=16, rate=0.003), data, coarse_decoder(), torch.device("cpu"))


def loss(trainer: DecoderTrainer) -> float:
    torch.manual_seed(0)
    return trainer.losses_at(0)["loss"].item()


def test_pictures_are_learned_from_by_their_probabilities() -> None:
    """Of two pictures and their mirror images, only those of the second."""
    latents = torch.randn(4, 6, 4, 4)
    trainer = trainer_of(
        DecoderData(latents, torch.randn(4, 12), torch.randn(2, 2, 5), probabilities=np.array([0.0, 1.0]))
    )
    before = loss(trainer)
    latents[[0, 2]] += 1
    assert loss(trainer) == before
    latents[3] += 1
    assert loss(trainer) != before


def test_errors_count_more_where_weight_is_added() -> None:
    given = torch.randn(8, 6, 4, 4), torch.randn(8, 12), torch.randn(2, 4, 5)
    plain = loss(trainer_of(DecoderData(*given)))
    assert loss(trainer_of(DecoderData(*given, added_weights=torch.zeros(8, 1, 4, 4)))) == pytest.approx(plain)
    assert 2 * plain < loss(trainer_of(DecoderData(*given, added_weights=torch.full((8, 1, 4, 4), 2.0)))) < 3 * plain

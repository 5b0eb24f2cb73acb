"""Pictures that are not square keep the proportions of what they show: a square one is drawn, and extended."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import FakePerceptor, FakeVQGAN
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.config.prompts import parse_prompts
from clipgen.config.settings import UnclipSettings
from clipgen.starter.unclip.canvas import canvas, extended, middle
from clipgen.starter.unclip.decoder import Decoder
from clipgen.starter.unclip.pipeline import Pipeline
from clipgen.starter.unclip.proposal import UnclipProposal, propose
from clipgen.starter.unclip.unclip import Conditioning, Unclip

SETTINGS = UnclipSettings(
    "a/prior", "a/coarse", "a/decoder", "a/upsampler", "a/vqgan",
    candidates=2, img2img_noise=0.5, img2img_candidates=6, upsampler_candidates=1,
)  # fmt: skip
GREEN = Conditioning([FakePerceptor().text_states(["green"])], torch.ones(1))


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((256, 256), (16, 16)),
        ((384, 192), (16, 32)),
        ((192, 384), (32, 16)),
        ((320, 256), (16, 20)),
        ((128, 384), (48, 16)),
        ((264, 256), (16, 16)),
        ((4096, 64), (16, 64)),
    ],
)
def test_the_canvas_has_the_aspect_ratio_of_the_picture_in_whole_even_cells(
    size: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert canvas(size, 16) == shape


def test_the_square_is_in_the_middle_and_its_borders_are_repeated_beyond() -> None:
    square = torch.rand(2, 3, 16, 16)
    wide = extended(square, (16, 26))
    assert torch.equal(middle(wide), square)
    columns = extended(torch.arange(16.0).expand(1, 1, 16, 16), (16, 26))[0, 0, 0]
    assert columns.tolist() == [0, 0, 1, 1, 0, *range(16), 15, 14, 14, 15, 15]
    assert torch.equal(extended(square, (16, 16)), square)


def test_above_and_below_is_what_the_corners_show_without_what_is_between() -> None:
    square = torch.zeros(1, 1, 16, 16)
    square[..., :2], square[..., 5:9] = 1.0, 9.0
    tall = extended(square, (26, 16))
    assert torch.equal(middle(tall), square)
    for beyond in (tall[0, 0, :5], tall[0, 0, 21:]):
        torch.testing.assert_close(beyond, torch.linspace(1, 0, 16).expand(5, 16))


def test_beyond_the_square_a_decoder_is_conditioned_on_the_features_of_its_edges() -> None:
    config = {"cells": 2, "kept": 3, "text": 5, "side": 4, "block": 8, "latent": 6, "components": 2}
    decoder = Decoder({**config, "narrow": 64, "wide": 64, "embedding": 16}).eval()
    features, coarse = torch.randn(2, 12), torch.rand(2, 3, 32, 32)
    square = decoder.condition(features, coarse)
    wide = decoder.condition(features, extended(coarse, (32, 64)))
    assert wide.shape == (2, square.shape[1], 4, 8)
    assert torch.equal(middle(wide), square)
    assert torch.equal(wide[:, -3:, :, :2], square[:, -3:, :, :1].expand(-1, -1, -1, 2))
    assert torch.equal(wide[:, -3:, :, 6:], square[:, -3:, :, -1:].expand(-1, -1, -1, 2))
    drawn = decoder.sample(
        features, extended(coarse, (32, 64)), torch.randn(1, 5), torch.ones(1), torch.rand(2, 2, 4, 8)
    )
    assert drawn.shape == (2, 6, 4, 8)


class Painted(Unclip):
    """Two candidates, of which the second, of features 1, is greenest; noise shows as it is, and is noted."""

    noises: list[Tensor]
    coarse: list[Tensor]

    def decode(self, features: Tensor, coarse: Tensor, *given: Any) -> Tensor:
        self.noises.append(given[2])
        self.coarse.append(coarse)
        return interpolate(given[2].sigmoid(), scale_factor=8.0)

    def upsample(self, features: Tensor, decoded: Tensor, *given: Any) -> Tensor:
        self.noises.append(given[2])
        return interpolate(decoded, scale_factor=2.0)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> Painted:
    prior: Any = SimpleNamespace(
        length=12,
        config={"text": 12},
        sample=lambda *_: torch.tensor([[0.2], [0.6]]).expand(2, 12),
        shorten=lambda maps: maps[0].flatten(1),
        classifier_score=lambda features, *_: features[:, 4:8].mean(1),
    )
    coarse_decoder: Any = lambda features: features[:, :3, None, None].expand(-1, -1, 16, 16)  # noqa: E731
    decoder: Any = SimpleNamespace(shape=(3, 4, 4))
    upsampler: Any = SimpleNamespace(shape=(3, 8, 8))
    autoencoder: Any = FakeVQGAN()
    for name in ("noises", "coarse"):
        monkeypatch.setattr(Painted, name, [], raising=False)
    return Painted(prior, coarse_decoder, decoder, upsampler, autoencoder)


def pipeline(painted: Painted, size: tuple[int, int]) -> Pipeline:
    perceptors: Any = [FakePerceptor()]
    return Pipeline(painted, SETTINGS, perceptors, size=size)


def test_a_wide_picture_has_the_best_square_one_in_its_middle(painted: Painted) -> None:
    _, square = pipeline(painted, (64, 64)).draw(GREEN, 3)
    assert len(painted.noises) == 1
    features, wide = pipeline(painted, (96, 64)).draw(GREEN, 3)
    assert wide.shape == (3, 32, 48)
    assert torch.equal(middle(wide[None])[0], square)
    assert painted.coarse[-1].shape == (1, 3, 16, 24)
    assert (painted.coarse[-1] == features[0]).all()
    sides = painted.noises[-1][..., [0, -1]]
    assert sides.std() > 0.5


def test_a_picture_is_enlarged_in_its_aspect_ratio_and_the_best_is_chosen_by_its_middle(painted: Painted) -> None:
    large = pipeline(painted, (96, 64)).enlarge(torch.rand(3, 16, 24), torch.full((12,), 0.6), GREEN, 0)
    assert large.shape == (3, 64, 96)
    redrawn, upsampled = painted.noises
    assert redrawn.shape == (4, 3, 4, 6)  # six candidates cost as much when they are square
    assert upsampled.shape == (1, 3, 8, 12)
    greenest = middle(redrawn.sigmoid())[:, 1].mean((1, 2)).argmax()
    assert torch.equal(large, interpolate(redrawn.sigmoid(), scale_factor=16.0)[greenest])


def proposed(painted: Painted, size: tuple[int, int], images: Tensor | None = None) -> UnclipProposal:
    perceptors: Any = [FakePerceptor()]
    return propose(painted, SETTINGS, [parse_prompts("green")], [0], perceptors, images, size, torch.device("cpu"))


def test_a_run_is_guided_to_what_is_seen_in_the_whole_wide_picture(painted: Painted) -> None:
    square, wide = proposed(painted, (64, 64)), proposed(painted, (96, 64))
    assert torch.equal(square.loss.features, square.features)
    assert torch.equal(wide.features, square.features)
    perceptor = FakePerceptor()
    seen = perceptor.encode_with_maps(perceptor.whole(wide.images()[0][None]))[1].flatten(1)
    assert torch.equal(wide.loss.features, seen)
    assert wide.enlarge(torch.rand(1, 3, 32, 48), (96, 64)).shape == (1, 3, 64, 96)


def test_what_is_proposed_near_an_init_image_is_squeezed_to_a_square_as_perceptors_see_it(painted: Painted) -> None:
    found = proposed(painted, (96, 64), torch.rand(1, 3, 64, 96))
    assert not found.images()
    assert torch.equal(found.loss.features, found.features)
    found.enlarge(torch.rand(1, 3, 32, 48), (96, 64))
    assert painted.noises[0].shape[2:] == (4, 4)

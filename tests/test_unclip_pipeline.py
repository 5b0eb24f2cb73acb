"""Which candidate a picture starts at, and which is taken when it is enlarged."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor

from clipgen.config.settings import UnclipSettings
from clipgen.starter.unclip.pipeline import Pipeline
from clipgen.starter.unclip.sampler import Method, Start
from clipgen.starter.unclip.unclip import Conditioning, Unclip

NAMES = ("a/prior", "a/coarse", "a/decoder", "a/upsampler", "a/vqgan")
COARSE = torch.tensor([0.2, 0.9, 0.4, 0.8])
"""How green the coarse pictures of four candidates are."""
DECODED = torch.tensor([0.9, 0.3, 1.0, 0.8])
"""How green each is when it is decoded."""


def green(strength: Tensor) -> Tensor:
    return torch.stack([1 - strength, strength, 1 - strength], 1)[:, :, None, None].expand(-1, -1, 8, 8)


class Four(Unclip):
    """Four candidates, whose features are their numbers."""

    decoded: list[list[int]]
    redrawn: list[float]
    """How green each candidate of img2img was."""
    upsampled: list[float]
    """How green each candidate of the upsampler was."""

    def decode(self, features: Tensor, coarse: Tensor, *given: Any) -> Tensor:
        _texts, _weights, noise, _method, start = (*given, None)[:5]
        assert noise.shape == (len(features), 3, 2, 2)
        if start:
            self.redrawn.extend(noise[:, 0, 0, 0].sigmoid().tolist())
            return green(noise[:, 0, 0, 0].sigmoid())
        self.decoded.append(features[:, 0].int().tolist())
        return green(DECODED[features[:, 0].int()])

    def upsample(self, features: Tensor, decoded: Tensor, *given: Any) -> Tensor:
        _texts, _weights, noise, method = given
        assert features.tolist() == [[1.0]] * len(noise)
        assert noise.shape == (len(noise), 3, 4, 4)
        assert method == Method(1.5)
        best = self.upsampler.best(self.redrawn)  # type: ignore[operator]
        torch.testing.assert_close(decoded, green(torch.full((len(noise),), best)))
        self.upsampled.extend(noise[:, 0, 0, 0].sigmoid().tolist())
        return green(noise[:, 0, 0, 0].sigmoid()).repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Four:
    prior: Any = SimpleNamespace(
        length=1,
        sample=lambda *_: torch.arange(4.0)[:, None],
        shorten=lambda maps: maps[0].flatten(1)[:, :1],
        classifier_score=lambda features, *_: -features[:, 0],  # what is least red is greenest
    )
    coarse_decoder: Any = lambda features: green(COARSE[features[:, 0].int()])  # noqa: E731
    decoder: Any = SimpleNamespace(shape=(3, 2, 2))
    upsampler: Any = SimpleNamespace(shape=(3, 4, 4), best=max)
    autoencoder: Any = SimpleNamespace(stride=4, encode=lambda images: images)
    for name in ("decoded", "redrawn", "upsampled"):
        monkeypatch.setattr(Four, name, [], raising=False)
    return Four(prior, coarse_decoder, decoder, upsampler, autoencoder)


def prefer_red(four: Four) -> None:
    """Have the prior, against the perceptor's own score, find that what is reddest shows the text best."""

    def classifier_score(features: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
        torch.testing.assert_close(texts, FakePerceptor().text_states(["green"]))
        assert weights.tolist() == [1.0]
        return features[:, 0]

    prior: Any = four.prior
    prior.classifier_score = classifier_score


GREEN = Conditioning([FakePerceptor().text_states(["green"])], torch.ones(1))


def pipeline(four: Four, stages: list[str] | None = None, **settings: Any) -> Pipeline:
    perceptors: Sequence[Any] = [FakePerceptor()]
    row = UnclipSettings(*NAMES, **settings)
    return Pipeline(four, row, perceptors) if stages is None else Pipeline(four, row, perceptors, stages.append)


def test_all_candidates_are_decoded_and_the_one_that_shows_most_is_taken(four: Four) -> None:
    features, image = pipeline(four, candidates=4).draw(GREEN, 0)
    assert four.decoded == [[0, 1, 2, 3]]
    assert features.tolist() == [2.0]
    torch.testing.assert_close(image, green(torch.tensor([1.0]))[0])


def test_the_prior_decides_which_candidate_shows_most(four: Four) -> None:
    prefer_red(four)
    assert pipeline(four, candidates=4).draw(GREEN, 0)[0].item() == 1


def test_near_an_image_nothing_is_decoded_and_the_best_coarse_picture_is_taken(four: Four) -> None:
    assert pipeline(four, candidates=4).draw_near(torch.zeros(3, 16, 16), GREEN, 0).tolist() == [1.0]
    assert not four.decoded


def test_features_near_an_image_start_at_what_is_seen_in_it(four: Four) -> None:
    given: list[Any] = []
    prior: Any = four.prior
    prior.sample = lambda *arguments: given.extend(arguments) or torch.arange(4.0)[:, None]
    settings = {"candidates": 4, "init_noise": 3.0, "init_guidance_scale": 7.0}
    pipeline(four, **settings).draw_near(torch.ones(3, 16, 16), GREEN, 0)
    *_, noise, method, start, steer = given
    assert steer is None
    assert noise.shape == (4, 1)
    assert method == Method(7.0)
    assert isinstance(start, Start)
    assert start.sigma == 3.0
    torch.testing.assert_close(start.data, torch.tensor([0.5]))  # FakePerceptor's white


def test_of_the_candidates_nearest_in_layout_the_one_that_shows_most_is_drawn_over_the_image(
    four: Four, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coarse pictures of candidates 1 and 3 are nearest to this green."""
    image = green(torch.tensor([1.0]))[0].repeat_interleave(2, 1).repeat_interleave(2, 2)
    given: dict[str, Any] = {}

    def decode(features: Tensor, coarse: Tensor, *rest: Any) -> Tensor:
        given.update(features=features[:, 0].tolist(), coarse=coarse, start=rest[4])
        return green(torch.tensor([0.3, 0.6]))

    monkeypatch.setattr(four, "decode", decode, raising=False)
    monkeypatch.setattr(four, "upsample", lambda _features, decoded, *_: decoded, raising=False)
    settings = {"candidates": 4, "img2img_candidates": 2, "init_img2img_noise": 2.0, "layout_share": 0.5}
    features, picture = pipeline(four, **settings).draw_over(image, GREEN, 0)
    assert given["features"] == [1.0, 3.0]
    assert given["start"].sigma == 2.0
    torch.testing.assert_close(given["coarse"], green((COARSE[[1, 3]] + 1) / 2))
    assert features.tolist() == [3.0]
    torch.testing.assert_close(picture, green(torch.tensor([0.6]))[0])


def enlarged(four: Four, redrawn: int, upsampled: int) -> Tensor:
    counts = {"img2img_candidates": redrawn, "upsampler_candidates": upsampled}
    drawing = pipeline(four, img2img_noise=0.5, upsampler_scale=1.5, **counts)
    return drawing.enlarge(torch.zeros(3, 16, 16), torch.ones(1), GREEN, 0)


@pytest.mark.parametrize(("redrawn", "upsampled"), [(1, 1), (5, 1), (5, 4)])
def test_the_best_of_img2img_is_upsampled_the_best_way(four: Four, redrawn: int, upsampled: int) -> None:
    image = enlarged(four, redrawn, upsampled)
    assert len(set(four.redrawn)) == redrawn
    assert len(set(four.upsampled)) == upsampled
    assert image.shape == (3, 16, 16)
    torch.testing.assert_close(image[:, ::2, ::2], green(torch.tensor([max(four.upsampled)]))[0])


def test_the_prior_decides_which_candidate_is_upsampled_and_how(four: Four) -> None:
    prefer_red(four)
    upsampler: Any = four.upsampler
    upsampler.best = min
    image = enlarged(four, redrawn=5, upsampled=4)
    torch.testing.assert_close(image[:, ::2, ::2], green(torch.tensor([min(four.upsampled)]))[0])


Draws = Callable[[Pipeline], Any]


@pytest.mark.parametrize(
    ("draws", "words"),
    [
        (lambda drawing: drawing.draw(GREEN, 0), ["proposing 4 candidates", "decoding 4", "best of 4"]),
        (lambda drawing: drawing.draw_near(torch.zeros(3, 16, 16), GREEN, 0), ["near the init image", "best of 4"]),
        (
            lambda drawing: drawing.draw_over(green(torch.ones(1))[0], GREEN, 0),
            ["like the init image", "img2img with 2 candidates", "upsampling with 3 candidates"],
        ),
        (
            lambda drawing: drawing.enlarge(torch.zeros(3, 16, 16), torch.ones(1), GREEN, 0),
            ["img2img with 2 candidates", "upsampling with 3 candidates"],
        ),
    ],
)
def test_every_stage_is_announced(four: Four, draws: Draws, words: list[str]) -> None:
    stages: list[str] = []
    counts = {"candidates": 4, "img2img_candidates": 2, "upsampler_candidates": 3}
    draws(pipeline(four, stages, img2img_noise=0.5, upsampler_scale=1.5, **counts))
    assert len(stages) == len(words)
    assert all(word in stage for word, stage in zip(words, stages, strict=True))

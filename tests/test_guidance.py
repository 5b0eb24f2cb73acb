"""What pulls at a picture in a run, and at what size."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import FakePerceptor, FakeVQGAN, Recorder, colour, fake_models, job, scheduled
from PIL import Image
from torch import Tensor

from clipgen.config import presets
from clipgen.config.job import parse_prompts
from clipgen.config.presets import CutoutSettings, FeaturePriorSettings
from clipgen.core.guidance import Guide, ViewPlan
from clipgen.engine.cost import Models
from clipgen.engine.runner import run
from clipgen.generators import GENERATORS
from clipgen.starter.unclip.coarse import Sketcher
from clipgen.starter.unclip.decoder import Over
from clipgen.starter.unclip.imagination import Imaginer
from clipgen.starter.unclip.prior import FeaturePrior, Start

every_backend = pytest.mark.parametrize("backend", GENERATORS)


def test_negative_prompts_push_away() -> None:
    # Away from blue lies yellow.
    red, green, blue = colour(run(job("blue:-1", steps=40), fake_models()))
    assert min(red, green) > 2 * blue


def test_a_text_past_its_stop_does_not_pull() -> None:
    recorder = Recorder()
    run(job("red:1:100|blue:-1:100"), fake_models(), [recorder])
    assert torch.equal(recorder.steps[-1].image, recorder.steps[0].image)


def test_the_views_change_from_step_to_step() -> None:
    models = fake_models()
    plan = ViewPlan(4, (48, 32), CutoutSettings(share_plain=0, share_whole=0, jitter=0, noise=0))
    guide = Guide(models.perceptors, [parse_prompts("red")], [0], plan, models.device)
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    losses = {float(guide.compare(picture, step, 5)[0]) for step in range(5)}
    assert len(losses) == 5


def test_latents_are_brought_back_into_range_after_every_update() -> None:
    class Strict(FakeVQGAN):
        def straight_through(self, latent: torch.Tensor) -> torch.Tensor:
            assert latent.min() >= -1e-5
            assert latent.max() <= 1 + 1e-5
            return super().straight_through(latent)

    models = replace(fake_models(), network=Strict())
    run(job(lr=3.0), models)


class Measured(FakeVQGAN):
    """Keeps the width and height of what it draws; the first is that by which the need of memory is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        images = super().decode(codes)
        self.sizes.append((images.shape[3], images.shape[2]))
        return images


def test_pictures_from_noise_are_small_at_first_and_shown_large() -> None:
    network, recorder = Measured(), Recorder()
    row = presets.PRESETS["starter"].generators["vqgan"]
    until = int(20 * row.small_until)
    result = run(job(steps=20), replace(fake_models(), network=network), [recorder])
    assert network.sizes[1:] == [(24, 16)] * (until + 1) + [(48, 32)] * (21 - until + len(row.restored))
    assert {tuple(step.image.shape) for step in recorder.steps} == {(1, 3, 32, 48)}
    red, green, blue = colour(result)
    assert red > 170 > 90 > max(green, blue)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_even_a_short_run_ends_at_its_own_size(steps: int) -> None:
    network = Measured()
    run(job(steps=steps), replace(fake_models(), network=network))
    assert network.sizes[-2:] == [(48, 32)] * 2


def test_pictures_from_an_init_image_are_large_from_the_start() -> None:
    network = Measured()
    run(job(init="a.png"), replace(fake_models(), network=network), init=Image.new("RGB", (48, 32)))
    assert set(network.sizes[1:]) == {(48, 32)}


def test_several_perceptors_are_averaged() -> None:
    one, two = Recorder(), Recorder()
    run(job(), fake_models(perceptors=1), [one])
    run(job(), fake_models(perceptors=2), [two])
    torch.testing.assert_close(one.steps[-1].image, two.steps[-1].image, atol=1e-4, rtol=0)


def test_a_perceptor_guides_only_in_its_part_of_the_run() -> None:
    class Bad(FakePerceptor):
        def encode_images(self, views: torch.Tensor) -> torch.Tensor:
            return -super().encode_images(views)

    models = replace(fake_models(), perceptors=(scheduled(FakePerceptor(), until=0.5), scheduled(Bad(), since=0.5)))
    recorder = Recorder()
    run(job(steps=20), models, [recorder])
    reds = [float(step.image[:, 0].mean() - step.image[:, 1:].mean()) for step in recorder.steps]
    assert reds[10] > reds[0] + 0.1
    assert reds[20] < reds[10] - 0.1
    scores = [float(step.score) for step in recorder.steps]
    assert scores[9] > 0 > scores[10]


def filled(colours: Tensor) -> Tensor:
    """What two FakePerceptors see in pictures (B, 3), in [-1, 1], of one colour each: (B, 24)."""
    return (colours / 2).repeat(1, 8)


class Imagines(FeaturePrior):
    """Two pictures: a black one, and one of the colour that comes before that of the texts together."""

    def __init__(self) -> None:
        super().__init__({"cells": 4, "channels": [3, 3], "kept": 6, "text": 24, "width": 4, "depth": 1, "heads": 1})
        self.starts: list[Start | None] = []

    def imagine(
        self, texts: Tensor, shares: Tensor, noise: Tensor, scale: float = 1.0, start: Start | None = None
    ) -> Tensor:
        assert noise.shape == (2, 24)
        assert scale == (7.0 if start else 2.0)
        assert torch.equal(texts[:, 1:], texts[:, :1] / 2)
        self.starts.append(start)
        said = (shares @ texts[:, 0])[:3]
        before = said.roll(-1) + 0.1 * said
        return filled(torch.stack([-torch.ones(3), before / before.abs().max()]))

    def evidence(self, features: Tensor, texts: Tensor, shares: Tensor) -> Tensor:
        """How much of the texts' colour there is."""
        return features[:, :3] @ (shares @ texts[:, 0])[:3]


class Sketches(Sketcher):
    """A picture of the colour that comes after that of the features."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, features: Tensor) -> Tensor:
        return (features[:, :3].roll(1, 1) + 0.5).view(-1, 3, 1, 1).expand(-1, -1, 4, 4)


class Imagining(Imaginer):
    """Paints what is sketched, and the negative of what it paints over."""

    def paint(self, features: Tensor, sketches: Tensor, *told: Any) -> Tensor:
        _texts, _shares, noise, _scale, over = (*told, None)[:5]
        assert noise.shape == (len(features), 3, 2, 2)
        assert over is None or (isinstance(over, Over) and over.sigma == 0.5)
        return 1 - over.latents if over else sketches

    def upsample(self, features: Tensor, paintings: Tensor, *_told: Any) -> Tensor:
        return paintings.repeat_interleave(2, 2).repeat_interleave(2, 3)


def imagining(models: Models) -> Models:
    unused: Any = SimpleNamespace(shape=(3, 2, 2))
    decoder: Any = FakeVQGAN()
    return replace(models, imaginer=Imagining(Imagines(), Sketches(), unused, unused, decoder))


@pytest.fixture
def two_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FeaturePriorSettings("", "", "", "", "", scale=2.0, candidates=2, init_noise=3.0, init_scale=7.0)
    monkeypatch.setitem(presets.PRESETS, "starter", replace(presets.PRESETS["starter"], feature_prior=settings))


@pytest.mark.usefixtures("two_candidates")
def test_texts_pull_towards_the_picture_imagined_of_them_that_shows_them() -> None:
    models = fake_models(perceptors=2)
    result = run(job("green", steps=30), imagining(models))
    red, green, blue = colour(result)
    assert red > green + 30
    assert red > blue + 30
    assert result.score < run(job("green", steps=30), models).score  # which compares with the text itself


@pytest.mark.usefixtures("two_candidates")
def test_texts_pull_towards_themselves_too_as_much_as_the_preset_says(monkeypatch: pytest.MonkeyPatch) -> None:
    starter, greens = presets.PRESETS["starter"], []
    assert starter.feature_prior
    for pull in (0.0, 1.0, 30.0):
        row = replace(starter.feature_prior, text_pull=pull)
        monkeypatch.setitem(presets.PRESETS, "starter", replace(starter, feature_prior=row))
        red, green, _ = colour(run(job("green", steps=30), imagining(fake_models(perceptors=2))))
        greens.append(green - red)
    assert greens[0] < greens[1] < greens[2]
    assert greens[0] < -30 < 30 < greens[2]


@pytest.mark.usefixtures("two_candidates")
def test_one_picture_is_imagined_of_all_texts_that_pull() -> None:
    """Of 3/4 green and 1/4 blue comes 3/4 red and 1/4 green."""
    models = imagining(fake_models(perceptors=2))
    red, green, blue = colour(run(job("green:3|blue:1", steps=30), models))
    assert red > green > blue
    assert len(models.imaginer.prior.starts) == 1  # type: ignore[union-attr, arg-type]


@pytest.mark.usefixtures("two_candidates")
def test_what_is_imagined_starts_at_the_init_image() -> None:
    models, blue = imagining(fake_models(perceptors=2)), Image.new("RGB", (48, 32), (0, 0, 255))
    run(job("green", steps=1), models)
    run(job("green", init="blue.png", steps=1), models, init=blue)
    nowhere, start = models.imaginer.prior.starts  # type: ignore[union-attr, misc]
    assert nowhere is None
    assert start.noise == 3.0  # type: ignore[has-type]
    torch.testing.assert_close(start.features, filled(torch.tensor([[-1.0, -1.0, 1.0]]))[0])  # type: ignore[has-type]


@every_backend
@pytest.mark.usefixtures("two_candidates")
def test_a_picture_starts_at_a_painting_of_what_is_imagined(backend: str) -> None:
    """Unless nothing is, or it has an init image."""
    models = imagining(fake_models(backend, perceptors=2))

    def first(prompt: str, models: Models, init: Image.Image | None = None) -> Tensor:
        recorder = Recorder()
        asked = job(prompt, backend=backend, steps=1, init="white.png" if init else None)
        run(asked, models, [recorder], init=init)
        return recorder.steps[0].image.mean((0, 2, 3))

    red, green, blue = first("green", models).tolist()
    assert green > max(red, blue) + 0.3
    without, white = replace(models, imaginer=None), Image.new("RGB", (48, 32), "white")
    for noise in (first("green", without), first("green:-1", models)):
        assert (noise - 0.5).abs().max() < 0.3
    assert first("green", models, white).min() > 0.7


@pytest.mark.usefixtures("two_candidates")
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_picture_is_painted_over_when_it_grows(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    starter, recorder = presets.PRESETS["starter"], Recorder()
    assert starter.feature_prior
    row = replace(starter.feature_prior, repaint_noise=noise)
    monkeypatch.setitem(presets.PRESETS, "starter", replace(starter, feature_prior=row))
    run(job("green", steps=20, lr=1e-6), imagining(fake_models(perceptors=2)), [recorder])
    images = [step.image[:, :, 4:-4, 4:-4] for step in recorder.steps]
    until = int(20 * starter.generators["vqgan"].small_until)
    torch.testing.assert_close(images[until - 1], images[0], atol=0.02, rtol=0)
    torch.testing.assert_close(images[until], 1 - images[0] if noise else images[0], atol=0.1, rtol=0)


@pytest.mark.usefixtures("two_candidates")
def test_a_text_that_pushes_away_alone_is_not_imagined() -> None:
    models = fake_models(perceptors=2)
    plain, imagined = (run(job("green:-1", steps=10), each) for each in (models, imagining(models)))
    assert plain.image.tobytes() == imagined.image.tobytes()


@every_backend
def test_the_init_image_is_the_start_and_its_weight_holds_on_to_it(backend: str) -> None:
    blue = Image.new("RGB", (48, 32), (0, 0, 255))
    ends = []
    for weight in (0.0, 1000.0):
        recorder = Recorder()
        asked = job("red:1:0", backend=backend, init="blue.png", init_weight=weight, steps=50)
        run(asked, fake_models(backend), [recorder], init=blue)
        ends.append(recorder.steps[-1].image.mean((0, 2, 3)))
        assert ("init" in recorder.steps[0].terms) == (weight > 0)
    assert ends[0][0] > 0.6 > ends[0][2]
    assert ends[1][2] > 0.9 > 0.1 > ends[1][0]


def test_without_a_size_the_picture_has_the_shape_of_the_init_image() -> None:
    asked = job(init="a.png", size=None, steps=1)
    result = run(asked, fake_models(), init=Image.new("RGB", (400, 100)))
    assert result.image.size == (512, 128)
    assert result.job.size == result.image.size


def test_the_smoothness_of_a_preset_makes_pictures_smoother(monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = Image.new("RGB", (48, 32), "black")
    stripes.paste("red", (8, 0, 16, 32))
    stripes.paste("red", (32, 0, 40, 32))
    roughness = []
    for weight in (0.0, 10.0):
        starter = replace(presets.PRESETS["starter"], smoothness=weight)
        monkeypatch.setitem(presets.PRESETS, "starter", starter)
        recorder = Recorder()
        run(job("white:1:10", steps=12, lr=0.05, init="stripes.png"), fake_models(), [recorder], init=stripes)
        roughness.append(float(recorder.steps[-1].image.diff(dim=3).abs().mean()))
        assert ("roughness" in recorder.steps[0].terms) == (weight > 0)
    assert roughness[1] < 0.7 * roughness[0]

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor

from clipgen.config.presets import FeaturePriorSettings
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.unclip.decoder import Over
from clipgen.starter.unclip.imagination import Imagination, Imaginer

GREENS = torch.tensor([0.2, 0.9, 0.4, 0.8])
"""How green the sketches of four imagined pictures are."""
PAINTED = torch.tensor([0.9, 0.3, 1.0, 0.8])
"""How green each is when it is painted."""


class Four(Imaginer):
    """Imagines four pictures, whose features are their numbers."""

    painted: list[list[int]]
    painted_over: list[float]
    """How green each painting was that was painted over another picture."""
    upsampled: list[float]
    """How green each picture was that was upsampled."""
    choice: Callable[[list[float]], float]
    """Which painting is to be upsampled, by how green they are."""

    def paint(
        self,
        features: Tensor,
        sketches: Tensor,
        texts: Tensor,
        shares: Tensor,
        noise: Tensor,
        scale: float,
        over: Over | None = None,
    ) -> Tensor:
        assert noise.shape == (len(features), 3, 2, 2)
        if over:
            self.painted_over += noise[:, 0, 0, 0].sigmoid().tolist()
            return green(noise[:, 0, 0, 0].sigmoid())
        self.painted.append(features[:, 0].int().tolist())
        return green(PAINTED[features[:, 0].int()])

    def upsample(
        self, features: Tensor, paintings: Tensor, texts: Tensor, shares: Tensor, noise: Tensor, scale: float
    ) -> Tensor:
        assert features.tolist() == [[1.0]] * len(noise)
        assert noise.shape == (len(noise), 3, 4, 4)
        assert scale == 1.5
        torch.testing.assert_close(paintings, green(torch.full((len(noise),), self.choice(self.painted_over))))
        self.upsampled += noise[:, 0, 0, 0].sigmoid().tolist()
        return green(noise[:, 0, 0, 0].sigmoid()).repeat_interleave(2, 2).repeat_interleave(2, 3)


def green(strength: Tensor) -> Tensor:
    return torch.stack([1 - strength, strength, 1 - strength], 1)[:, :, None, None].expand(-1, -1, 8, 8)


Speaks = Callable[[Callable[[Tensor], Tensor]], None]
"""Sets what the prior says of what the first perceptor sees of red, (B,), where texts are said as they should."""


@pytest.fixture
def speaks(four: Four) -> Speaks:
    def choose(rule: Callable[[Tensor], Tensor]) -> None:
        def evidence(features: Tensor, texts: Tensor, shares: Tensor) -> Tensor:
            torch.testing.assert_close(texts, FakePerceptor().text_states(["green"]))
            assert shares.tolist() == [1.0]
            return rule(features[:, 0])

        prior: Any = four.prior
        prior.evidence = evidence

    return choose


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Four:
    prior: Any = SimpleNamespace(
        length=1,
        imagine=lambda *_: torch.arange(4.0)[:, None],
        shorten=lambda maps: maps[0].flatten(1)[:, :1],
        evidence=lambda features, *_: -features[:, 0],  # what is least red is greenest
    )
    sketcher: Any = lambda features: green(GREENS[features[:, 0].int()])  # noqa: E731
    painter: Any = SimpleNamespace(shape=(3, 2, 2), stride=4, encode=lambda images: images)
    upsampler: Any = SimpleNamespace(shape=(3, 4, 4))
    monkeypatch.setattr(Four, "painted", [], raising=False)
    monkeypatch.setattr(Four, "painted_over", [], raising=False)
    monkeypatch.setattr(Four, "upsampled", [], raising=False)
    monkeypatch.setattr(Four, "choice", max, raising=False)
    return Four(prior, sketcher, painter, upsampler, painter)


def imagine(imaginer: Four, images: Tensor | None = None) -> tuple[Tensor, Tensor]:
    settings = FeaturePriorSettings("", "", "", "", "", candidates=4)
    perceptor = FakePerceptor()
    return Imagination(imaginer, settings, images).imagine(
        0, [cast(CLIPPerceptor, perceptor)], [perceptor.text_states(["green"])], torch.ones(1), 0
    )


def test_all_that_is_imagined_is_painted_and_the_painting_that_shows_most_is_taken(four: Four) -> None:
    features, painting = imagine(four)
    assert four.painted == [[0, 1, 2, 3]]
    assert features.tolist() == [2.0]
    torch.testing.assert_close(painting, green(torch.tensor([1.0]))[0])


def test_what_is_seen_is_evidence_for_what_is_said(four: Four, speaks: Speaks) -> None:
    """Whatever the perceptor's own score: what is reddest is least green."""
    speaks(lambda seen: seen)
    assert imagine(four)[0].item() == 1


def test_with_an_init_image_nothing_is_painted(four: Four) -> None:
    features, sketch = imagine(four, images=torch.zeros(1, 3, 16, 16))
    assert not four.painted
    assert features.tolist() == [1.0]
    torch.testing.assert_close(sketch, green(torch.tensor([0.9]))[0])


def repaint(imaginer: Four, paintings: int, upsamplings: int) -> Tensor:
    settings = FeaturePriorSettings(
        "", "", "", "", "", repaint_noise=0.5, repaintings=paintings, upsamplings=upsamplings, upsampling_scale=1.5
    )
    perceptor = FakePerceptor()
    texts = [perceptor.text_states(["green"])]
    return Imagination(imaginer, settings).repaint(
        torch.zeros(3, 16, 16), torch.ones(1), [cast(CLIPPerceptor, perceptor)], texts, torch.ones(1), 0
    )


@pytest.mark.parametrize(("paintings", "upsamplings"), [(1, 1), (5, 1), (5, 4)])
def test_the_best_of_pictures_painted_over_is_upsampled_the_best_way(
    four: Four, paintings: int, upsamplings: int
) -> None:
    painting = repaint(four, paintings, upsamplings)
    assert len(set(four.painted_over)) == paintings
    assert len(set(four.upsampled)) == upsamplings
    assert painting.shape == (3, 16, 16)
    torch.testing.assert_close(painting[:, ::2, ::2], green(torch.tensor([max(four.upsampled)]))[0])


def test_what_is_upsampled_and_how_is_also_the_priors_choice(four: Four, speaks: Speaks) -> None:
    four.choice = min
    speaks(lambda seen: seen)  # the opposite of what the perceptor finds, and counts more
    painting = repaint(four, paintings=5, upsamplings=4)
    torch.testing.assert_close(painting[:, ::2, ::2], green(torch.tensor([min(four.upsampled)]))[0])

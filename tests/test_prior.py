from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.guidance import Plausibility
from clipgen.perceptor import Perceptor
from clipgen.presets import PriorSettings
from clipgen.prior import Prior, build_prior
from clipgen.starter.grammar import Truth
from clipgen.starter.train.loop import Plan
from clipgen.starter.train.prior import DETAILS, LAYOUT, PriorTrainer, Study, readings

TINY: dict[str, Any] = {
    "size": 16,
    "space_to_depth": 2,
    "spread": 0.5,
    "ddconfig": {
        "ch": 64,  # taming normalises in 32 groups; one channel each would hide how much noise there is
        "out_ch": 12,
        "ch_mult": [1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "in_channels": 12,
        "resolution": 8,
    },
}


@pytest.fixture
def prior() -> Prior:
    torch.manual_seed(0)
    return Prior(TINY).eval().requires_grad_(False)


@pytest.fixture
def told() -> Prior:
    torch.manual_seed(1)
    return Prior({**TINY, "text": 5}).eval().requires_grad_(False)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
def test_the_network_sees_unit_variance_at_every_noise(prior: Prior, sigma: float) -> None:
    seen: list[Tensor] = []
    prior.model.conv_in.register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    noisy = 0.5 * torch.randn(4, 3, 32, 32) + sigma * torch.randn(4, 3, 32, 32)
    assert prior.denoise(noisy, torch.full((4,), sigma)).shape == noisy.shape
    assert float(seen[0].std()) == pytest.approx(1, abs=0.05)


def test_the_network_is_told_the_noise(prior: Prior) -> None:
    noisy = torch.randn(1, 3, 16, 16)
    of_little, of_much = (prior.denoise(noisy, torch.tensor([sigma])) for sigma in (0.1, 1.0))
    scaled = prior.denoise(noisy * (1.25 / 0.26) ** 0.5, torch.tensor([1.0]))  # to the same input
    assert not torch.allclose(of_little, of_much)
    assert not torch.allclose(of_little, scaled, rtol=1e-3)


def test_the_pull_leads_to_the_denoised_picture(prior: Prior) -> None:
    sigma, noise = torch.tensor([0.2, 0.7]), torch.randn(2, 3, 16, 16)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    distance = prior.unlikeliness(images, sigma, noise)
    shrunk = images.detach() * 2 - 1
    gap = shrunk - prior.denoise(shrunk + sigma.view(-1, 1, 1, 1) * noise, sigma)
    torch.testing.assert_close(distance.detach(), gap.square().mean((1, 2, 3)))
    (slope,) = torch.autograd.grad(distance.sum(), images)
    torch.testing.assert_close(slope, 2 * 2 * gap / gap[0].numel())


@pytest.mark.parametrize(("height", "width"), [(256, 256), (128, 512), (300, 200), (4000, 8)])
def test_a_picture_is_looked_at_in_its_own_shape(prior: Prior, height: int, width: int) -> None:
    rows, columns = prior.small(height, width)
    assert rows % prior.grain == columns % prior.grain == 0 < min(rows, columns)
    assert abs(rows - 16 * (height / width) ** 0.5) <= prior.grain
    assert prior.unlikeliness(torch.rand(1, 3, height, width), torch.ones(1), torch.zeros(1, 3, rows, columns)) > 0


def test_a_picture_among_others_is_pulled_as_if_alone(prior: Prior) -> None:
    settings = PriorSettings("", (1.0, 0.1))
    images = torch.rand(2, 3, 32, 32)
    both = Plausibility(prior, settings, [5, 6], (32, 32)).loss(images, 3, 10)
    alone = Plausibility(prior, settings, [6], (32, 32)).loss(images[1:], 3, 10)
    torch.testing.assert_close(both[1:], alone)
    assert not torch.allclose(both[1:], Plausibility(prior, settings, [7], (32, 32)).loss(images[1:], 3, 10))


def test_the_noise_falls_from_the_first_step_to_the_last(prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def listen(_images: Tensor, sigma: Tensor, *_rest: object) -> Tensor:
        seen.append(float(sigma))
        return torch.ones(1)

    monkeypatch.setattr(prior, "unlikeliness", listen)
    plausibility = Plausibility(prior, PriorSettings("", (1.0, 0.01)), [0], (32, 32))
    for step in range(3):
        plausibility.loss(torch.rand(1, 3, 32, 32), step, 2)
    assert seen == pytest.approx([1.0, 0.1, 0.01])


def test_a_text_changes_what_is_denoised_and_nothing_told_changes_nothing(told: Prior) -> None:
    noisy, sigma = torch.randn(3, 3, 16, 16), torch.full((3,), 0.7)
    texts = torch.eye(5)[:3].clone()
    texts[1] = 0
    untold, some = told.denoise(noisy, sigma), told.denoise(noisy, sigma, texts)
    torch.testing.assert_close(some[1], untold[1])
    assert not torch.allclose(some[0], untold[0], rtol=1e-3)
    torch.testing.assert_close(told.denoise(noisy, sigma), untold)


def test_a_prior_that_knows_no_texts_takes_no_notice(prior: Prior) -> None:
    noisy, sigma = torch.randn(2, 3, 16, 16), torch.full((2,), 0.7)
    torch.testing.assert_close(prior.denoise(noisy, sigma, torch.randn(2, 5)), prior.denoise(noisy, sigma))
    images, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    scaled = prior.unlikeliness(images, sigma, noise, torch.randn(2, 5), scale=3.0)
    torch.testing.assert_close(scaled, prior.unlikeliness(images, sigma, noise))


def test_the_scale_goes_beyond_what_the_text_changes(told: Prior) -> None:
    sigma, noise, texts = torch.tensor([0.5]), torch.randn(1, 3, 16, 16), torch.eye(5)[:1]
    images = torch.rand(1, 3, 16, 16)
    shrunk = images * 2 - 1
    untold, said = (told.denoise(shrunk + 0.5 * noise, sigma, words) for words in (None, texts))
    likelier = (untold + 3 * (said - untold)).clamp(-1, 1)
    distance = told.unlikeliness(images, sigma, noise, texts, 3.0)
    torch.testing.assert_close(distance, (shrunk - likelier).square().mean((1, 2, 3)))


def test_each_picture_is_held_to_its_own_text(told: Prior) -> None:
    settings = PriorSettings("", (1.0, 0.1), scale=2.0)
    images, texts = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1), torch.eye(5)[:2]
    both = Plausibility(told, settings, [5, 5], (32, 32), texts).loss(images, 3, 10)
    alone = Plausibility(told, settings, [5], (32, 32), texts[1:]).loss(images[1:], 3, 10)
    torch.testing.assert_close(both[1:], alone)
    assert both[0] != both[1]


def test_weights_of_another_kind_are_refused(prior: Prior) -> None:
    checkpoint = weights.Checkpoint("prior", TINY, prior.state_dict())
    assert build_prior(checkpoint).size == 16
    with pytest.raises(ClipgenError, match="'clip' is no prior"):
        build_prior(replace(checkpoint, kind="clip"))


@pytest.mark.parametrize("study", [DETAILS, LAYOUT])
def test_training_makes_the_error_smaller(study: Study) -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    pictures = np.broadcast_to(ramp[None, :, None, None], (8, 64, 64, 3)).copy()
    trainer = PriorTrainer(Plan(steps=12, batch=4, rate=0.002), pictures, torch.device("cpu"), study)
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=0.002)
    errors = []
    for step in range(12):
        torch.manual_seed(step % 2)
        loss = trainer.losses_at(step % 2)["loss"]
        errors.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert errors[-1] < 0.5 * errors[0]


def test_training_with_texts_learns_what_they_say() -> None:
    """Half of the pictures are black and half white; under much noise only the text tells which."""
    pictures = np.zeros((8, 64, 64, 3), np.uint8)
    pictures[4:] = 255
    readings = torch.eye(2).repeat_interleave(4, 0)[None]
    trainer = PriorTrainer(Plan(steps=30, batch=8, rate=0.002), pictures, torch.device("cpu"), LAYOUT, readings)
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=0.002)
    for step in range(30):
        torch.manual_seed(step)
        optimiser.zero_grad()
        trainer.losses_at(step)["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    noisy, sigma = 20 * torch.randn(2, 3, 64, 64), torch.full((2,), 20.0)
    black, white = trainer.network.denoise(noisy, sigma, torch.eye(2)).mean((1, 2, 3)).tolist()
    assert black < white - 0.5


def test_readings_are_vectors_of_true_captions() -> None:
    told: list[str] = []

    class Listener(Perceptor):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def encode_texts(self, texts: Sequence[str]) -> Tensor:
            told.extend(texts)
            return torch.tensor([[float("cat" in text), float("red" in text)] for text in texts])

    shown = [Truth("cat", "blue"), Truth("heart", "red"), Truth("heart", "red")]
    read = readings(Listener(), shown, seed=0, chunk=2)
    assert read.shape == (len(told) // 3, 3, 2)
    assert not read[:, 1:, 0].any()
    assert not read[:, 0, 1].any()
    assert read[:, 1:, 1].any()

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.starter.train.picture_prior import PicturePrior, PicturePriorTrainer, build_picture_prior
from clipgen.training.loop import Plan

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
def prior() -> PicturePrior:
    torch.manual_seed(0)
    return PicturePrior(TINY).eval().requires_grad_(False)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
def test_the_network_sees_unit_variance_at_every_noise(prior: PicturePrior, sigma: float) -> None:
    seen: list[Tensor] = []
    prior.model.conv_in.register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    noisy = 0.5 * torch.randn(4, 3, 32, 32) + sigma * torch.randn(4, 3, 32, 32)
    assert prior.denoise(noisy, torch.full((4,), sigma)).shape == noisy.shape
    assert float(seen[0].std()) == pytest.approx(1, abs=0.05)


def test_the_network_knows_the_noise(prior: PicturePrior) -> None:
    noisy = torch.randn(1, 3, 16, 16)
    of_little, of_much = (prior.denoise(noisy, torch.tensor([sigma])) for sigma in (0.1, 1.0))
    scaled = prior.denoise(noisy * (1.25 / 0.26) ** 0.5, torch.tensor([1.0]))  # to the same input
    assert not torch.allclose(of_little, of_much)
    assert not torch.allclose(of_little, scaled, rtol=1e-3)


def test_the_pull_leads_to_the_denoised_picture(prior: PicturePrior) -> None:
    sigma, noise = torch.tensor([0.2, 0.7]), torch.randn(2, 3, 16, 16)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    distance = prior.unlikeliness(images, sigma, noise)
    shrunk = images.detach() * 2 - 1
    gap = shrunk - prior.denoise(shrunk + sigma.view(-1, 1, 1, 1) * noise, sigma)
    torch.testing.assert_close(distance.detach(), gap.square().mean((1, 2, 3)))
    (slope,) = torch.autograd.grad(distance.sum(), images)
    torch.testing.assert_close(slope, 2 * 2 * gap / gap[0].numel())


def test_weights_of_another_kind_are_refused(prior: PicturePrior) -> None:
    checkpoint = weights.Checkpoint("prior", TINY, prior.state_dict())
    assert build_picture_prior(checkpoint).size == 16
    with pytest.raises(ClipgenError, match="'clip' is no prior"):
        build_picture_prior(replace(checkpoint, kind="clip"))


def test_training_makes_the_error_smaller() -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    pictures = np.broadcast_to(ramp[None, :, None, None], (8, 64, 64, 3)).copy()
    trainer = PicturePriorTrainer(Plan(steps=12, batch=4, rate=0.002), pictures, torch.device("cpu"))
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

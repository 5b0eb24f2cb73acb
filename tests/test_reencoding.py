"""Training re-encoding: only the encoder moves, and its pictures are worse than those it is to find."""

import numpy as np
import pytest
import torch

from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.reencoding import ReencodingTrainer
from clipgen.starter.train.vqgan import CONFIG
from clipgen.training.loop import Plan

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def trainer() -> ReencodingTrainer:
    torch.manual_seed(0)
    network = VQGANNetwork(CONFIG)
    torch.nn.init.normal_(network.codebook)
    return ReencodingTrainer(network, Plan(9, 2, 0.001, seed=1), PICTURES)


def test_only_the_encoder_learns(trainer: ReencodingTrainer) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in trainer.network.parameters() if p.requires_grad], 0.0005)
    losses = []
    for _ in range(6):
        torch.manual_seed(0)  # the same crops degraded in the same way
        loss = trainer.losses_at(0)["loss"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {name for name, tensor in trainer.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} == {"encoder", "quant_conv"}


def test_a_degraded_picture_is_a_picture_still(trainer: ReencodingTrainer) -> None:
    images = torch.rand(2, 3, 64, 64)
    indices = trainer.teacher.nearest(trainer.teacher.encode(images))
    kinds = set()
    for seed in range(12):
        torch.manual_seed(seed)
        degraded = trainer.degraded(images, indices)
        assert degraded.shape == images.shape
        assert 0 <= float(degraded.min()) <= float(degraded.max()) <= 1
        kinds.add(torch.equal(degraded, images))
    assert kinds == {True, False}

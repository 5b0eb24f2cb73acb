"""An encoder learns to restore: it alone moves, and what it is shown is worse than what it shall find."""

import numpy as np
import pytest
import torch

from clipgen.generators.networks import VQGANNetwork
from clipgen.starter.train.loop import Plan
from clipgen.starter.train.restoring import RestorationTrainer
from clipgen.starter.train.vqgan import CONFIG

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def trainer() -> RestorationTrainer:
    torch.manual_seed(0)
    network = VQGANNetwork(CONFIG)
    torch.nn.init.normal_(network.codebook)
    return RestorationTrainer(network, Plan(9, 2, 0.001, seed=1), PICTURES)


def test_only_the_encoder_learns(trainer: RestorationTrainer) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in trainer.network.parameters() if p.requires_grad], 0.0005)
    losses = []
    for _ in range(6):
        torch.manual_seed(0)  # the same crops made worse in the same way
        loss = trainer.losses_at(0)["loss"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {name for name, tensor in trainer.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} == {"encoder", "quant_conv"}


def test_what_is_made_worse_is_a_picture_still(trainer: RestorationTrainer) -> None:
    images = torch.rand(2, 3, 64, 64)
    indices = trainer.teacher.nearest(trainer.teacher.encode(images))
    kinds = set()
    for seed in range(12):
        torch.manual_seed(seed)
        worse = trainer._worsened(images, indices)
        assert worse.shape == images.shape
        assert 0 <= float(worse.min()) <= float(worse.max()) <= 1
        kinds.add(torch.equal(worse, images))
    assert kinds == {True, False}

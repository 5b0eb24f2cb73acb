from dataclasses import replace

import numpy as np
import pytest
import torch

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.starter.train.coarse_decoder import CoarseDecoderTrainer
from clipgen.starter.unclip.coarse_decoder import CoarseDecoder, build_coarse_decoder
from clipgen.training.loop import Plan

CONFIG = {"cells": 2, "kept": 3, "width": 16, "depth": 1, "heads": 2, "channels": 8}


@pytest.fixture
def decoder() -> CoarseDecoder:
    torch.manual_seed(0)
    return CoarseDecoder(CONFIG).eval().requires_grad_(False)


def test_what_a_cell_shows_decides_its_part_of_the_picture_most(decoder: CoarseDecoder) -> None:
    decoder.mean.fill_(3.0)
    features = torch.full((5, 12), 3.0)
    for cell in range(4):
        features[cell + 1, 3 * cell] += 2.0
    drawn = decoder(features)
    assert drawn.shape == (5, 3, 32, 32)
    changes = (drawn[1:] - drawn[:1]).abs().mean(1)
    quarters = changes.unflatten(1, (2, 16)).unflatten(3, (2, 16)).mean((2, 4)).flatten(1)
    assert quarters.argmax(1).tolist() == [0, 1, 2, 3]


def test_weights_of_another_kind_are_refused(decoder: CoarseDecoder) -> None:
    checkpoint = weights.Checkpoint("sketcher", CONFIG, decoder.state_dict())
    assert build_coarse_decoder(checkpoint).cells == 2
    with pytest.raises(ClipgenError, match="'clip' is no sketcher"):
        build_coarse_decoder(replace(checkpoint, kind="clip"))


@pytest.mark.slow
def test_training_learns_what_pictures_of_such_features_look_like() -> None:
    """Half of the pictures are black on the left and white on the right; their mirror images are not."""
    pictures = np.full((4, 64, 64, 3), 128, np.uint8)
    pictures[:2, :, :32], pictures[:2, :, 32:] = 0, 255
    features = torch.eye(3)[[0, 0, 2, 2, 1, 1, 2, 2]].repeat(1, 4)
    trainer = CoarseDecoderTrainer(Plan(steps=60, batch=8, rate=0.001), pictures, features, 2, torch.device("cpu"))
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=0.001)
    for step in range(60):
        optimiser.zero_grad()
        trainer.losses_at(step)["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    drawn = trainer.network(features[[0, 4]]).detach().mean(1)
    sides = torch.stack([drawn[..., :16].mean((1, 2)), drawn[..., 16:].mean((1, 2))], 1)
    torch.testing.assert_close(sides, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), atol=0.2, rtol=0)

"""CLIPs of any input size guide any backend, and several of different sizes guide together."""

import math
from dataclasses import replace
from typing import Any

import pretrained
import pytest
import torch
from fakes import fake_models, plan, with_generator
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.sequences import SEQUENCES
from clipgen.config.settings import PerceptorSettings
from clipgen.core.loop import Guide
from clipgen.engine.models import Models
from clipgen.engine.run import Run
from clipgen.generators import GENERATORS
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD

PATCHES = {224: 32, 256: 32, 288: 32, 336: 14, 378: 14, 384: 32, 448: 14}
"""Sides of the input of published CLIPs, in pixels, and the patches of vision transformers that take them."""


def clip_of(side: int, *, convolutional: bool = False) -> Guide:
    """A small CLIP with random weights that takes cutouts of this side."""
    config: dict[str, Any] = {"embed_dim": 32, "text_cfg": pretrained.TEXT, "mean": CLIP_MEAN, "std": CLIP_STD}
    vision = {"image_size": side, "layers": [1, 1, 1, 1], "width": 8}
    if not convolutional:
        vision = {"image_size": side, "layers": 1, "width": 64, "patch_size": PATCHES[side]}
    torch.manual_seed(side)
    perceptor = CLIPPerceptor({**config, "vision_cfg": vision}).eval().requires_grad_(False)
    return Guide(perceptor, PerceptorSettings(f"clip/random-{side}"))


def gradients(asked: Plan, *guides: Guide) -> list[Tensor]:
    """The gradients of the latents of the first step, which must be finite, as must its loss."""
    models = Models(fake_models(asked.backend).network, guides, torch.device("cpu"))
    asked = replace(asked, perceptors=tuple(guide.settings for guide in guides), readings=())
    run = Run([with_generator(asked, small_until=0.0)], models)
    [step] = run.find_gradients()
    assert math.isfinite(float(step.loss))
    found = [latent.grad for latent in run.loop.generator.parameters()]
    assert all(each is not None and bool(each.isfinite().all()) and bool(each.any()) for each in found)
    run.update()
    return [each for each in found if each is not None]


@pytest.mark.parametrize("side", PATCHES)
def test_a_vision_transformer_of_any_size_guides_pixels(side: int) -> None:
    gradients(plan(backend="pixels", cutouts=2), clip_of(side))


@pytest.mark.parametrize("side", [224, 288, 384, 448])
def test_a_resnet_of_any_size_guides_pixels(side: int) -> None:
    gradients(plan(backend="pixels", cutouts=2), clip_of(side, convolutional=True))


# Not sequences: they start at colours at the ends of the range, of whose gradient clamping keeps one sign only.
@pytest.mark.parametrize("backend", [name for name in GENERATORS if name not in SEQUENCES])
def test_clips_of_different_sizes_guide_together(backend: str) -> None:
    asked = plan(backend=backend, cutouts=2)
    small, large = clip_of(224), clip_of(336)
    both, one, other = (gradients(asked, *guides) for guides in ((small, large), (small,), (large,)))
    for mean, *parts in zip(both, one, other, strict=True):  # the losses of both are averaged
        torch.testing.assert_close(mean, (parts[0] + parts[1]) / 2, rtol=1e-3, atol=1e-6 * float(mean.abs().max()))

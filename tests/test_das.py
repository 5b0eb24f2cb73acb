"""Direct Ascent Synthesis, written again from its equations, agrees with the settings that stand for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import open_clip
import pretrained
import pytest
import references
import torch
import torch.nn.functional as F
from fakes import plan
from torch import Tensor, nn

from clipgen.config.levels import RESOLUTIONS, sizes_of
from clipgen.config.loss_settings import LossSettings
from clipgen.config.plan import Plan
from clipgen.config.schedules import Schedule
from clipgen.config.settings import GeneratorSettings, PerceptorSettings
from clipgen.core.cutouts import draw_parameters
from clipgen.core.loop import Guide
from clipgen.engine.models import Models
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.util.randomness import generator_for

VIT: dict[str, Any] = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
SIDE, VIEW, VIEWS, STEPS, LR = 48, 32, 6, 5, 0.3
WINDOW = 2 / 3
GUIDE = PerceptorSettings("clip/random", distance="cosine")


@dataclass(frozen=True)
class Ascent:
    """Fort and Whitaker, 2025, arXiv 2502.07753: an image is a sum of images of many resolutions, each of them SGD's.

    centres: (steps, n, 2) of the views in [-1, 1], x and y; noise: (steps, n, 3, VIEW, VIEW).
    """

    clip: open_clip.CLIP
    target: Tensor
    centres: Tensor
    noise: Tensor
    momentum: float = 0.9
    squash: Any = torch.tanh
    every: int = 4

    def run(self, start: Tensor) -> tuple[list[float], list[list[Tensor]], list[Tensor]]:
        """Return the loss and the gradients of each step, and the levels, finest first, after the last one."""
        sides = list(range(SIDE, 0, -self.every))
        levels = [torch.zeros(1, 3, side, side) for side in sides]
        levels[0].copy_(start)
        leaves = [level.requires_grad_() for level in levels]
        sgd = torch.optim.SGD(leaves, lr=LR, momentum=self.momentum)
        losses, gradients = [], []
        for centres, noise in zip(self.centres, self.noise, strict=True):
            sgd.zero_grad()
            loss = self._loss(leaves, centres, noise)
            loss.backward()
            losses.append(float(loss.detach()))
            gradients.append([leaf.grad.clone() for leaf in leaves if leaf.grad is not None])
            sgd.step()
        return losses, gradients, [leaf.detach() for leaf in leaves]

    def _loss(self, levels: Sequence[Tensor], centres: Tensor, noise: Tensor) -> Tensor:
        stack = sum(F.interpolate(level, (SIDE, SIDE), mode="bicubic") for level in levels)
        image = 0.5 * (1 + self.squash(stack))[0]
        views = torch.stack([self._view(image, centre) for centre in centres]) + noise
        mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
        seen = self.clip.encode_image((views - mean) / std)
        return 1 - (seen / seen.norm(dim=1, keepdim=True) @ self.target.T).mean()

    def _view(self, image: Tensor, centre: Tensor) -> Tensor:
        """Return a window (3, VIEW, VIEW) of WINDOW of the side around a centre."""
        across, down = (_rows(float(place)) for place in centre)
        return torch.einsum("yh,chw,xw->cyx", down, image, across)


def _rows(centre: float) -> Tensor:
    """Return the weights (VIEW, SIDE) of pixels along an axis: means of two samples, between two pixels each."""
    weights = torch.zeros(VIEW, SIDE)
    for pixel in range(VIEW):
        for sample in (0.25, 0.75):
            place = centre + WINDOW * (2 * (pixel + sample) / VIEW - 1)  # in [-1, 1]
            at = (place + 1) / 2 * SIDE - 0.5
            left = int(at // 1)
            for neighbour, weight in ((left, 1 - (at - left)), (left + 1, at - left)):
                weights[pixel, min(max(neighbour, 0), SIDE - 1)] += weight / 2
    return weights


def das(**settings: Any) -> Plan:
    asked = plan("a red cup", recipe="das", size=(SIDE, SIDE), steps=STEPS, lr=LR, cutouts=VIEWS)
    assert asked.losses == (LossSettings("prompt", Schedule.constant(1.0)),)
    generator = replace(asked.generator, **settings)
    return replace(asked, generator=generator, perceptors=(GUIDE,), judges=(), readings=())


@pytest.fixture(scope="module")
def clip() -> open_clip.CLIP:
    torch.manual_seed(0)
    return references.clip(VIT).requires_grad_(False)


def guided(clip: open_clip.CLIP) -> Models:
    perceptor = CLIPPerceptor({**VIT, "mean": MEAN, "std": STD})
    perceptor.clip.load_state_dict(clip.state_dict())
    perceptor.eval().requires_grad_(False)
    return Models(nn.Identity(), (Guide(perceptor.by(GUIDE.distance), GUIDE),), torch.device("cpu"))


def reference(clip: open_clip.CLIP, asked: Plan, **changes: Any) -> Ascent:
    """The reference with the draws of a plan."""
    tokens = open_clip.get_tokenizer("ViT-B-32")([prompt.text for prompt in asked.prompts])
    draws = [draw_parameters([asked.seed], step, VIEWS, asked.size, asked.augmentations) for step in range(STEPS)]
    centres = torch.stack([drawn.homographies[:, :2, 2] for drawn in draws])
    fields = [torch.randn(VIEWS, 3, VIEW, VIEW, generator=generator_for(asked.seed, k, "noise")) for k in range(STEPS)]
    return Ascent(clip, clip.encode_text(tokens, normalize=True), centres, 0.2 * torch.stack(fields), **changes)


def product(asked: Plan, models: Models) -> tuple[Tensor, list[float], list[list[Tensor]], list[Tensor]]:
    run = Run([asked], models)
    leaves = run.loop.generator.parameters()
    start = leaves[0].detach().clone()
    losses, gradients = [], []
    while run.done < run.total:
        [step] = run.find_gradients()
        losses.append(float(step.loss))
        gradients.append([leaf.grad.clone() for leaf in leaves if leaf.grad is not None])
        run.update()
    return start, losses, gradients, [leaf.detach() for leaf in leaves]


def apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The relative distance of two lists of tensors."""
    a, b = (torch.cat([each.flatten() for each in row]).double() for row in (ours, theirs))
    return float((a - b).norm() / b.norm())


def difference(clip: open_clip.CLIP, asked: Plan, **changes: Any) -> float:
    """The largest relative difference of losses, gradients and latents from the reference."""
    start, losses, gradients, latents = product(asked, guided(clip))
    their_losses, their_gradients, their_latents = reference(clip, asked, **changes).run(start)
    pairs = zip(losses, their_losses, strict=True)
    by_step = [apart(*pair) for pair in zip(gradients, their_gradients, strict=True)]
    return max(*(abs(a / b - 1) for a, b in pairs), *by_step, apart(latents, their_latents))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_losses_gradients_and_latents_are_those_of_the_equations(clip: open_clip.CLIP, momentum: float) -> None:
    asked = das(optimizer="momentum" if momentum else "sgd")
    assert difference(clip, asked, momentum=momentum) < 1e-5


@pytest.mark.parametrize("changes", [{"momentum": 0.89}, {"squash": torch.sin}, {"momentum": 0.0}])
def test_a_reference_of_something_else_differs(clip: open_clip.CLIP, changes: dict[str, Any]) -> None:
    assert difference(clip, das(), **changes) > 1e-4


def test_the_loss_falls(clip: open_clip.CLIP) -> None:
    _, losses, _, _ = product(replace(das(), steps=24, lr=0.05), guided(clip))
    assert sum(losses[-6:]) < sum(losses[:6])


def test_the_resolutions_are_those_of_their_names() -> None:
    assert RESOLUTIONS == ("halved", "every", "every-fourth", "powers")
    assert sizes_of(3, 5, "every") == [(3, 5), (2, 4), (2, 3), (1, 2), (1, 1)]
    assert sizes_of(224, 224, "every-fourth") == [(side, side) for side in range(224, 0, -4)]
    assert sizes_of(224, 224, "powers") == [(side, side) for side in (224, 128, 64, 32, 16, 8, 4, 2, 1)]
    assert sizes_of(64, 64, "powers") == [(side, side) for side in (64, 32, 16, 8, 4, 2, 1)]
    assert sizes_of(64, 64, "halved") == []


@pytest.mark.parametrize("resolutions", RESOLUTIONS)
@pytest.mark.parametrize("size", [(24, 40), (33, 17)])
def test_pixels_begin_at_an_image_whatever_the_resolutions(resolutions: str, size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, size[1], size[0], generator=torch.Generator().manual_seed(0)).clamp(0.05, 0.95)
    asked = replace(das(resolutions=resolutions, levels=3), size=size)
    run = Run([asked, replace(asked, seed=1)], guided(references.clip(VIT).requires_grad_(False)))
    run.loop.generator.start_from_images_(images)  # type: ignore[attr-defined]
    torch.testing.assert_close(run.loop.generator.decode(), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "settings", [{"weights": "vqgan/x", "tanh": True}, {"weights": "vqgan/x", "resolutions": "every"},
                 {"decorrelated": True, "tanh": True}, {"resolutions": "some"}],
)  # fmt: skip
def test_settings_that_are_not_for_pixels_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        GeneratorSettings(**{"weights": "", "stride": 1, "levels": 2, **settings})

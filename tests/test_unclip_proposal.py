"""What the unCLIP proposes for a run: where pictures start, what their loss adds, and how they are enlarged."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import FakePerceptor, FakeVQGAN
from torch import Tensor

from clipgen.config.prompts import parse_prompts
from clipgen.config.settings import UnclipSettings
from clipgen.core.contracts import Moment, Proposal
from clipgen.core.losses import prompt_loss
from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.networks import build_network
from clipgen.starter.unclip import proposal
from clipgen.starter.unclip.coarse_decoder import CoarseDecoder
from clipgen.starter.unclip.prior import Prior
from clipgen.starter.unclip.proposal import UnclipProposal, propose
from clipgen.starter.unclip.sampler import USUAL, Method, Start, Steer
from clipgen.starter.unclip.unclip import Unclip
from clipgen.util.images import resized
from clipgen.weights import Checkpoint
from clipgen.weights.loader import load as load_weights

SETTINGS = UnclipSettings(
    "a/prior", "a/coarse", "a/decoder", "a/upsampler", "a/vqgan", guidance_scale=2.0, candidates=2, text_weight=0.5
)
CPU = torch.device("cpu")


def filled(colours: Tensor) -> Tensor:
    """What two FakePerceptors see in pictures (B, 3), in [-1, 1], of one colour each: (B, 24)."""
    return (colours / 2).repeat(1, 8)


class Colours(Prior):
    """Draws two candidates: black, and the colour of the texts together."""

    def __init__(self) -> None:
        super().__init__({"cells": 4, "channels": [3, 3], "kept": 6, "text": 24, "width": 4, "depth": 1, "heads": 1})
        self.starts: list[Start | None] = []

    def sample(
        self,
        texts: Tensor,
        weights: Tensor,
        noise: Tensor,
        method: Method = USUAL,
        start: Start | None = None,
        steer: Steer | None = None,
    ) -> Tensor:
        assert noise.shape == (2, 24)
        assert torch.equal(texts[:, 1:], texts[:, :1] / 2)
        self.starts.append(start)
        colour = (weights @ texts[:, 0])[:3]
        return filled(torch.stack([-torch.ones(3), colour / colour.abs().max()]))

    def classifier_score(self, features: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
        """How much of the texts' colour there is."""
        return features[:, :3] @ (weights @ texts[:, 0])[:3]


class Plain(CoarseDecoder):
    """A picture of the colour of the features."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, features: Tensor) -> Tensor:
        return (features[:, :3] + 0.5).view(-1, 3, 1, 1).expand(-1, -1, 4, 4)


class Copies(Unclip):
    """Decodes coarse pictures as they are, and redraws others as their negatives."""

    def decode(self, features: Tensor, coarse: Tensor, *given: Any) -> Tensor:
        start = (*given, None)[4]
        return 1 - start.data if start else coarse

    def upsample(self, features: Tensor, decoded: Tensor, *_given: Any) -> Tensor:
        return decoded.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture
def unclip() -> Unclip:
    unused: Any = SimpleNamespace(shape=(3, 2, 2))
    autoencoder: Any = FakeVQGAN()
    return Copies(Colours(), Plain(), unused, unused, autoencoder)


def proposed(
    unclip: Unclip, *prompts: str, settings: UnclipSettings = SETTINGS, images: Tensor | None = None, **more: Any
) -> UnclipProposal:
    perceptors: Any = [FakePerceptor(), FakePerceptor()]
    rows = [parse_prompts(prompt) for prompt in prompts]
    return propose(unclip, settings, rows, range(len(rows)), perceptors, images, (32, 32), CPU, **more)


def test_it_is_a_proposal(unclip: Unclip) -> None:
    found: Proposal = proposed(unclip, "green")
    assert set(found.losses()) == {"unclip"}


def test_a_picture_starts_at_what_is_decoded_of_its_texts(unclip: Unclip) -> None:
    images = proposed(unclip, "green", "blue").images()
    assert {number: image.mean((1, 2)).round().tolist() for number, image in images.items()} == {
        0: [0, 1, 0],
        1: [0, 0, 1],
    }


def test_of_all_texts_one_picture_is_drawn_and_those_that_push_are_negated(unclip: Unclip) -> None:
    """Of 3/4 green and 1/4 blue, and of green less blue."""
    mixed, negated = proposed(unclip, "green:3|blue:1", "green|blue:-1").images().values()
    red, green, blue = mixed.mean((1, 2)).tolist()
    assert green > blue > red
    assert negated.mean((1, 2))[2] < blue
    assert len(unclip.prior.starts) == 2  # type: ignore[arg-type]


def test_texts_that_only_push_have_no_proposal(unclip: Unclip) -> None:
    found = proposed(unclip, "green:-1", "red")
    assert set(found.images()) == {1}
    weights = torch.tensor([[-1.0], [1.0]])
    assert found.target_weights(weights).tolist() == [[-1.0], [0.5]]
    assert found.loss.weights.tolist() == [[0.0], [1.0]]
    images = torch.rand(2, 3, 16, 16)
    found = proposed(unclip, "green:-1", "red", settings=replace(SETTINGS, img2img_noise=0.5))
    torch.testing.assert_close(found.enlarge(images, (32, 32))[0], resized(images, (32, 32))[0])


def test_a_text_of_weight_zero_is_left_out(unclip: Unclip) -> None:
    one, other = (proposed(unclip, prompt) for prompt in ("green", "green|blue:0"))
    assert torch.equal(one.loss.features, other.loss.features)


def test_with_init_images_nothing_is_decoded_and_the_features_keep_to_them(unclip: Unclip) -> None:
    blue = torch.zeros(1, 3, 32, 48)
    blue[:, 2] = 1.0
    proposed(unclip, "green")
    found = proposed(unclip, "green", images=blue, settings=replace(SETTINGS, init_noise=3.0))
    assert not found.images()
    assert found.loss.weights.tolist() == [[1.0]]
    nowhere, start = unclip.prior.starts  # type: ignore[misc]
    assert nowhere is None
    assert start.sigma == 3.0  # type: ignore[has-type]
    torch.testing.assert_close(start.data, filled(torch.tensor([[-1.0, -1.0, 1.0]]))[0])  # type: ignore[has-type]


def moment(images: Tensor, rows: slice) -> Moment:
    """Three cutouts of each of images (b, 3, 16, 16), the same as the images but ever darker."""
    cutouts = torch.stack([images, images / 2, images / 4], 1)
    maps = FakePerceptor().encode_with_maps(cutouts.flatten(0, 1))[1].unflatten(0, cutouts.shape[:2])
    generator: Any = None
    return Moment(0.5, rows, images, {}, {1: maps.clone(), 0: maps}, generator)


def test_the_loss_is_the_distance_of_each_cutout_from_the_features_of_its_picture(unclip: Unclip) -> None:
    found = proposed(unclip, "green", "blue:3|red:-1", "red:2")
    images = torch.rand(2, 3, 16, 16)
    loss = found.losses()["unclip"](moment(images, slice(1, 3)))
    assert loss.shape == (2,)
    for number, weights in ((1, [3.0, 0.0]), (2, [2.0, 0.0])):
        alone = moment(images[number - 1 : number], slice(0, 1))
        seen = unclip.prior.shorten([alone.maps[0][0], alone.maps[1][0]])
        distances = unclip.prior.distance(seen[None], found.loss.features[number, None])[0]
        expected = prompt_loss(
            distances[None, :, None].expand(-1, -1, 2), torch.tensor([weights]), torch.full((1, 2), -torch.inf)
        )
        torch.testing.assert_close(loss[number - 1 : number], expected)


def test_the_loss_leads_to_the_features_but_not_past_a_stop(unclip: Unclip) -> None:
    images = torch.rand(1, 3, 16, 16)
    slopes = []
    for prompt in ("green", "green:1:100"):
        images = images.detach().requires_grad_()
        loss = proposed(unclip, prompt).losses()["unclip"](moment(images, slice(0, 1)))
        slopes.append(torch.autograd.grad(loss.sum(), images)[0])
    assert (slopes[0][:, 1] < 0).all()  # greener
    assert (slopes[0][:, ::2] > 0).all()
    assert (slopes[1] == 0).all()


def test_perceptors_are_taken_in_the_order_of_their_numbers(unclip: Unclip) -> None:
    """The prior is made to ignore the second."""
    found, plain = proposed(unclip, "green"), moment(torch.rand(1, 3, 16, 16), slice(0, 1))
    unclip.prior.basis[3:] = 0
    other = {0: plain.maps[0], 1: plain.maps[1] + 0.3}
    losses = [found.loss(replace(plain, maps=dict(order))) for order in (other.items(), reversed(other.items()))]
    assert torch.equal(*losses)
    assert not torch.allclose(losses[0], found.loss(replace(plain, maps={0: other[1], 1: other[0]})))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_pictures_are_drawn_anew_when_they_are_enlarged(unclip: Unclip, noise: float) -> None:
    found = proposed(unclip, "green", "blue", settings=replace(SETTINGS, img2img_noise=noise))
    images = torch.tensor([0.1, 0.7]).view(2, 1, 1, 1).expand(2, 3, 16, 16)
    large = found.enlarge(images, (48, 32))
    assert large.shape == (2, 3, 32, 48)
    torch.testing.assert_close(large.mean((1, 2, 3)), torch.tensor([0.9, 0.3] if noise else [0.1, 0.7]))


def test_enlarging_to_the_same_size_leaves_the_images_as_they_are(unclip: Unclip) -> None:
    images = torch.full((1, 3, 32, 32), 0.25)
    proposed(unclip, "green", settings=replace(SETTINGS, img2img_noise=0.5)).enlarge(images, (32, 32))
    assert (images == 0.25).all()


def test_it_can_be_stopped_before_each_stage(unclip: Unclip) -> None:
    stages: list[str] = []

    def stop(name: str) -> None:
        stages.append(name)
        if len(stages) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        proposed(unclip, "green", "blue", on_stage=stop)
    assert stages[0] == stages[3] == "proposing 2 candidates"
    assert len(unclip.prior.starts) == 1  # type: ignore[arg-type]


STARTER = UnclipSettings(
    "starter/feature-prior", "starter/sketcher", "starter/painter", "starter/upsampler", "starter/vqgan"
)


def test_the_networks_are_those_that_the_settings_name() -> None:
    asked: list[str] = []
    readied: list[Any] = []

    def load_network(name: str) -> Checkpoint:
        asked.append(name)
        return load_weights(name)

    def ready(network: Any) -> Any:
        readied.append(network)
        return network

    own = build_network(load_weights("starter/vqgan"))
    shared = proposal.load(STARTER, load_network, ready, own)
    assert asked == list(STARTER.networks[:-1])
    assert readied == [shared.prior, shared.coarse_decoder, shared.decoder, shared.upsampler]
    assert shared.autoencoder is own
    assert shared.upsampler.shape[1] == 2 * shared.decoder.shape[1]
    asked.clear()
    built = proposal.load(STARTER, load_network, ready)
    assert sorted(asked) == sorted(STARTER.networks)
    assert built.autoencoder in readied
    with pytest.raises(ClipgenError, match="'painter' is no feature prior"):
        proposal.load(replace(STARTER, prior="starter/painter"), load_network, ready, own)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({"prior": "starter/clip"}, "'clip' is no feature prior"),
        ({"autoencoder": "starter/dvae"}, "must be a VQGAN, and starter/dvae is none"),
        ({"decoder": "starter/upsampler"}, "do not fit each other"),
        ({"upsampler": "starter/painter"}, "do not fit each other"),
    ],
)
def test_networks_of_another_kind_or_that_do_not_fit_are_refused(networks: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        proposal.load(replace(STARTER, **networks), load_weights, lambda network: network)


def test_perceptors_that_the_networks_have_not_learned_from_are_refused(unclip: Unclip) -> None:
    one: Any = [FakePerceptor()]
    with pytest.raises(UsageError, match="not those that its unCLIP has learned from"):
        propose(unclip, SETTINGS, [parse_prompts("red")], [0], one, None, (32, 32), CPU)

"""A classifier as a perceptor: what it makes of texts and of pictures, and how well these match."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from clipgen.config.classes import things_in
from clipgen.config.prompts import NO_STOP
from clipgen.core.losses import prompt_loss, prompt_score
from clipgen.errors import UsageError
from clipgen.perceptors.classifier import (
    CLASSES,
    LOGIT_WEIGHT,
    MAX_THINGS,
    TEMPERATURE,
    ClassifierPerceptor,
    build_classifier,
    folded,
)
from clipgen.perceptors.timm_classifier import classifier_network
from clipgen.weights import Checkpoint

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]
GOLDFISH, TENCH = 1, 0
MANY = "goldfish, tench, zebra, banana, lemon, volcano, pizza, castle"


class Channels(nn.Module):
    """Logits that are the mean of each channel for the first three classes, many times over, and 0 for the others."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        others = images.new_zeros(len(images), CLASSES - 3)
        return torch.cat([self.scale * images.mean((2, 3)), others], 1)


def perceptor(scale: float = 1.0) -> ClassifierPerceptor:
    return ClassifierPerceptor(Channels(scale), 8, MEAN, STD)


def logits(**values: float) -> Tensor:
    """Logits (1, 1, C) of one cutout, 0 where nothing is said: `c3=2.0` for class 3."""
    made = torch.zeros(1, 1, CLASSES)
    for name, value in values.items():
        made[0, 0, int(name[1:])] = value
    return made


def targets(*texts: str) -> Tensor:
    """(1, K, C)."""
    return perceptor().encode_texts(texts)[None]


def total(seen: Tensor) -> float:
    return math.log(float(seen.double().exp().sum()))


def test_a_text_is_the_classes_of_its_things_numbered_in_order() -> None:
    goldfish, both = perceptor().encode_texts(["a goldfish", "a tench beside a goldfish"])
    assert goldfish.shape == (CLASSES,)
    assert goldfish.nonzero().tolist() == [[GOLDFISH]]
    assert (float(goldfish[GOLDFISH]), float(both[TENCH]), float(both[GOLDFISH])) == (1.0, 1.0, 2.0)
    assert both.count_nonzero() == 2


def test_all_classes_of_a_group_have_its_number() -> None:
    [thing] = things_in("a cat")
    assert len(thing.classes) > 1
    labels = perceptor().encode_texts(["a goldfish and a cat"])[0]
    assert labels[list(thing.classes)].tolist() == [1.0] * len(thing.classes)  # the widest first
    assert labels.count_nonzero() == 1 + len(thing.classes)


@pytest.mark.parametrize("text", ["a poodle and a dog", "a dog and a poodle"])
def test_a_thing_inside_a_group_that_is_named_too_keeps_its_classes(text: str) -> None:
    labels = perceptor().encode_texts([text])[0]
    assert sorted(labels.unique().tolist()) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("text", ["a bored bystander", "", "in the style of a goldfish"])
def test_a_text_that_names_no_thing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="knows no thing in"):
        perceptor().encode_texts(["a goldfish", text])


def test_a_text_can_name_eight_things_and_no_more() -> None:
    assert len(things_in(MANY)) == MAX_THINGS == 8
    assert float(perceptor().encode_texts([MANY]).max()) == MAX_THINGS
    with pytest.raises(UsageError, match="names 9 things; a classifier looks for up to 8"):
        perceptor().encode_texts([f"{MANY}, orange juice and a strawberry"])


def test_images_are_normalised_and_seen_as_logits() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = perceptor(5.0).encode_images(images)
    expected = 5 * (images.mean((2, 3)) - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(seen[:, :3], expected)
    assert not seen[:, 3:].any()


def test_whole_pictures_of_any_shape_become_cutouts() -> None:
    assert perceptor().whole(torch.rand(2, 3, 30, 11)).shape == (2, 3, 8, 8)


def test_the_distance_is_the_cross_entropy_less_a_little_of_the_logit() -> None:
    seen = logits(c0=1.0, c1=3.0, c7=-2.0)
    distance = perceptor().distances(seen, targets("a goldfish"))
    assert distance.shape == (1, 1, 1)
    at_temperature = TEMPERATURE * (total(seen / TEMPERATURE) - 3.0 / TEMPERATURE)
    assert float(distance) == pytest.approx(at_temperature - LOGIT_WEIGHT * 3.0, rel=1e-5)
    assert (TEMPERATURE, LOGIT_WEIGHT) == (3.0, 0.05)


def test_the_similarity_is_the_probability() -> None:
    seen = logits(c0=1.0, c1=3.0, c7=-2.0)
    found = perceptor().similarities(seen, targets("a goldfish", "a tench"))
    torch.testing.assert_close(found[0, 0], seen.softmax(2)[0, 0, [GOLDFISH, TENCH]])


def test_several_things_count_alike() -> None:
    seen = logits(c0=1.0, c1=3.0)
    one, other, both = perceptor().distances(seen, targets("a tench", "a goldfish", "a tench and a goldfish"))[0, 0]
    assert float(both) == pytest.approx(float(one + other) / 2, rel=1e-5)
    one, other, both = perceptor().similarities(seen, targets("a tench", "a goldfish", "a tench and a goldfish"))[0, 0]
    assert float(both) == pytest.approx(float(one + other) / 2, rel=1e-5)


def test_the_probability_of_a_group_is_the_sum_of_its_classes() -> None:
    [thing] = things_in("a cat")
    first, second, *_ = thing.classes
    seen = logits(**{f"c{first}": 4.0, f"c{second}": 5.0})
    probability = float(seen.softmax(2)[0, 0, list(thing.classes)].sum())
    assert float(perceptor().similarities(seen, targets("a cat"))) == pytest.approx(probability, rel=1e-5)
    group = math.log(math.exp(4 / TEMPERATURE) + math.exp(5 / TEMPERATURE) + len(thing.classes) - 2)
    expected = TEMPERATURE * (total(seen / TEMPERATURE) - group - LOGIT_WEIGHT * group)
    assert float(perceptor().distances(seen, targets("a cat"))) == pytest.approx(expected, rel=1e-4)


def test_each_picture_has_its_own_cutouts_and_targets() -> None:
    seen = torch.randn(2, 5, CLASSES, generator=torch.Generator().manual_seed(0))
    wanted = torch.cat([targets("a goldfish", "a zebra"), targets("a cat", "a tench and a dog")])
    for method in (perceptor().distances, perceptor().similarities):
        together = method(seen, wanted)
        assert together.shape == (2, 5, 2)
        for b in range(2):
            for n in range(5):
                for k in range(2):
                    alone = method(seen[b : b + 1, n : n + 1], wanted[b : b + 1, k : k + 1])
                    torch.testing.assert_close(together[b, n, k], alone[0, 0, 0])


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_padding_gives_finite_values_and_no_gradient(size: float) -> None:
    seen = (size * torch.randn(1, 2, CLASSES, generator=torch.Generator().manual_seed(0))).requires_grad_()
    padded = torch.cat([targets("a goldfish"), torch.zeros(1, 1, CLASSES)], 1)
    distances, similarities = (method(seen, padded) for method in (perceptor().distances, perceptor().similarities))
    assert distances[..., 1].tolist() == similarities[..., 1].tolist() == [[0.0, 0.0]]
    (distances[..., 1] + similarities[..., 1]).sum().backward(retain_graph=True)
    assert seen.grad is not None
    assert not seen.grad.any()
    weights, stops = torch.tensor([[1.0, 0.0]]), torch.full((1, 2), NO_STOP)
    loss = prompt_loss(distances, weights, stops)
    alone = prompt_loss(perceptor().distances(seen, targets("a goldfish")), weights[:, :1], stops[:, :1])
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert seen.grad.isfinite().all()
    assert seen.grad.any()
    assert prompt_score(similarities, weights).isfinite().all()


def gradient_of(channels: Sequence[float], text: str, scale: float) -> Tensor:
    images = torch.tensor(channels).view(1, 3, 1, 1).repeat(1, 1, 8, 8).requires_grad_()
    certain = perceptor(scale)
    certain.distances(certain.encode_images(images)[None], targets(text)).sum().backward()
    assert images.grad is not None
    return images.grad


@pytest.mark.parametrize("text", ["a goldfish", "a tench", "a zebra", "a tench and a zebra", "a cat"])
def test_a_classifier_that_is_certain_still_has_a_finite_gradient(text: str) -> None:
    assert gradient_of([1.0, 0.0, 0.0], text, 1000.0).isfinite().all()


def test_what_it_is_certain_of_still_pulls_a_little() -> None:
    gradient = gradient_of([1.0, 0.0, 0.0], "a tench", 1000.0)
    assert (gradient[:, 0] < 0).all()
    assert not gradient[:, 1:].any()
    assert gradient[:, 0].sum() == pytest.approx(-LOGIT_WEIGHT * 1000 / STD[0], rel=1e-4)


# Folding batch norms into convolutions.

LITE0 = {"model": "tf_efficientnet_lite0", "size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}


def shaken(network: nn.Module) -> nn.Module:
    """The network in use, with statistics and weights of its batch norms that change something."""
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1, generator=numbers)
                module.running_var.uniform_(0.5, 1.5, generator=numbers)
                module.weight.uniform_(0.5, 1.5, generator=numbers)
                module.bias.normal_(0, 0.1, generator=numbers)
    return network.eval().requires_grad_(False)


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_folded_network_answers_as_the_original_does() -> None:
    torch.manual_seed(0)
    network = shaken(classifier_network(LITE0))
    before = norms(network)
    quick = folded(network, 64)
    assert quick is not network
    assert norms(quick) == 0 < before == norms(network)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    wanted = network(images)
    assert wanted.std() > 1e-4
    torch.testing.assert_close(quick(images), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    assert not any(parameter.requires_grad for parameter in quick.parameters())


class OutOfOrder(nn.Module):
    """Lists a batch norm after a convolution, and applies it before that."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        seen: Tensor = self.convolution(self.norm(images)).mean((2, 3))
        return seen


class OfOtherWidths(OutOfOrder):
    """Likewise, and the two do not even have the same number of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3)


@pytest.mark.parametrize("kind", [OutOfOrder, OfOtherWidths])
def test_a_network_that_cannot_be_folded_stays_as_it_is(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = shaken(kind())
    images = torch.randn(1, 3, 16, 16)
    before = network(images)
    assert folded(network, 16) is network
    assert norms(network) == 1
    assert torch.equal(network(images), before)


def test_a_checkpoint_becomes_a_perceptor_that_sees_what_its_network_does() -> None:
    torch.manual_seed(0)
    network = shaken(classifier_network(LITE0))
    made = build_classifier(Checkpoint("classifier", LITE0, network.state_dict(), {}))
    assert made.size == 64
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    wanted = network((images - 0.5) / 0.5)
    torch.testing.assert_close(made.encode_images(images), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_a_checkpoint_of_another_kind_is_no_classifier() -> None:
    with pytest.raises(UsageError, match="a checkpoint of kind 'clip' is not a classifier"):
        build_classifier(Checkpoint("clip", {}, {}, {}))

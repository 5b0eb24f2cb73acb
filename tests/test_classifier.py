"""A classifier as a perceptor: what it makes of texts and of pictures."""

import pytest
import torch
from torch import Tensor, nn

from clipgen.errors import UsageError
from clipgen.perceptors.classifier import ClassifierPerceptor


class Channels(nn.Module):
    """Logits that are the mean of each channel, many times over."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.mean((2, 3))


def perceptor(scale: float = 1.0) -> ClassifierPerceptor:
    return ClassifierPerceptor(Channels(scale), ["Red", "green", "royal blue"], 8, [0.5, 0.4, 0.3], [0.2, 0.2, 0.1])


def test_texts_and_images_are_unit_vectors_over_the_classes() -> None:
    texts = perceptor().encode_texts(["a red house", "Red and ROYAL BLUE"])
    torch.testing.assert_close(texts, torch.tensor([[1.0, 0, 0], [0.5**0.5, 0, 0.5**0.5]]))
    images = perceptor(5.0).encode_images(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(4))


def test_the_cosine_with_a_class_is_the_root_of_its_probability() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ([0.5, 0.4, 0.3], [0.2, 0.2, 0.1]))
    probabilities = Channels()((images - mean) / std).softmax(1)
    cosines = perceptor().encode_images(images) @ perceptor().encode_texts(["green"])[0]
    torch.testing.assert_close(cosines.square(), probabilities[:, 1])


def test_a_class_is_a_whole_word_and_a_text_without_one_is_refused() -> None:
    with pytest.raises(UsageError, match="one of green, red, royal blue"):
        perceptor().encode_texts(["a bored blue bird"])


def test_a_classifier_that_is_certain_still_has_a_finite_gradient() -> None:
    images = torch.zeros(1, 3, 8, 8)
    images[:, 0] = 1.0
    images.requires_grad_()
    certain = perceptor(1000.0)
    (certain.encode_images(images) @ certain.encode_texts(["green"])[0]).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()

"""A classifier as a perceptor: it sees in a picture the things whose names it knows."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn

from clipgen.config.readings import MAX_THINGS, check_things
from clipgen.config.spelling import classes_spelled
from clipgen.errors import UsageError
from clipgen.perceptors.inputs import as_cutouts
from clipgen.perceptors.timm_classifier import classifier_network
from clipgen.util.images import as_tensor
from clipgen.util.text import quoted
from clipgen.weights import Checkpoint
from clipgen.weights.timm_models import CLASSES

TEMPERATURE = 3.0
"""Of the softmax whose cross entropy guides: at 1 a classifier is certain after a few steps, and then says no more."""
LOGIT_WEIGHT = 0.05
"""Weight of the logit itself beside the cross entropy."""


class ClassifierPerceptor(nn.Module):
    """A frozen classifier of the 1,000 classes of ImageNet.

    network: maps normalised images (N, 3, size, size) to logits (N, C). mean, std: of the normalisation, per channel.
    A thing is a class or a group of classes, as "a cat" is any of five. Its probability is the sum of theirs.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        return self.network

    def scaled(self, scale: float) -> ClassifierPerceptor:
        """Return a perceptor with the same network that takes cutouts of `scale` times the side."""
        mean, std = (values.flatten().tolist() for values in (self.mean, self.std))
        return type(self)(self.network, round(self.size * scale), mean, std)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (N, C): k + 1 for the classes of the k-th thing that a text names, and 0 for all other classes.

        Raises UsageError for a text that names no class.
        """
        return torch.stack([_labels(text) for text in texts]).to(self.mean.device)

    takes_images = False
    """A target says which classes are to be seen, so that no image can be one."""

    def encode_images(self, cutouts: Tensor) -> Tensor:
        """Return the logits (N, C) of cutouts (N, 3, size, size), RGB in [0, 1]."""
        normalised = ((cutouts - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(normalised)
        return logits

    def distances(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return (b, n, K): the cross entropy, less a little of the logit, averaged over the things of each target.

        seen: logits (b, n, C). targets: (b, K, C), as `encode_texts` returns them.
        """
        seen = seen / TEMPERATURE
        logits, named = self._of_things(seen, targets)
        cross_entropy = seen.logsumexp(2)[:, :, None, None] - logits
        return TEMPERATURE * _mean(cross_entropy - LOGIT_WEIGHT * logits, named)

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return (b, n, K): the probability of the things of each target, averaged over these."""
        logits, named = self._of_things(seen, targets)
        return _mean((logits - seen.logsumexp(2)[:, :, None, None]).exp(), named)

    def whole(self, images: Tensor) -> Tensor:
        """Resize whole images (N, 3, H, W), of any aspect ratio, to cutouts (N, 3, size, size)."""
        return as_cutouts(images, self.size)

    def prepared(self, picture: Image.Image) -> Tensor:
        """Resize a whole picture to a cutout (3, size, size), RGB in [0, 1]."""
        return self.whole(as_tensor(picture.convert("RGB")))[0]

    @staticmethod
    def _of_things(seen: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (b, n, K, T) of each thing, 0 where a target names fewer, and which are named (b, K, T)."""
        numbers = torch.arange(1, MAX_THINGS + 1, device=targets.device)
        members = targets[:, :, None] == numbers[:, None]  # (b, K, T, C)
        named = members.any(3)
        hidden = ~members & named[..., None]  # nothing is hidden of a thing that is not there: its value is not used
        logits = seen[:, :, None, None].masked_fill(hidden[:, None], -torch.inf).logsumexp(4)
        return torch.where(named[:, None], logits, 0), named


def _labels(text: str) -> Tensor:
    groups = classes_spelled(text)
    if not groups:
        raise UsageError(f"the classifier knows no thing in {quoted(text)}")
    check_things(text, len(groups))
    labels = torch.zeros(CLASSES)
    for number, classes in enumerate(sorted(groups, key=len, reverse=True), start=1):
        labels[list(classes)] = number  # the widest first, so that a poodle is not lost in a dog
    return labels


def _mean(values: Tensor, named: Tensor) -> Tensor:
    """Return the mean (b, n, K) of values (b, n, K, T) over the things that are named (b, K, T); 0 if there is none."""
    named = named[:, None]
    return (values * named).sum(3) / named.sum(3).clamp_min(1)


def build_classifier(checkpoint: Checkpoint) -> ClassifierPerceptor:
    """Build a perceptor with the weights of a checkpoint. Raises UsageError if the checkpoint is no classifier."""
    if checkpoint.kind != "classifier":
        raise UsageError(f"a checkpoint of kind '{checkpoint.kind}' is not a classifier")
    config = checkpoint.config
    network = classifier_network(config)
    network.load_state_dict(checkpoint.tensors)
    ready = folded(network.eval().requires_grad_(False), config["size"]).to(memory_format=torch.channels_last)
    return ClassifierPerceptor(ready, config["size"], config["mean"], config["std"])


@torch.no_grad()
def folded(network: nn.Module, size: int) -> nn.Module:
    """Return a frozen network with each batch norm folded into the convolution before it, which is faster.

    Where the modules of an architecture are not called in the order in which they are listed, this would be wrong, so
    both are compared on noise, and the network itself is returned if they differ.
    """
    quick = copy.deepcopy(network)
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        _fold_(quick)
        same = torch.allclose(quick(noise), network(noise), rtol=1e-3, atol=1e-3)
    except (RuntimeError, TypeError):
        return network
    return quick if same else network


def _fold_(network: nn.Module) -> None:
    """Fold in place; in timm's networks the activation is part of the batch norm, and stays."""
    children = list(network.named_children())
    for (_, before), (name, norm) in itertools.pairwise(children):
        if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            mean = cast(Tensor, norm.running_mean)
            before.weight, before.bias = nn.utils.fuse_conv_bn_weights(
                before.weight, before.bias, mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            setattr(network, name, getattr(norm, "act", nn.Identity()))
    for _, child in children:
        _fold_(child)

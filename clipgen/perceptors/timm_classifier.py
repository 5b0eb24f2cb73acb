"""Classifiers of timm, as networks to be filled with weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from clipgen.errors import ClipgenError
from clipgen.perceptors.inputs import check_normalisation
from clipgen.util.text import quoted
from clipgen.weights.timm_models import CLASSES, check_timm_model

MIN_SIZE, MAX_SIZE = 16, 1024
"""Sides of the input in pixels."""
MAX_CLASSES = 100_000


def classifier_network(config: dict[str, Any]) -> nn.Module:
    """Build an untrained classifier: normalised images (N, 3, size, size) in, logits (N, classes) out.

    config: `model`, timm's name of the architecture; `size`, `mean` and `std` of the input; optionally the number of
    `classes`, 1000 without it. Downloads nothing. Raises UsageError with the nearest names if timm has no such model,
    ClipgenError if the config is not that of a usable classifier.
    """
    import timm

    check_timm_model(config["model"])
    check_input(config)
    classes = config.get("classes", CLASSES)
    if not _is_whole(classes, 1, MAX_CLASSES):
        raise ClipgenError(f"a classifier must have 1 to {MAX_CLASSES} classes, got {quoted(classes)}")
    network: nn.Module = timm.create_model(config["model"], pretrained=False, num_classes=classes)
    return network


def check_input(config: dict[str, Any]) -> None:
    """Raise ClipgenError unless `size` is a side in pixels, and `mean` and `std` are three finite numbers each.

    The std must be above 0.
    """
    size, mean, std = config["size"], config["mean"], config["std"]
    if not _is_whole(size, MIN_SIZE, MAX_SIZE):
        raise ClipgenError(f"a classifier's size must be {MIN_SIZE} to {MAX_SIZE} pixels, got {quoted(size)}")
    check_normalisation("a classifier", mean, std)


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

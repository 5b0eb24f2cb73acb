"""The early features of a classifier of photographs, by which styles are compared: strokes, textures, patterns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from clipgen.config.targets import STYLE, TARGET_KINDS
from clipgen.perceptors.classifier import build_classifier
from clipgen.weights.loader import load

STAGES = 4
"""Blocks whose outputs are used: up to a sixteenth of the side. Later ones know things, not styles."""


class StyleFeatures(nn.Module):
    """The features of a frozen network before the stages in which it knows things."""

    mean: Tensor
    std: Tensor

    def __init__(self, stem: nn.Module, stages: nn.ModuleList, mean: Tensor, std: Tensor) -> None:
        """mean, std: (1, 3, 1, 1), of the normalisation."""
        super().__init__()
        self.stem, self.stages = stem, stages
        self.register_buffer("mean", mean.clone(), persistent=False)
        self.register_buffer("std", std.clone(), persistent=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the features (B, C, h, w) after each stage, finest first, of images (B, 3, H, W) in [0, 1]."""
        seen = self.stem((images - self.mean) / self.std)
        found: list[Tensor] = []
        for stage in self.stages:
            seen = stage(seen)
            found.append(seen)
        return found


def load_style_features(device: torch.device | str = "cpu") -> StyleFeatures:
    """Load the features. Raises WeightsMissingError, with what to do, if the package is not installed."""
    perceptor = build_classifier(load(TARGET_KINDS[STYLE].network))
    network: Any = perceptor.network
    stem = nn.Sequential(network.conv_stem, network.bn1)
    found = StyleFeatures(stem, nn.ModuleList(list(network.blocks)[:STAGES]), perceptor.mean, perceptor.std)
    return found.eval().requires_grad_(False).to(device)

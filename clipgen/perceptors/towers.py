"""Image towers of small CLIPs, as timm models that open_clip can name in a config.

timm's own small networks shrink a picture 32 times, to 2x2 cells at 64 pixels, mostly by strided convolutions. These
shrink it by max pooling, after ResNet-9 (Page, "How to train your ResNet", 2018), and learn from far fewer pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models import is_model, register_model
from torch import Tensor, nn

BLOCK = 2  # pixels a side that the first convolution sees as channels


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, width: int):
        super().__init__()
        self.path = nn.Sequential(_convolution(width, width), _convolution(width, width))

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        joined: Tensor = features + self.path(features)
        return joined


class ConvTower(nn.Module):
    """Stages of a convolution, max pooling and, where asked for, a residual block; then global pooling.

    stages: width of each, and whether it has a residual block. It has of timm's interface what open_clip needs.
    """

    def __init__(self, stem: int, stages: Sequence[tuple[int, bool]]):
        super().__init__()
        self.default_cfg = {"pool_size": (4, 4)}
        self.num_features = stages[-1][0]
        self.global_pool = "avg"
        self.stem = nn.Sequential(nn.PixelUnshuffle(BLOCK), _convolution(3 * BLOCK**2, stem))
        widths = [stem, *(width for width, _ in stages)]
        self.stages = nn.Sequential(
            *(
                nn.Sequential(_convolution(before, width), nn.MaxPool2d(2), Residual(width) if deep else nn.Identity())
                for before, (width, deep) in zip(widths, stages, strict=False)
            )
        )

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        """Choose the pooling: "avg", "max", or the mean of both, "avgmax"; there is never a classifier."""
        if num_classes or global_pool not in ("avg", "max", "avgmax"):
            raise ValueError(f"no classifier of {num_classes} classes behind '{global_pool}' pooling here")
        self.global_pool = global_pool

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, num_features)."""
        features = self.stages(self.stem(pictures))
        mean, peak = features.mean((2, 3)), features.amax((2, 3))
        pooled: Tensor = {"avg": mean, "max": peak, "avgmax": (mean + peak) / 2}[self.global_pool]
        return pooled


def clipgen_conv7(pretrained: bool = False, **_options: Any) -> ConvTower:
    """Build the tower of the starter set's guide: three residual stages."""
    return _untrained(ConvTower(32, [(64, True), (128, True), (256, True)]), pretrained)


def clipgen_resnet9(pretrained: bool = False, **_options: Any) -> ConvTower:
    """Build the tower of the starter set's judge: wider early, residual blocks in the first and the last stage only."""
    return _untrained(ConvTower(48, [(96, True), (192, False), (256, True)]), pretrained)


def clipgen_conv12(pretrained: bool = False, **_options: Any) -> ConvTower:
    """Build the tower for pictures of 128 pixels: four residual stages."""
    return _untrained(ConvTower(64, [(96, True), (192, True), (384, True), (384, True)]), pretrained)


def _untrained(tower: ConvTower, pretrained: bool) -> ConvTower:
    if pretrained:
        raise ValueError("the weights of this tower come with a checkpoint, not from timm")
    return tower


def register_towers() -> None:
    """Let configs name the towers in open_clip's `timm_model_name`; doing so again changes nothing."""
    for build in (clipgen_conv7, clipgen_resnet9, clipgen_conv12):
        if not is_model(build.__name__):
            register_model(build)

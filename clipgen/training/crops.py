"""What the autoencoders learn from: crops of large pictures, and how far a reconstruction is from one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss, normalize

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.perceptors.style import StyleFeatures

Draw = Callable[[int, int, int], Tensor]
"""(count, seed, step) -> pictures (count, 3, H, W) in [0, 1], which depend on nothing else."""

CROP = 128
FEATURE_STAGES = ("stages.0", "stages.1")  # of the guide's image tower: strides 4 and 8
STYLE_STAGES = 3  # of a classifier's features: strides 2, 4 and 8

Distance = Callable[[Tensor, Tensor], Tensor]
"""How far pictures (N, 3, H, W) in [0, 1] look from others."""


def as_batch(pictures: np.ndarray) -> Tensor:
    """Return pictures (N, H, W, 3) uint8 as (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255


def crops(pictures: np.ndarray, count: int, seed: int, step: int) -> Tensor:
    """Return random crops (count, 3, CROP, CROP) in [0, 1], half of them mirrored, some of them whole pictures."""
    rng = np.random.default_rng([seed, step])
    room = pictures.shape[1] - CROP
    cut: list[Tensor] = []
    for index in rng.integers(0, len(pictures), count):
        top, left = rng.integers(0, room + 1, 2)
        whole = rng.random() < 0.15
        part = pictures[index] if whole else pictures[index, top : top + CROP, left : left + CROP]
        pixels = torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255
        if whole:
            pixels = interpolate(pixels[None], size=(CROP, CROP), mode="bilinear", antialias=True)[0]
        cut.append(pixels.flip(-1) if rng.random() < 0.5 else pixels)
    return torch.stack(cut).contiguous(memory_format=torch.channels_last)


def shifted(pictures: np.ndarray, flips: bool, count: int, seed: int, step: int) -> Tensor:
    """Return random pictures (count, 3, S, S) in [0, 1] of (N, S, S, 3), half of them shifted, with mirrored edges.

    flips: mirror half of them.
    """
    rng = np.random.default_rng([seed, step])
    room = pictures.shape[1] // 8
    moved: list[np.ndarray] = []
    for index in rng.integers(0, len(pictures), count):
        right, down = rng.integers(-room, room + 1, 2) * (rng.random() < 0.5)
        mirrored = rng.random() < 0.5 * flips
        pixels = np.pad(pictures[index], ((room, room), (room, room), (0, 0)), mode="reflect")
        part = pixels[room + down :, room + right :][: pictures.shape[1], : pictures.shape[2]]
        moved.append(part[:, ::-1] if mirrored else part)
    return as_batch(np.stack(moved)).contiguous(memory_format=torch.channels_last)


def edge_distance(drawn: Tensor, target: Tensor) -> Tensor:
    """Return the L1 distance of the differences between neighbouring pixels."""
    across = l1_loss(drawn.diff(dim=-1), target.diff(dim=-1))
    return across + l1_loss(drawn.diff(dim=-2), target.diff(dim=-2))


class StyleDistance(nn.Module):
    """Distance in the early features of a classifier of photographs, after LPIPS (Zhang et al., 2018)."""

    def __init__(self, features: StyleFeatures):
        super().__init__()
        self.features = features

    def forward(self, drawn: Tensor, target: Tensor) -> Tensor:
        """Return the squared distance of unit features, averaged over the first stages; pictures (N, 3, H, W)."""
        with torch.no_grad():
            wanted = self.features.maps(target)[:STYLE_STAGES]
        pairs = zip(self.features.maps(drawn)[:STYLE_STAGES], wanted, strict=True)
        return torch.stack([(normalize(a) - normalize(b)).pow(2).sum(1).mean() for a, b in pairs]).mean()


class FeatureDistance(nn.Module):
    """Distance in the early features of a frozen CLIP with a timm image tower, after LPIPS (Zhang et al., 2018)."""

    def __init__(self, perceptor: CLIPPerceptor, stages: Sequence[str]):
        super().__init__()
        self.perceptor = perceptor.eval().requires_grad_(False)
        self._seen: list[Tensor] = []
        trunk = perceptor.clip.visual.trunk
        for name in stages:
            trunk.get_submodule(name).register_forward_hook(lambda _m, _i, output: self._seen.append(output))

    def _features(self, pictures: Tensor) -> list[Tensor]:
        self._seen.clear()
        self.perceptor.encode_images(pictures)
        return [normalize(features, dim=1) for features in self._seen]

    def forward(self, drawn: Tensor, target: Tensor) -> Tensor:
        """Return the squared distance of unit features, averaged over stages, in one random window."""
        size = self.perceptor.size
        top, left = (int(torch.randint(0, side - size + 1, ())) for side in drawn.shape[2:])
        drawn, target = (p[..., top : top + size, left : left + size] for p in (drawn, target))
        with torch.no_grad():
            wanted = self._features(target)
        pairs = zip(self._features(drawn), wanted, strict=True)
        return torch.stack([(a - b).pow(2).sum(1).mean() for a, b in pairs]).mean()

"""The classic loop of VQGAN-CLIP, as nerdyrodent's `generate.py` runs it by default, to compare clipgen with.

Crowson et al., 2022 (arXiv 2204.08583). It works on copies of the networks that it is given, which compute as their
authors' code does.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.augmentation import ColorJitter, RandomAffine, RandomErasing, RandomPerspective
from torch import Tensor, nn

from clipgen.errors import UsageError
from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.networks import VQGANNetwork
from clipgen.generators.taming_layers import as_published
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.util.randomness import generator_for

LR = 0.1
NOISE = 0.1
"""Each cutout gets Gaussian noise of a standard deviation up to this."""


class ClassicLoop:
    """Latents (1, D, h, w) of one picture, moved by Adam through pooled and augmented cutouts.

    size: width and height of the picture in pixels. cutouts: in each step.
    """

    def __init__(
        self,
        network: nn.Module,
        perceptors: Sequence[CLIPPerceptor],
        text: str,
        size: tuple[int, int],
        cutouts: int,
        seed: int = 0,
    ) -> None:
        """Raise UsageError if the network is not a VQGAN's."""
        if not isinstance(network, VQGANNetwork):
            raise UsageError("the classic loop is that of a VQGAN; compare with --backend vqgan")
        self._network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        self._count = cutouts
        self._perceptors = [each.unfolded() for each in perceptors]
        self._codes = network.codebook.detach()
        height, width = size[1] // network.stride, size[0] // network.stride
        chosen = torch.randint(len(self._codes), (height * width,), generator=generator_for(seed, 0, "latent"))
        cells = F.one_hot(chosen, len(self._codes)).float()
        start = (cells.to(self._codes) @ self._codes).view(1, height, width, -1).permute(0, 3, 1, 2)
        self.latent = start.clone().requires_grad_()
        low, high = self._codes.min(0).values, self._codes.max(0).values
        self._low, self._high = (bound[None, :, None, None] for bound in (low, high))
        self._optimizer = torch.optim.Adam([self.latent], lr=LR)
        self._targets = [each.encode_texts([text]) for each in self._perceptors]
        self._augment = nn.Sequential(
            RandomAffine(degrees=15, translate=0.1, p=0.7, shear=5, padding_mode="zeros", keepdim=True),
            RandomPerspective(distortion_scale=0.7, p=0.7),
            ColorJitter(0.1, 0.1, 0.1, 0.1, p=0.7),
            RandomErasing((0.1, 0.4), (0.3, 1 / 0.3), same_on_batch=True, p=0.7),
        )

    def step(self) -> None:
        """Make one update."""
        self._optimizer.zero_grad(set_to_none=True)
        image = self._decode()
        losses = [
            _distance(each.encode_images(self._cutouts(image, each.size)), target)
            for each, target in zip(self._perceptors, self._targets, strict=True)
        ]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        with torch.no_grad():
            self.latent.copy_(self.latent.maximum(self._low).minimum(self._high))

    def _decode(self) -> Tensor:
        cells = self.latent.movedim(1, 3)
        distances = cells.pow(2).sum(-1, keepdim=True) + self._codes.pow(2).sum(1) - 2 * cells @ self._codes.T
        chosen = F.one_hot(distances.argmin(-1), len(self._codes)).to(cells.dtype) @ self._codes
        quantised = cells + (chosen - cells).detach()
        with as_published():
            return clamp_with_grad(self._network.decode(quantised.movedim(3, 1)))

    def _cutouts(self, image: Tensor, size: int) -> Tensor:
        """Return (n, 3, size, size): the whole picture, pooled anew for each cutout, then augmented.

        As there, by torch's global generator.
        """
        pooled = [
            (F.adaptive_avg_pool2d(image, size) + F.adaptive_max_pool2d(image, size)) / 2 for _ in range(self._count)
        ]
        batch: Tensor = self._augment(torch.cat(pooled))
        strength = batch.new_empty([self._count, 1, 1, 1]).uniform_(0, NOISE)
        return batch + strength * torch.randn_like(batch)


def _distance(seen: Tensor, target: Tensor) -> Tensor:
    """Return the mean spherical distance () of unit vectors (n, D) from a target (1, D)."""
    squares: Tensor = (seen - target).norm(dim=1).div(2).arcsin().pow(2).mul(2)
    return squares.mean()

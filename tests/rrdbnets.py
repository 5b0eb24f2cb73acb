"""RRDBNet, the network of ESRGAN and Real-ESRGAN (arXiv 1809.00219, 2107.10833), written from the papers.

Names of tensors are those of the published files. Nothing of this is used by clipgen.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_unshuffle

GROWTH = 32


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it made."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for number in range(5):
            made = GROWTH if number < 4 else width
            setattr(self, f"conv{number + 1}", nn.Conv2d(width + number * GROWTH, made, 3, padding=1))

    def forward(self, start: Tensor) -> Tensor:
        seen = [start]
        for number in range(1, 5):
            seen.append(leaky_relu(getattr(self, f"conv{number}")(torch.cat(seen, 1)), 0.2))
        return start + 0.2 * self.conv5(torch.cat(seen, 1))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = DenseBlock(width), DenseBlock(width), DenseBlock(width)

    def forward(self, start: Tensor) -> Tensor:
        return start + 0.2 * self.rdb3(self.rdb2(self.rdb1(start)))


class RRDBNet(nn.Module):
    """scale: 4, or 2, which folds 2 x 2 pixels into one first. Real-ESRGAN has 23 blocks of 64 channels."""

    def __init__(self, scale: int, blocks: int = 1, width: int = 16) -> None:
        super().__init__()
        self.scale = scale
        self.conv_first = nn.Conv2d(3 * (4 // scale) ** 2, width, 3, padding=1)
        self.body = nn.Sequential(*(Block(width) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(width, width, 3, padding=1))
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.conv_first(pixel_unshuffle(image, 4 // self.scale))
        seen = first + self.conv_body(self.body(first))
        for convolution in (self.conv_up1, self.conv_up2):
            seen = leaky_relu(convolution(interpolate(seen, scale_factor=2)), 0.2)
        return self.conv_last(leaky_relu(self.conv_hr(seen), 0.2))


def saved(path: Path, scale: int, blocks: int = 1, width: int = 16) -> RRDBNet:
    """Write the network as Real-ESRGAN's files have it, with random weights, and return it."""
    with torch.random.fork_rng():
        torch.manual_seed(scale)
        network = RRDBNet(scale, blocks, width).eval().requires_grad_(False)
    with torch.no_grad():
        network.conv_last.bias.fill_(0.5)
        network.conv_last.weight *= 4  # so that pictures have some contrast
    torch.save({"params_ema": network.state_dict()}, path)
    return network

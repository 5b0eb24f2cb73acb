"""Encoder and decoder of MaskGIT's VQGAN (Chang et al., 2022, arXiv 2202.04200), which TiTok's files share.

The state-dict keys are those of its port to torch in open-muse. It is taming's VQGAN without attention, with
convolutions that mostly have no bias, with average pooling, and with a shortcut that starts from the result of a block
instead of its input, as the port has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, silu


def _conv(inputs: int, outputs: int, side: int, *, bias: bool = False) -> nn.Conv2d:
    """Return a convolution that keeps the size; at stride 1 the padding "same" is the same on all sides."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


class _ResnetBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs), _conv(inputs, outputs, 3)
        self.norm2, self.conv2 = _norm(outputs), _conv(outputs, outputs, 3)
        if inputs != outputs:
            self.nin_shortcut = _conv(outputs, outputs, 1)
        self._widens = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.conv1(silu(self.norm1(x)))
        inner = self.conv2(silu(self.norm2(inner)))
        return inner + (self.nin_shortcut(inner) if self._widens else x)


def _blocks(inputs: int, outputs: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(_ResnetBlock(outputs if k else inputs, outputs) for k in range(count))


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int, count: int, *, pools: bool):
        super().__init__()
        self.block, self._pools = _blocks(inputs, outputs, count), pools

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return avg_pool2d(x, 2) if self._pools else x


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int, count: int, *, enlarges: bool):
        super().__init__()
        self.block, self._enlarges = _blocks(inputs, outputs, count), enlarges
        if enlarges:
            self.upsample_conv = _conv(outputs, outputs, 3, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        if not self._enlarges:
            return x
        enlarged: Tensor = self.upsample_conv(interpolate(x, scale_factor=2.0, mode="nearest"))
        return enlarged


class MaskGITEncoder(nn.Module):
    """Encodes images (B, 3, H, W) in [0, 1] as features (B, z_channels, H/f, W/f), where f is 2^(levels-1).

    config: `ch`, `ch_mult`, `num_res_blocks` and `z_channels` as in the `ddconfig` of taming's VQGANs; widths must be
    multiples of 32. Other keys are ignored.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        count, last = config["num_res_blocks"], len(config["ch_mult"]) - 1
        widths = [config["ch"], *(config["ch"] * each for each in config["ch_mult"])]
        self.conv_in = _conv(3, widths[0], 3)
        self.down = nn.ModuleList(
            _Down(widths[k], widths[k + 1], count, pools=k < last) for k in range(len(config["ch_mult"]))
        )
        self.mid = _blocks(widths[-1], widths[-1], count)
        self.norm_out = _norm(widths[-1])
        self.conv_out = _conv(widths[-1], config["z_channels"], 1, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv_in(images)
        for part in (*self.down, *self.mid):
            x = part(x)
        features: Tensor = self.conv_out(silu(self.norm_out(x)))
        return features


class MaskGITDecoder(nn.Module):
    """Decodes code vectors (B, z_channels, h, w) to images (B, 3, f·h, f·w), about [0, 1] but not clamped.

    config: as for `MaskGITEncoder`.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        count = config["num_res_blocks"]
        widths = [config["ch"] * each for each in config["ch_mult"]]
        self.conv_in = _conv(config["z_channels"], widths[-1], 3, bias=True)
        self.mid = _blocks(widths[-1], widths[-1], count)
        self.up = nn.ModuleList(  # from the finest level to the coarsest, which comes first
            _Up(source, width, count, enlarges=k > 0)
            for k, (width, source) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True))
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = _conv(widths[0], 3, 3, bias=True)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.conv_in(codes)
        for part in (*self.mid, *reversed(self.up)):
            x = part(x)
        images: Tensor = self.conv_out(silu(self.norm_out(x)))
        return images

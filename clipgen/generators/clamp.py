"""A clamp to [0, 1] for images that are being optimised."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _ClampWithGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pixels: Tensor) -> Tensor:
        ctx.save_for_backward(pixels)
        return pixels.clamp(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (pixels,) = ctx.saved_tensors
        # A descent step moves against the gradient, so it leads back into range where the gradient points further out.
        kept: Tensor = grad * (grad * (pixels - pixels.clamp(0, 1)) >= 0)
        return kept


def clamp_with_grad(pixels: Tensor) -> Tensor:
    """Clamp pixels of any shape to [0, 1]; outside, only the gradient that pulls a pixel back in is kept.

    torch.clamp has no gradient there at all, so a pixel out of range would never return. This is ClampWithGrad of the
    VQGAN-CLIP notebooks.
    """
    clamped: Tensor = _ClampWithGrad.apply(pixels)
    return clamped

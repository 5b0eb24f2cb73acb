"""What an autoencoder makes of pictures, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from kornia.metrics import ssim
from torch import Tensor
from torch.nn.functional import interpolate, mse_loss

from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.training.crops import as_batch

Network = VQGANNetwork | DVAENetwork


@torch.no_grad()
def code_indices(network: Network, images: Tensor) -> Tensor:
    """Return the codes (B, h, w) that the network picks for pictures (B, 3, H, W)."""
    return network.codes_of(images)


@torch.no_grad()
def decode_indices(network: Network, indices: Tensor) -> Tensor:
    """Return the pictures (B, 3, H, W) in [0, 1] of codes (B, h, w)."""
    return network.images_of(indices)


def _batches(pictures: np.ndarray, device: torch.device, size: int = 16) -> list[Tensor]:
    return [as_batch(pictures[k : k + size]).to(device) for k in range(0, len(pictures), size)]


def reconstruct(network: Network, pictures: np.ndarray, size: int) -> np.ndarray:
    """Return pictures (N, S, S, 3) uint8, encoded and decoded, at `size` pixels a side."""
    drawn = []
    for images in _batches(pictures, next(network.parameters()).device):
        made = decode_indices(network, code_indices(network, images))
        small = interpolate(made, size=(size, size), mode="bilinear", antialias=True)
        drawn.append((small.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(drawn)


def quality(network: Network, pictures: np.ndarray) -> dict[str, float]:
    """Return the mean PSNR in dB and SSIM (Wang et al., 2004) of reconstructions; codes used, and their perplexity.

    pictures: (N, S, S, 3) uint8, which the network was not trained on.
    """
    decibels, likeness, used = [], [], []
    for images in _batches(pictures, next(network.parameters()).device):
        indices = code_indices(network, images)
        used.append(indices.flatten())
        drawn = decode_indices(network, indices)
        decibels += [float(-10 * torch.log10(mse_loss(a, b))) for a, b in zip(drawn, images, strict=True)]
        likeness += ssim(drawn, images, window_size=11).mean((1, 2, 3)).tolist()
    share = torch.bincount(torch.cat(used)).float()
    share = share[share > 0] / share.sum()
    return {
        "psnr": round(float(np.mean(decibels)), 2),
        "ssim": round(float(np.mean(likeness)), 3),
        "codes_used": float(len(share)),
        "perplexity": round(float(torch.exp(-(share * share.log()).sum())), 1),
    }

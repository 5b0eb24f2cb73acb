"""How much pictures are like other pictures, by perceptors that need not have guided them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from clipgen.core.contracts import Perceptor
from clipgen.util.images import as_tensor


@torch.no_grad()
def mean_likenesses(
    pictures: Sequence[Image.Image],
    images: Sequence[tuple[Image.Image, float]],
    judges: Sequence[Perceptor],
    device: torch.device,
) -> list[float]:
    """Return, for each picture, its weighted cosine with images, averaged over the judges; in [-1, 1].

    images: each with its weight; these are scaled so that their magnitudes add up to 1, and a negative one counts
    against a picture. device: that of the judges, which are CLIPs.
    """
    weights = torch.tensor([weight for _, weight in images], device=device)
    weights = weights / weights.abs().sum().clamp(min=1e-6)
    others = [image for image, _ in images]
    scores = [_seen(pictures, judge, device) @ _seen(others, judge, device).T @ weights for judge in judges]
    found: list[float] = torch.stack(scores).mean(0).tolist()
    return found


def _seen(pictures: Sequence[Image.Image], judge: Perceptor, device: torch.device) -> Tensor:
    """Return the unit vectors (N, D) of N whole pictures of any sizes."""
    return torch.cat([judge.encode_images(judge.whole(as_tensor(picture).to(device))) for picture in pictures])

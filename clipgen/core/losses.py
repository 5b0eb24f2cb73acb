"""What a run minimises: distances between the embeddings of views and of texts. Pure functions of tensors."""

import torch
from torch import Tensor


def spherical_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return half the squared angle between unit vectors (..., D), broadcast against each other; in [0, π²/2].

    It equals 2·arcsin(‖a - b‖ / 2)², whose gradient is infinite at opposite vectors; the arctangent's is finite.
    """
    difference = torch.linalg.vector_norm(a - b, dim=-1)
    total = torch.linalg.vector_norm(a + b, dim=-1)
    return 2 * torch.atan2(difference, total).square()


def prompt_loss(distances: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """Return the weighted distance between the views and the texts of each picture.

    distances (B, n, K) of each of n views from each of K texts, at least 0; weights and stops (B, K); returns (B,). The
    value of a text is |weight| times the mean over views of d, the distance with the sign of the weight. A view gives
    no gradient where d is below the stop (the rule of the VQGAN-CLIP notebooks).
    """
    signed = distances * weights.sign()[:, None]
    pulled = signed.maximum(stops[:, None])
    # Forward the distance itself, backward that of the stopped one.
    values = pulled + (signed - pulled).detach()
    return (values.mean(1) * weights.abs()).sum(1)


def prompt_score(views: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
    """Return (B,) mean cosines between the views and the texts with a positive weight, weighted; 0 without any.

    views (B, n, D) and texts (B, K, D) are unit vectors, weights (B, K).
    """
    pull = weights.clamp_min(0)
    share = pull / pull.sum(1, keepdim=True).clamp_min(torch.finfo(pull.dtype).tiny)
    return (torch.einsum("bnd,bkd->bk", views, texts) / views.shape[1] * share).sum(1)


def roughness(images: Tensor) -> Tensor:
    """Return (B,) the total variation of images (B, C, H, W): mean absolute differences of neighbouring pixels."""
    across = images.diff(dim=3).abs().mean(dim=(1, 2, 3))
    down = images.diff(dim=2).abs().mean(dim=(1, 2, 3))
    return across + down

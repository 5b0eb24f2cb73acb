"""Contrastive losses of a CLIP when several texts are true of a picture, and several pictures share a text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid


def contrast(logits: Tensor, match: Tensor, known: Tensor) -> Tensor:
    """Return the sigmoid contrastive loss (Zhai et al., 2023, eq. 1): summed over texts, averaged over pictures.

    All are (pictures, texts). Every true pair is positive; pairs that are not known are left out.
    """
    signs = match.to(logits) * 2 - 1
    return -(logsigmoid(signs * logits) * known).sum(1).mean()


def softmax_contrast(logits: Tensor, match: Tensor) -> Tensor:
    """Return CLIP's own loss (Radford et al., 2021), whose targets are spread evenly over all that match.

    Both are (pictures, texts); each picture and each text has a match.
    """
    both = [
        -(log_softmax(scores, 1) * pairs / pairs.sum(1, keepdim=True)).sum(1).mean()
        for scores, pairs in ((logits, match.to(logits)), (logits.T, match.T.to(logits)))
    ]
    return (both[0] + both[1]) / 2


def attacked(views: Tensor, loss_of: Callable[[Tensor], Tensor], radius: float) -> Tensor:
    """Return adversarial views: one step up the gradient from a random start (Wong et al., 2020, in L2).

    views: (N, 3, H, W); none is moved by more than `radius`, an L2 norm.
    """
    start = torch.randn_like(views)
    start = start * (0.5 * radius / start.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
    moved = (views + start).requires_grad_()
    (slope,) = torch.autograd.grad(loss_of(moved), moved)
    push = start + slope * (radius / slope.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1))
    shrink = (radius / push.flatten(1).norm(dim=1)).clamp(max=1).view(-1, 1, 1, 1)
    found: Tensor = views + push * shrink
    return found

"""The optimisers of the latents and their schedule. Each picture of a batch moves as it would alone."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

FINAL_LR_SHARE = 0.1

EPSILON = 1e-12
"""Far below the gradients of a single logit among thousands, which Adam's usual 1e-8 would damp."""


def learning_rate(base: float, progress: float) -> float:
    """Return the rate at a progress in [0, 1]: half a cosine from `base` down to a tenth of it.

    Large steps settle the composition, small ones at the end the details.
    """
    return base * (FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass(frozen=True)
class Rule:
    """How a gradient becomes a step."""

    make: Callable[[list[Tensor], float], Optimizer]
    normalised: bool = False
    """Whether each picture's gradient is first brought to a root mean square of 1 in every tensor."""


RULES: dict[str, Rule] = {
    "adam": Rule(lambda latents, lr: Adam(latents, lr, eps=EPSILON)),
    # A robust guide's gradient already looks like a picture, strong where something should change and faint elsewhere
    # (Santurkar et al., 2019, arXiv 1906.09453). Adam would move every number as far as any other.
    "normalised": Rule(SGD, normalised=True),
}


class LatentOptimizer:
    """Moves the latents, each (B, ...), by one of the RULES, at the rate of the schedule."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, rule: str = "adam") -> None:
        self._lr = lr
        self._latents = list(parameters)
        self._normalised = RULES[rule].normalised
        self._optimizer = RULES[rule].make(self._latents, lr)

    def step(self, loss: Tensor, progress: float) -> None:
        """Move the parameters down the gradient of the loss ()."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._lr, progress)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._normalised:
            _normalise_(self._latents)
        self._optimizer.step()


def _normalise_(latents: Iterable[Tensor]) -> None:
    """Divide the gradient of each picture by its root mean square; one that is zero stays so."""
    for latent in latents:
        if latent.grad is not None:
            size = latent.grad.square().mean(tuple(range(1, latent.ndim)), keepdim=True).sqrt()
            latent.grad /= size.clamp_min(torch.finfo(size.dtype).tiny)

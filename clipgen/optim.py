"""The optimiser of the latents and its schedule."""

import math
from collections.abc import Iterable

from torch import Tensor
from torch.optim import Adam

FINAL_LR_SHARE = 0.1

EPSILON = 1e-12
"""Far below the gradients of a single logit among thousands, which Adam's usual 1e-8 would damp."""


def learning_rate(base: float, progress: float) -> float:
    """Return the rate at a progress in [0, 1]: half a cosine from `base` down to a tenth of it.

    Large steps settle the composition, small ones at the end the details.
    """
    return base * (FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


class LatentOptimizer:
    """Adam on the latents. It works on each number alone, so the pictures of a batch do not influence each other."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self._lr = lr
        self._adam = Adam(parameters, lr, eps=EPSILON)

    def step(self, loss: Tensor, progress: float) -> None:
        """Move the parameters down the gradient of the loss ()."""
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(self._lr, progress)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()

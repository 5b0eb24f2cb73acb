"""Update rules of plain gradient descent, whose steps are as long as the gradient."""

from __future__ import annotations

from torch import Tensor

from clipgen.core.optim import Row

MOMENTUM = 0.9


def sgd_(latent: Tensor, grad: Tensor, _moments: dict[str, Tensor], _sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of `lr` times the gradient, in place."""
    latent.add_(grad, alpha=-lr)


def momentum_(latent: Tensor, grad: Tensor, moments: dict[str, Tensor], sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of gradient descent with momentum (Polyak, 1964), in place, as torch's SGD does.

    A picture that is not sound keeps its latent and its velocity, see `clipgen.core.optim.Rule`.
    """
    velocity = moments["velocity"]
    velocity.copy_((MOMENTUM * velocity + grad).where(sound, velocity))
    latent.add_(velocity * sound, alpha=-lr)


RULES: dict[str, Row] = {"sgd": (sgd_, ()), "momentum": (momentum_, ("velocity",))}
"""By name, beside `clipgen.core.optim.RULES`."""

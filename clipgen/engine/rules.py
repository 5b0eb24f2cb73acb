"""Update rules that compute as torch's optimisers, and DiffGrad's, do by default, each picture as on its own."""

from __future__ import annotations

import math

from torch import Tensor

from clipgen.core.optim import Row

BETAS = (0.9, 0.999)
EPSILON = 1e-8
MOMENTUM = 0.9
Moments = dict[str, Tensor]


def sgd_(latent: Tensor, grad: Tensor, _moments: Moments, _sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of `lr` times the gradient, in place."""
    latent.add_(grad, alpha=-lr)


def momentum_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of gradient descent with momentum (Polyak, 1964), in place, as torch's SGD does.

    A picture that is not sound keeps its latent and its velocity, see `clipgen.core.optim.Rule`.
    """
    velocity = moments["velocity"]
    velocity.copy_((MOMENTUM * velocity + grad).where(sound, velocity))
    latent.add_(velocity * sound, alpha=-lr)


def adam_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, count: int) -> None:
    """Make a step of Adam; unlike the project's own, it does damp gradients as small as its epsilon.

    Here and below, as in `clipgen.core.optim.Rule`: a picture that is not sound keeps its latent and its moments.
    """
    _average_(moments, grad, sound)
    spread = (moments["exp_avg_sq"].sqrt() / math.sqrt(1 - BETAS[1] ** count)).add_(EPSILON)
    latent.addcdiv_(moments["exp_avg"] * sound, spread, value=-lr / (1 - BETAS[0] ** count))


def adamw_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, count: int) -> None:
    """Make a step of AdamW (Loshchilov and Hutter, 2019, arXiv 1711.05101) with a weight decay of 0.01."""
    latent.mul_(1 - 0.01 * lr * sound)
    adam_(latent, grad, moments, sound, lr, count)


def adagrad_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of Adagrad (Duchi et al., 2011)."""
    moments["sum"].addcmul_(grad, grad)
    latent.addcdiv_(grad * sound, moments["sum"].sqrt().add_(1e-10), value=-lr)


def adamax_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, count: int) -> None:
    """Make a step of Adamax (Kingma and Ba, 2015, arXiv 1412.6980)."""
    _lerp_(moments["exp_avg"], grad, sound, BETAS[0])
    largest = (moments["exp_inf"] * BETAS[1]).maximum(grad.abs().add_(EPSILON))
    moments["exp_inf"].copy_(largest.where(sound, moments["exp_inf"]))
    latent.addcdiv_(moments["exp_avg"] * sound, largest, value=-lr / (1 - BETAS[0] ** count))


def radam_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, count: int) -> None:
    """Make a step of RAdam (Liu et al., 2020, arXiv 1908.03265)."""
    _average_(moments, grad, sound)
    mean = moments["exp_avg"] * sound / (1 - BETAS[0] ** count)
    longest = 2 / (1 - BETAS[1]) - 1
    length = longest - 2 * count * BETAS[1] ** count / (1 - BETAS[1] ** count)
    if length <= 5:
        latent.add_(mean, alpha=-lr)
        return
    rectified = math.sqrt(
        (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * (1 - BETAS[1] ** count)
    )
    latent.addcdiv_(mean, moments["exp_avg_sq"].sqrt().add_(EPSILON), value=-lr * rectified)


def rmsprop_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, _count: int) -> None:
    """Make a step of RMSprop (Hinton, 2012)."""
    _lerp_(moments["square_avg"], grad.square(), sound, 0.99)
    latent.addcdiv_(grad * sound, moments["square_avg"].sqrt().add_(EPSILON), value=-lr)


def diffgrad_(latent: Tensor, grad: Tensor, moments: Moments, sound: Tensor, lr: float, count: int) -> None:
    """Make a step of DiffGrad (Dubey et al., 2020, arXiv 1909.11015): Adam, slower where gradients stay the same."""
    _average_(moments, grad, sound)
    friction = (moments["previous"] - grad).abs().sigmoid()
    moments["previous"].copy_(grad.where(sound, moments["previous"]))
    spread = moments["exp_avg_sq"].sqrt().add_(EPSILON)
    rate = lr * math.sqrt(1 - BETAS[1] ** count) / (1 - BETAS[0] ** count)
    latent.addcdiv_(moments["exp_avg"] * friction * sound, spread, value=-rate)


def _average_(moments: Moments, grad: Tensor, sound: Tensor) -> None:
    """Update the averages of the gradient and of its square."""
    _lerp_(moments["exp_avg"], grad, sound, BETAS[0])
    _lerp_(moments["exp_avg_sq"], grad.square(), sound, BETAS[1])


def _lerp_(average: Tensor, value: Tensor, sound: Tensor, kept: float) -> None:
    average.lerp_(value, ((1 - kept) * sound).to(average))


_AVERAGES = ("exp_avg", "exp_avg_sq")
TORCH_RULES: dict[str, Row] = {
    "sgd": (sgd_, ()),
    "momentum": (momentum_, ("velocity",)),
    "torch-adam": (adam_, _AVERAGES),
    "adamw": (adamw_, _AVERAGES),
    "adagrad": (adagrad_, ("sum",)),
    "adamax": (adamax_, ("exp_avg", "exp_inf")),
    "radam": (radam_, _AVERAGES),
    "rmsprop": (rmsprop_, ("square_avg",)),
    "diffgrad": (diffgrad_, (*_AVERAGES, "previous")),
}
"""By name, as `clipgen.core.optim.RULES`."""

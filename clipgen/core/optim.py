"""The optimisers of latents. Each picture of a batch moves as it would on its own, with its own learning rate."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-12
"""Far below the gradients of single logits among thousands, which Adam's usual 1e-8 would damp."""

Rule = Callable[[Tensor, Tensor, dict[str, Tensor], Tensor, float, int], None]
"""Updates latents (b, ...) in place, given gradient, moments, mask (b, 1, ...) of finite pictures, rate, step count."""


def adam_(latent: Tensor, grad: Tensor, moments: dict[str, Tensor], sound: Tensor, lr: float, count: int) -> None:
    """Make a step of Adam (Kingma and Ba, 2015, arXiv 1412.6980), in place.

    latent, grad, moments: (b, ...). sound: booleans (b, 1, ...); where False, a picture keeps latent and moments, and
    its gradient must be 0. count: number of the step, from 1. Never waits for the device.
    """
    first, second = moments["exp_avg"], moments["exp_avg_sq"]
    first.lerp_(grad, torch.where(sound, 1 - BETAS[0], 0.0).to(first))
    second.mul_(torch.where(sound, BETAS[1], 1.0).to(second)).addcmul_(grad, grad, value=1 - BETAS[1])
    spread = (second.sqrt() / math.sqrt(1 - BETAS[1] ** count)).add_(EPSILON)
    latent.addcdiv_(first * sound, spread, value=-lr / (1 - BETAS[0] ** count))


def normalised_(latent: Tensor, grad: Tensor, _moments: dict[str, Tensor], _sound: Tensor, lr: float, _n: int) -> None:
    """Make a step of `lr` times the gradient, scaled to a root mean square of 1 in each picture, in place.

    The gradient of a robust network already looks like a picture, strong where something should change and faint
    elsewhere (Santurkar et al., 2019, arXiv 1906.09453); Adam would move every element by about the same amount.
    """
    size = torch.stack([one.square().mean().sqrt() for one in grad])
    latent.add_(grad / _spread(size.clamp_min(torch.finfo(size.dtype).tiny), grad), alpha=-lr)


Row = tuple[Rule, tuple[str, ...]]
RULES: dict[str, Row] = {
    "adam": (adam_, ("exp_avg", "exp_avg_sq")),
    "normalised": (normalised_, ()),
}
"""By name: the update rule, and the names of its moments, which have the shape of the latent."""


class LatentOptimizer:
    """Moves latents, each (B, ...), along their gradients.

    A picture whose loss or gradient is not finite keeps its latent and moments.
    """

    def __init__(self, parameters: Sequence[Tensor], rates: Sequence[float], rule: Row | str = "adam") -> None:
        """rates: of each picture; rule: a row, or the name of one of RULES."""
        self.rates = list(rates)
        self._latents = list(parameters)
        self.shares: Sequence[float] = [1.0] * len(parameters)  # by latent: factors on the learning rates
        self._move, names = RULES[rule] if isinstance(rule, str) else rule
        self._moments = [{name: torch.zeros_like(latent) for name in names} for latent in self._latents]
        self._counts = [0] * len(self.rates)
        self._sound = torch.ones(len(self.rates), dtype=torch.bool, device=self._latents[0].device)
        self._idle = torch.zeros_like(self._sound, dtype=torch.int)

    def gather(self, losses: Tensor) -> None:
        """Compute the gradients of losses (B,), and which pictures have finite ones."""
        for latent in self._latents:
            latent.grad = None
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._sound = losses.detach().isfinite()
        for latent in self._latents:
            if latent.grad is not None:
                self._sound = self._sound & latent.grad.reshape(len(latent), -1).isfinite().all(1)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Update the latents with the gradients gathered last; scale: factor on the learning rates."""
        self._counts = [count + 1 for count in self._counts]
        grads = [self._usable(latent) for latent in self._latents]
        for rows, rate, count in self._alike():
            for latent, grad, moments, share in zip(self._latents, grads, self._moments, self.shares, strict=True):
                own = {name: moment[rows] for name, moment in moments.items()}
                sound = _spread(self._sound[rows], latent)
                self._move(latent[rows], grad[rows], own, sound, rate * share * scale, count)
        self._idle = torch.where(self._sound, 0, self._idle + 1)

    def idle(self) -> list[int]:
        """Return the number of consecutive steps without an update, by picture; waits for the device."""
        return self._idle.tolist()

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments, each (B, ...), and the step counts (B,), by name."""
        moments = {f"{k}.{name}": value for k, row in enumerate(self._moments) for name, value in row.items()}
        return moments | {"counts": torch.tensor(self._counts)}

    @torch.no_grad()
    def load_(self, tensors: dict[str, Tensor], row: int) -> None:
        """Set the moments, each (...), and the step count of one picture to those in `tensors`."""
        for k, moments in enumerate(self._moments):
            for name, value in moments.items():
                value[row] = tensors[f"{k}.{name}"]
        self._counts[row] = int(tensors["counts"])

    def _usable(self, latent: Tensor) -> Tensor:
        """Return the gradient, 0 for pictures that are not updated."""
        if latent.grad is None:
            return torch.zeros_like(latent)
        return torch.where(_spread(self._sound, latent), latent.grad, 0)

    def _alike(self) -> list[tuple[slice, float, int]]:
        """Group the pictures by rate and step count: usually all in one slice, else one slice for each."""
        if len(set(zip(self.rates, self._counts, strict=True))) == 1:
            return [(slice(None), self.rates[0], self._counts[0])]
        own = enumerate(zip(self.rates, self._counts, strict=True))
        return [(slice(row, row + 1), rate, count) for row, (rate, count) in own]


def _spread(pictures: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, ...), which broadcasts with `like` (B, ...)."""
    return pictures.view(-1, *(1 for _ in like.shape[1:]))

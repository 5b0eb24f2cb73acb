"""The optimisers of the latents. Each picture of a batch moves as it would alone, at a learning rate of its own."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-12
"""Far below the gradients of a single logit among thousands, which Adam's usual 1e-8 would damp."""

Rows = slice | list[int]
Rule = Callable[[Tensor, Tensor, dict[str, Tensor], Tensor, float, int], None]
"""Moves latents (b, ...) in place: given the gradient, the moments, which pictures may move, the rate, the count."""


def adam_(latent: Tensor, grad: Tensor, moments: dict[str, Tensor], sound: Tensor, lr: float, count: int) -> None:
    """Move by Adam (Kingma and Ba, 2015, arXiv 1412.6980); pictures that are not sound keep latent and moments.

    The gradient of those must be 0. In place, and without asking the device which they are.
    """
    first, second = moments["exp_avg"], moments["exp_avg_sq"]
    first.lerp_(grad, torch.where(sound, 1 - BETAS[0], 0.0).to(first))
    second.mul_(torch.where(sound, BETAS[1], 1.0).to(second)).addcmul_(grad, grad, value=1 - BETAS[1])
    spread = (second.sqrt() / math.sqrt(1 - BETAS[1] ** count)).add_(EPSILON)
    latent.addcdiv_(first * sound, spread, value=-lr / (1 - BETAS[0] ** count))


def normalised_(latent: Tensor, grad: Tensor, _moments: dict[str, Tensor], _sound: Tensor, lr: float, _n: int) -> None:
    """Move by `lr` times the gradient, which is first brought to a root mean square of 1 in each picture.

    A robust guide's gradient already looks like a picture, strong where something should change and faint elsewhere
    (Santurkar et al., 2019, arXiv 1906.09453); Adam would move every number as far as any other.
    """
    size = torch.stack([one.square().mean().sqrt() for one in grad])
    latent.add_(grad / _spread(size.clamp_min(torch.finfo(size.dtype).tiny), grad), alpha=-lr)


RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "adam": (adam_, ("exp_avg", "exp_avg_sq")),
    "normalised": (normalised_, ()),
}
"""By name: how latents move, and what is remembered of them, in their shape."""


class LatentOptimizer:
    """Moves the latents, each (B, ...), down their gradients.

    A picture whose loss or gradient is not finite stays where it is, with all that is remembered of it.
    """

    def __init__(self, parameters: Sequence[Tensor], rates: Sequence[float], rule: str = "adam") -> None:
        """rates: the base learning rate of each picture."""
        self.rates = list(rates)
        self._latents = list(parameters)
        self._move, names = RULES[rule]
        self._moments = [{name: torch.zeros_like(latent) for name in names} for latent in self._latents]
        self._counts = [0] * len(self.rates)
        self._sound = torch.ones(len(self.rates), dtype=torch.bool, device=self._latents[0].device)
        self._idle = torch.zeros_like(self._sound, dtype=torch.int)

    def gather(self, losses: Tensor) -> None:
        """Find the gradients of losses (B,)."""
        for latent in self._latents:
            latent.grad = None
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._sound = losses.detach().isfinite()
        for latent in self._latents:
            if latent.grad is not None:
                self._sound = self._sound & latent.grad.reshape(len(latent), -1).isfinite().all(1)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Move the latents down the gradients that were gathered; scale: the share of the learning rate now."""
        self._counts = [count + 1 for count in self._counts]
        grads = [self._usable(latent) for latent in self._latents]
        for rows, rate, count in self._alike():
            for latent, grad, moments in zip(self._latents, grads, self._moments, strict=True):
                own = {name: moment[rows] for name, moment in moments.items()}
                self._move(latent[rows], grad[rows], own, _spread(self._sound[rows], latent), rate * scale, count)
        self._idle = torch.where(self._sound, 0, self._idle + 1)

    def idle(self) -> list[int]:
        """Return how many steps in a row each picture has stayed where it is; waits for the device."""
        return self._idle.tolist()

    def tensors(self) -> dict[str, Tensor]:
        """Return what is remembered of the latents, each (B, ...), and the numbers of steps (B,)."""
        moments = {f"{k}.{name}": value for k, row in enumerate(self._moments) for name, value in row.items()}
        return moments | {"counts": torch.tensor(self._counts)}

    @torch.no_grad()
    def load_(self, tensors: dict[str, Tensor], row: int) -> None:
        """Remember of one picture what `tensors` had in its row, each (...)."""
        for k, moments in enumerate(self._moments):
            for name, value in moments.items():
                value[row] = tensors[f"{k}.{name}"]
        self._counts[row] = int(tensors["counts"])

    def _usable(self, latent: Tensor) -> Tensor:
        """The gradient, 0 where it is not to be followed."""
        if latent.grad is None:
            return torch.zeros_like(latent)
        return torch.where(_spread(self._sound, latent), latent.grad, 0)

    def _alike(self) -> list[tuple[slice, float, int]]:
        """Return the pictures that move at one rate and count, all of them in one row of the list as a rule."""
        if len(set(zip(self.rates, self._counts, strict=True))) == 1:
            return [(slice(None), self.rates[0], self._counts[0])]
        own = enumerate(zip(self.rates, self._counts, strict=True))
        return [(slice(row, row + 1), rate, count) for row, (rate, count) in own]


def _spread(pictures: Tensor, like: Tensor) -> Tensor:
    """(B,) in a shape that (B, ...) can be multiplied with."""
    return pictures.view(-1, *(1 for _ in like.shape[1:]))

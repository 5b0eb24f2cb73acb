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
    """Moves the latents, each (B, ...), by one of the RULES, at the rate of the schedule.

    A picture whose loss or gradient is not finite stays where it is, with all that is remembered of it.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, rule: str = "adam") -> None:
        self.lr = lr
        self._latents = list(parameters)
        self._normalised = RULES[rule].normalised
        self._optimizer = RULES[rule].make(self._latents, lr)
        self._sound = torch.ones(len(self._latents[0]), dtype=torch.bool, device=self._latents[0].device)
        self._idle = torch.zeros_like(self._sound, dtype=torch.int)

    def gather(self, losses: Tensor) -> None:
        """Find the gradients of losses (B,) or ()."""
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._sound = losses.detach().isfinite().expand(len(self._sound)).clone()
        for latent in self._latents:
            if latent.grad is not None:
                self._sound &= latent.grad.reshape(len(latent), -1).isfinite().all(1)

    @torch.no_grad()
    def step(self, progress: float) -> None:
        """Move the latents down the gradients that were gathered."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.lr, progress)
        kept = [(tensor, tensor.clone()) for tensor in (*self._latents, *self._moments().values())]
        for latent in self._latents:
            if latent.grad is not None:
                latent.grad = torch.where(_spread(self._sound, latent), latent.grad, 0)
        if self._normalised:
            _normalise_(self._latents)
        self._optimizer.step()
        for tensor, before in kept:
            tensor.copy_(torch.where(_spread(self._sound, tensor), tensor, before))
        self._idle = torch.where(self._sound, 0, self._idle + 1)

    def idle(self) -> int:
        """Return how many steps in a row some picture has stayed where it is; waits for the device."""
        return int(self._idle.max())

    def tensors(self) -> dict[str, Tensor]:
        """Return what is remembered of the latents, by name; nothing before the first step."""
        counts = {f"{k}.step": self._optimizer.state[latent]["step"] for k, latent in self._remembered()}
        return self._moments() | counts

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Remember what `tensors` has returned of latents of the same shape."""
        for k, latent in enumerate(self._latents):
            saved = {name.partition(".")[2]: t.clone() for name, t in tensors.items() if name.startswith(f"{k}.")}
            self._optimizer.state[latent] = saved

    def _remembered(self) -> list[tuple[int, Tensor]]:
        return [(k, latent) for k, latent in enumerate(self._latents) if "step" in self._optimizer.state[latent]]

    def _moments(self) -> dict[str, Tensor]:
        """What has the shape of the latents."""
        return {
            f"{k}.{name}": value
            for k, latent in self._remembered()
            for name, value in self._optimizer.state[latent].items()
            if name != "step"
        }


def _spread(pictures: Tensor, like: Tensor) -> Tensor:
    """(B,) in a shape that (B, ...) can be multiplied with."""
    return pictures.view(-1, *(1 for _ in like.shape[1:]))


def _normalise_(latents: Iterable[Tensor]) -> None:
    """Divide the gradient of each picture by its root mean square; one that is zero stays so."""
    for latent in latents:
        if latent.grad is not None:
            size = latent.grad.square().mean(tuple(range(1, latent.ndim)), keepdim=True).sqrt()
            latent.grad /= size.clamp_min(torch.finfo(size.dtype).tiny)

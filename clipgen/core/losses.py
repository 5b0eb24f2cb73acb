"""What a run minimises: how far its pictures are from their targets, and other terms by name.

A target is a prompt as unit vectors, one in the space of each perceptor. TARGETS and LOSSES are the tables to grow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from clipgen.config.prompts import Prompt
from clipgen.config.schedules import Schedule
from clipgen.core.contracts import Encoder, Loss, Moment, Perceptor
from clipgen.util.batches import mean_of_each

TARGETS: dict[str, Callable[[Perceptor, Sequence[str]], Tensor]] = {
    "text": lambda perceptor, texts: perceptor.encode_texts(texts),
}
"""By kind: from what was given, K of a kind, to unit vectors (K, D) in the space of a perceptor."""


@dataclass(frozen=True)
class Targets:
    """The targets of B pictures, K at most; a picture with fewer has targets of weight 0, which pull nowhere."""

    vectors: tuple[Tensor, ...]
    """For each perceptor: unit vectors (B, K, D)."""
    weights: Tensor
    """(B, K); a negative one pushes away."""
    stops: Tensor
    """(B, K): a cutout whose signed distance is below this no longer pulls."""
    counts: tuple[int, ...]
    """How many each picture has."""

    def of(self, rows: slice) -> "Targets":
        """Return those of some pictures, K as many as they have: padding changes how sums are rounded."""
        most = max(self.counts[rows])
        vectors = tuple(each[rows, :most] for each in self.vectors)
        return Targets(vectors, self.weights[rows, :most], self.stops[rows, :most], self.counts[rows])


def encode_targets(
    perceptors: Sequence[Perceptor], prompts: Sequence[Sequence[Prompt]], device: torch.device
) -> Targets:
    """Return the targets that the prompts of each picture are."""

    def padded(rows: list[list[float]]) -> Tensor:
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)

    with torch.no_grad():  # picture by picture, as a larger batch may be rounded differently
        texts = [[TARGETS["text"](each, [one.text for one in row]) for row in prompts] for each in perceptors]
    return Targets(
        tuple(pad_sequence(each, batch_first=True) for each in texts),
        padded([[prompt.weight for prompt in row] for row in prompts]),
        padded([[prompt.stop for prompt in row] for row in prompts]),
        tuple(map(len, prompts)),
    )


def spherical_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return half the squared angle between unit vectors (..., D), broadcast against each other; in [0, π²/2].

    It equals 2·arcsin(‖a - b‖ / 2)², whose gradient is infinite at opposite vectors; the arctangent's is finite.
    """
    difference = torch.linalg.vector_norm(a - b, dim=-1)
    total = torch.linalg.vector_norm(a + b, dim=-1)
    return 2 * torch.atan2(difference, total).square()


def prompt_loss(distances: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """Return (B,) the weighted distance between the cutouts and the targets of each picture.

    distances (B, n, K) of each of n cutouts from each of K targets, at least 0; weights and stops (B, K). The value of
    a target is |weight| times the mean over cutouts of d, the distance with the sign of the weight. A cutout gives no
    gradient where d is below the stop (the rule of the VQGAN-CLIP notebooks).
    """
    signed = distances * weights.sign()[:, None]
    pulled = signed.maximum(stops[:, None])
    # Forward the distance itself, backward that of the stopped one.
    values = pulled + (signed - pulled).detach()
    return (values.mean(1) * weights.abs()).sum(1)


def prompt_score(cutouts: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return (B,) mean cosines between cutouts and the targets with a positive weight, weighted; 0 without any.

    cutouts (B, n, D) and targets (B, K, D) are unit vectors, weights (B, K).
    """
    pull = weights.clamp_min(0)
    share = pull / pull.sum(1, keepdim=True).clamp_min(torch.finfo(pull.dtype).tiny)
    return (torch.einsum("bnd,bkd->bk", cutouts, targets) / cutouts.shape[1] * share).sum(1)


def total_variation(images: Tensor) -> Tensor:
    """Return (B,) the total variation of images (B, C, H, W): mean absolute differences of neighbouring pixels."""
    return mean_of_each(images.diff(dim=3).abs()) + mean_of_each(images.diff(dim=2).abs())


def _prompt_distance(targets: Targets) -> Loss:
    def distance(moment: Moment) -> Tensor:
        own = targets.of(moment.rows)
        losses = [
            prompt_loss(spherical_distance(vectors[:, :, None], own.vectors[k][:, None]), own.weights, own.stops)
            for k, vectors in moment.vectors.items()
        ]
        return torch.stack(losses).mean(0)

    return distance


def _distance_to_start(_targets: Targets) -> Loss:
    def distance(moment: Moment) -> Tensor:
        assert isinstance(moment.generator, Encoder)  # noqa: S101 - checked before the run begins
        return moment.generator.distance_to_start()[moment.rows]

    return distance


LOSSES: dict[str, Callable[[Targets], Loss]] = {
    "prompt": _prompt_distance,
    "init": _distance_to_start,
    "total-variation": lambda _targets: lambda moment: total_variation(moment.images),
}
"""By name: makes the loss of a run with these targets."""


class Objective:
    """The weighted sum of losses."""

    def __init__(self, losses: Mapping[str, tuple[Loss, Schedule]], targets: Targets, *, needs_maps: bool) -> None:
        """losses: each with its weight over the run; targets: those whose score is reported."""
        self._losses = losses
        self._targets = targets
        self.needs_maps = needs_maps

    def __call__(self, moment: Moment) -> dict[str, Tensor]:
        """Return each term (b,) by name, weighted; their sum is what is minimised."""
        return {
            name: weight.at(moment.progress) * loss(moment) if weight.at(moment.progress) != 1 else loss(moment)
            for name, (loss, weight) in self._losses.items()
        }

    def score(self, moment: Moment) -> Tensor:
        """Return (b,) the mean cosine between cutouts and targets, averaged over the perceptors that guide now."""
        own = self._targets.of(moment.rows)
        scores = [prompt_score(vectors.detach(), own.vectors[k], own.weights) for k, vectors in moment.vectors.items()]
        return torch.stack(scores).mean(0)

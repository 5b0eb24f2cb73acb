"""What a run minimises: the distance of its pictures from their targets, and other terms by name.

A target is a prompt as unit vectors, one in the space of each perceptor. A further kind of target or loss is a row of
TARGETS or LOSSES.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from clipgen.config.prompts import Prompt
from clipgen.config.schedules import Schedule
from clipgen.core.contracts import Encoder, Loss, Moment, Perceptor
from clipgen.errors import UsageError
from clipgen.util.batches import mean_of_each

TARGETS: dict[str, Callable[[Perceptor, Sequence[str]], Tensor]] = {
    "text": lambda perceptor, texts: perceptor.encode_texts(texts),
}
"""By kind: encodes K inputs of that kind as unit vectors (K, D) in the space of a perceptor."""


@dataclass(frozen=True)
class Targets:
    """The targets of B pictures, at most K each; pictures with fewer are padded with targets of weight 0."""

    vectors: tuple[Tensor, ...]
    """For each perceptor: unit vectors (B, K, D)."""
    weights: Tensor
    """(B, K); a negative one pushes away."""
    stops: Tensor
    """(B, K); a cutout whose signed distance is below this no longer pulls."""
    counts: tuple[int, ...]
    """How many targets each picture has, without padding."""

    def of(self, rows: slice) -> "Targets":
        """Return the targets of some pictures with no more padding than they need, as it changes how sums round."""
        most = max(self.counts[rows])
        vectors = tuple(each[rows, :most] for each in self.vectors)
        return Targets(vectors, self.weights[rows, :most], self.stops[rows, :most], self.counts[rows])


def encode_targets(
    perceptors: Sequence[Perceptor], prompts: Sequence[Sequence[Prompt]], device: torch.device
) -> Targets:
    """Return the targets, on `device`, for the prompts of each of B pictures."""

    def padded(rows: list[list[float]]) -> Tensor:
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)

    with torch.no_grad():  # one picture at a time, as larger batches may round differently
        texts = [[TARGETS["text"](each, [one.text for one in row]) for row in prompts] for each in perceptors]
    return Targets(
        tuple(pad_sequence(each, batch_first=True) for each in texts),
        padded([[prompt.weight for prompt in row] for row in prompts]),
        padded([[prompt.stop for prompt in row] for row in prompts]),
        tuple(map(len, prompts)),
    )


def spherical_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return half the squared angle (...) between unit vectors a and b (..., D), which broadcast; in [0, π²/2].

    Equal to 2·arcsin(‖a - b‖ / 2)², the loss of the VQGAN-CLIP notebooks, whose gradient is infinite at opposite
    vectors; that of the arctangent is finite.
    """
    difference = torch.linalg.vector_norm(a - b, dim=-1)
    total = torch.linalg.vector_norm(a + b, dim=-1)
    return 2 * torch.atan2(difference, total).square()


def prompt_loss(distances: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """Return the weighted distance (B,) between the cutouts and the targets of each picture.

    distances: (B, n, K), at least 0, of n cutouts from K targets. weights, stops: (B, K). A target contributes |weight|
    times the mean over cutouts of d, the distance with the sign of the weight. A cutout whose d is below the stop gets
    no gradient (the rule of the VQGAN-CLIP notebooks).
    """
    signed = distances * weights.sign()[:, None]
    pulled = signed.maximum(stops[:, None])
    # The value is that of the distance, the gradient that of the stopped distance.
    values = pulled + (signed - pulled).detach()
    return (values.mean(1) * weights.abs()).sum(1)


def prompt_score(cutouts: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean cosine (B,) between cutouts and the targets of positive weight; 0 if there are none.

    cutouts (B, n, D) and targets (B, K, D) are unit vectors; weights are (B, K).
    """
    pull = weights.clamp_min(0)
    share = pull / pull.sum(1, keepdim=True).clamp_min(torch.finfo(pull.dtype).tiny)
    return (torch.einsum("bnd,bkd->bk", cutouts, targets) / cutouts.shape[1] * share).sum(1)


def total_variation(images: Tensor) -> Tensor:
    """Return the total variation (B,) of images (B, C, H, W): mean absolute differences of neighbouring pixels."""
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
        if not isinstance(moment.generator, Encoder):
            raise UsageError("this generator cannot start from an image, so that nothing holds it to one")
        return moment.generator.distance_to_start()[moment.rows]

    return distance


LOSSES: dict[str, Callable[[Targets], Loss]] = {
    "prompt": _prompt_distance,
    "init": _distance_to_start,
    "total-variation": lambda _targets: lambda moment: total_variation(moment.images),
}
"""By name: builds the loss of a run with these targets."""


class Objective:
    """The weighted sum of losses."""

    def __init__(self, losses: Mapping[str, tuple[Loss, Schedule]], targets: Targets, *, needs_maps: bool) -> None:
        """losses: each with its weight over the run; targets: those to score; needs_maps: whether a loss needs maps."""
        self._losses = losses
        self._targets = targets
        self.needs_maps = needs_maps

    def __call__(self, moment: Moment) -> dict[str, Tensor]:
        """Return the weighted terms, each (b,), by name; their sum is minimised."""
        return {name: weight.at(moment.progress) * loss(moment) for name, (loss, weight) in self._losses.items()}

    def score(self, moment: Moment) -> Tensor:
        """Return the mean cosine (b,) between cutouts and targets, averaged over the perceptors that guide now."""
        own = self._targets.of(moment.rows)
        scores = [prompt_score(vectors.detach(), own.vectors[k], own.weights) for k, vectors in moment.vectors.items()]
        return torch.stack(scores).mean(0)

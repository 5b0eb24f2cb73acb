"""What a run minimises: the distance of its pictures from their targets, and other terms; each is a row of LOSSES.

A target is what a perceptor takes of a prompt, encoded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.nn.utils.rnn import pad_sequence

from clipgen.config.prompts import Course, Prompt, courses_of
from clipgen.config.schedules import Schedule
from clipgen.core.contracts import Encoder, Loss, Moment, Perceptor
from clipgen.errors import UsageError
from clipgen.util.batches import mean_of_each

LAYOUT = 16  # cells a side of the blurred picture that is compared with a blurred init image


@dataclass(frozen=True)
class Targets:
    """The targets of B pictures, at most K each; pictures with fewer are padded with targets of weight 0."""

    perceptors: tuple[Perceptor, ...]
    shares: tuple[float, ...]
    """How much each perceptor counts beside the others."""
    vectors: tuple[Tensor, ...]
    """(B, K, D) by perceptor."""
    weights: tuple[Tensor, ...]
    """(B, K) by perceptor; a negative one pushes away, and it is 0 for a text of which the perceptor takes nothing."""
    stops: Tensor
    """(B, K); a cutout whose signed distance is below this no longer pulls."""
    counts: tuple[int, ...]
    """How many targets each picture has, without padding."""
    courses: tuple[tuple[Course, ...], ...] = ()
    """What part of its weight each has at a progress in [0, 1], by picture; empty if all have all of it always."""

    def of(self, rows: slice) -> "Targets":
        """Return the targets of some pictures with no more padding than they need, as it changes how sums round."""
        most = max(self.counts[rows])
        vectors, weights = (tuple(each[rows, :most] for each in one) for one in (self.vectors, self.weights))
        stops, courses = self.stops[rows, :most], self.courses[rows]
        return replace(self, vectors=vectors, weights=weights, stops=stops, courses=courses, counts=self.counts[rows])

    def at(self, progress: float) -> "Targets":
        """Return the targets with the weights that they have at a progress in [0, 1]."""
        if not self.courses:
            return self
        now = pad_sequence([self.stops.new_tensor([course(progress) for course in row]) for row in self.courses], True)
        return replace(self, weights=tuple(each * now for each in self.weights))

    def mean(self, values: Mapping[int, Tensor]) -> Tensor:
        """Return the mean of values, by index of the perceptor, in proportion to the shares of these perceptors."""
        scaled = [self.shares[k] * value for k, value in values.items()]
        return torch.stack(scaled).sum(0) / sum(self.shares[k] for k in values)


def encode_targets(
    perceptors: Sequence[Perceptor],
    shares: Sequence[float],
    prompts: Sequence[Sequence[Prompt]],
    readings: Sequence[Sequence[Sequence[str]]],
    device: torch.device,
    cross_fade: float = 0.0,
) -> Targets:
    """Return the targets of B pictures; readings: what is taken, by picture, perceptor and prompt, "" for nothing."""

    def padded(rows: Sequence[Sequence[float] | Tensor]) -> Tensor:
        return pad_sequence([torch.as_tensor(row) for row in rows], batch_first=True).to(device)

    vectors, weights = [], []
    with torch.no_grad():  # one picture at a time, as larger batches may round differently
        for k, perceptor in enumerate(perceptors):
            taken = [of_picture[k] for of_picture in readings]
            vectors.append(padded([_encode(perceptor, texts) for texts in taken]))
            pairs = [zip(row, texts, strict=True) for row, texts in zip(prompts, taken, strict=True)]
            weights.append(padded([[prompt.peak * bool(text) for prompt, text in pair] for pair in pairs]))
    stops = padded([[prompt.stop for prompt in row] for row in prompts])
    courses, counts = courses_of(prompts, cross_fade), tuple(map(len, prompts))
    return Targets(tuple(perceptors), tuple(shares), tuple(vectors), tuple(weights), stops, counts, courses)


def _encode(perceptor: Perceptor, texts: Sequence[str]) -> Tensor:
    """Return the targets (K, D) of K texts, 0 for empty ones; at least one is not empty."""
    known = perceptor.encode_texts([text for text in texts if text])
    targets = known.new_zeros(len(texts), known.shape[1])
    targets[[k for k, text in enumerate(texts) if text]] = known
    return targets


def prompt_loss(distances: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """Return the weighted distance (B,) of each picture, given those (B, n, K) of n cutouts; weights, stops: (B, K).

    A target contributes |weight| times the mean over cutouts of d, the distance with the sign of the weight. A cutout
    whose d is below the stop gets no gradient (the rule of the VQGAN-CLIP notebooks).
    """
    signed = distances * weights.sign()[:, None]
    pulled = signed.maximum(stops[:, None])
    # The value is that of the distance, the gradient that of the stopped distance.
    values = pulled + (signed - pulled).detach()
    return (values.mean(1) * weights.abs()).sum(1)


def prompt_score(similarities: Tensor, weights: Tensor) -> Tensor:
    """Return the mean (B,) of similarities (B, n, K) to the targets of positive weight (B, K); 0 if there are none."""
    pull = weights.clamp_min(0)
    share = pull / pull.sum(1, keepdim=True).clamp_min(torch.finfo(pull.dtype).tiny)
    return (similarities.mean(1) * share).sum(1)


def _prompt_distance(targets: Targets, _images: Tensor | None) -> Loss:
    def distance(moment: Moment) -> Tensor:
        own = targets.of(moment.rows).at(moment.progress)
        losses = {
            k: prompt_loss(own.perceptors[k].distances(seen, own.vectors[k]), own.weights[k], own.stops)
            for k, seen in moment.vectors.items()
        }
        return own.mean(losses)

    return distance


def _distance_to_start(_targets: Targets, _images: Tensor | None) -> Loss:
    def distance(moment: Moment) -> Tensor:
        if not isinstance(moment.generator, Encoder):
            raise UsageError("this generator cannot start from an image, so that nothing holds it to one")
        return moment.generator.distance_to_start()[moment.rows]

    return distance


def _distance_of_layout(_targets: Targets, images: Tensor | None) -> Loss:
    if images is None:
        raise UsageError("the loss layout holds a picture to its init image, and there is none")
    layout = adaptive_avg_pool2d(images, LAYOUT)
    contrast = layout.mean(1).flatten(1).var(1) + 0.005  # so that a flat photograph is held as well as any

    def distance(moment: Moment) -> Tensor:
        squares = (adaptive_avg_pool2d(moment.images, LAYOUT) - layout[moment.rows]).square()
        return mean_of_each(squares) / contrast[moment.rows]

    return distance


LOSSES: dict[str, Callable[[Targets, Tensor | None], Loss]] = {
    "prompt": _prompt_distance,
    "init": _distance_to_start,
    "layout": _distance_of_layout,
}
"""By name: builds the loss of a run with these targets and init images (B, 3, H, W). `clipgen.steering` has more."""


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
        """Return the mean similarity (b,) of cutouts and targets, averaged over the perceptors that guide now."""
        own = self._targets.of(moment.rows).at(moment.progress)
        scores = {
            k: prompt_score(own.perceptors[k].similarities(seen.detach(), own.vectors[k]), own.weights[k])
            for k, seen in moment.vectors.items()
        }
        return own.mean(scores)

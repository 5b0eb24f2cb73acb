"""What a picture is compared with beside its texts: images, noise, embeddings; and texts joined to one target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipgen.config.plan import Plan
from clipgen.config.settings import CutoutSettings
from clipgen.config.targets import (
    CHANGE,
    EMBEDDING,
    IMAGE,
    MIX,
    MORPH,
    NOISE,
    SUM,
    TARGET_KINDS,
    WHOLE,
    TargetSettings,
    embedding_of,
    morph_share,
)
from clipgen.core.contracts import Moment, Perceptor
from clipgen.core.cutouts import draw_parameters
from clipgen.core.loop import embed
from clipgen.core.losses import Targets, prompt_loss
from clipgen.errors import UsageError
from clipgen.steering.given import Given
from clipgen.steering.vectors import great_circle, whole_vectors
from clipgen.util.randomness import generator_for

IMAGE_CUTOUTS = 16
"""How many cutouts of an image prompt are embedded."""
CHANGE_SHARE = 0.5
"""How far `--change` turns an image towards the difference of the texts, as a share of the angle between them."""

Make = Callable[[Perceptor, str, Tensor | None, Tensor], Tensor | None]
"""From a perceptor, a detail, an image (1, 3, h, w) and another target (1, D) to targets (K, D); None for none."""


@dataclass(frozen=True)
class Encoded:
    """A target as the perceptors see it, which is a loss."""

    targets: Targets
    """Those of the texts, for the perceptors and their shares."""
    vectors: Mapping[int, Tensor]
    """By index of each perceptor that takes it, (K, D): K directions that count alike."""
    stop: float

    def __call__(self, moment: Moment) -> Tensor:
        """Return the distances (b,); 0 while no perceptor guides that takes the target."""
        seen = {k: each for k, each in moment.vectors.items() if k in self.vectors}
        return self.distance(seen) if seen else moment.images.new_zeros(len(moment.images))

    def distance(self, seen: Mapping[int, Tensor]) -> Tensor:
        """Return the distances (b,) of what at least one of these perceptors has seen, (b, n, D) by its index."""
        return self.targets.mean({k: self._distance(k, each) for k, each in seen.items()})

    def _distance(self, k: int, seen: Tensor) -> Tensor:
        vectors = self.vectors[k].expand(len(seen), -1, -1)
        weights = vectors.new_full(vectors.shape[:2], 1 / vectors.shape[1])
        distances = self.targets.perceptors[k].distances(seen, vectors)
        return prompt_loss(distances, weights, torch.full_like(weights, self.stop))


def encoded(row: TargetSettings, image: Tensor | None, targets: Targets) -> Encoded:
    """Encode a target, whose image is (1, 3, h, w) in [0, 1]. Raises UsageError if no perceptor takes it."""
    able = [k for k, each in enumerate(targets.perceptors) if getattr(each, "takes_images", True)]
    with torch.no_grad():
        made = {k: MAKERS[row.kind](targets.perceptors[k], row.detail, image, targets.vectors[k][0, :1]) for k in able}
    vectors = {k: value for k, value in made.items() if value is not None}
    if not vectors:
        flag = TARGET_KINDS[row.kind].flag
        lengths = sorted({str(targets.vectors[k].shape[2]) for k in able})
        fitting = f"; the CLIPs of this run take {' or '.join(lengths)} numbers" if row.kind == EMBEDDING else ""
        raise UsageError(f"{flag} goes with none of the guiding models{fitting}; guide with a CLIP that it fits")
    return Encoded(targets, vectors, row.stop)


def _of_cutouts(perceptor: Perceptor, _detail: str, image: Tensor | None, _like: Tensor) -> Tensor:
    picture = _needed(image)
    size = picture.shape[3], picture.shape[2]
    parameters = draw_parameters([0], 0, IMAGE_CUTOUTS, size, CutoutSettings())
    return embed(picture, parameters, [perceptor], False)[0][0]


def _of_noise(_perceptor: Perceptor, seed: str, _image: Tensor | None, like: Tensor) -> Tensor:
    drawn = torch.randn(like.shape, generator=generator_for(int(seed), 0, "noise prompt"))
    return normalize(drawn.to(like), dim=1)


def _of_numbers(_perceptor: Perceptor, detail: str, _image: Tensor | None, like: Tensor) -> Tensor | None:
    numbers = torch.tensor([embedding_of(detail)]).to(like)
    return normalize(numbers, dim=1) if numbers.shape == like.shape else None


def _needed(image: Tensor | None) -> Tensor:
    if image is None:
        raise UsageError("a target image must come with its plan")
    return image


MAKERS: dict[str, Make] = {
    IMAGE: _of_cutouts,
    WHOLE: lambda perceptor, _detail, image, _like: whole_vectors(perceptor, _needed(image)),
    NOISE: _of_noise,
    EMBEDDING: _of_numbers,
}
"""By kind of target."""


def joined(targets: Targets, plan: Plan, given: Given, images: Sequence[tuple[TargetSettings, Tensor]]) -> Targets:
    """Return targets with the texts joined to one target, as the plan has it; the others then weigh nothing.

    images: the whole images of the plan, each (1, 3, h, w), which take part in a sum. Perceptors that know no
    directions, such as classifiers, keep the texts apart.
    """
    if plan.blend == MORPH:
        return Morphing(**{each.name: getattr(targets, each.name) for each in fields(targets)})
    vectors, weights = [], []
    for k, perceptor in enumerate(targets.perceptors):
        texts, shares = targets.vectors[k], targets.weights[k]
        if getattr(perceptor, "takes_images", True):
            with torch.no_grad():
                one, share = _join(plan.blend, perceptor, texts, shares, given, images), torch.ones_like(shares[:, :1])
            shares = torch.zeros_like(shares)
        else:
            one, share = torch.zeros_like(texts[:, :1]), torch.zeros_like(shares[:, :1])
        vectors.append(torch.cat([one.view(len(texts), 1, -1), texts], 1))
        weights.append(torch.cat([share, shares], 1))
    return _preceded(targets, vectors, weights, 1)


@dataclass(frozen=True)
class Morphing(Targets):
    """Two texts for each picture, of which the target moves from the first to the second."""

    def at(self, progress: float) -> Targets:
        """Return the target at a progress in [0, 1]; perceptors that know no directions fade from text to text."""
        share = morph_share(progress)
        turns = [getattr(each, "takes_images", True) for each in self.perceptors]
        faded = torch.tensor([1 - share, share])
        vectors = [
            torch.stack([great_circle(texts[:, 0], texts[:, 1], share)] * 2, 1) if turn else texts
            for turn, texts in zip(turns, self.vectors, strict=True)
        ]
        return replace(self, vectors=tuple(vectors), weights=tuple(each * faded.to(each) for each in self.weights))


def _join(
    blend: str,
    perceptor: Perceptor,
    texts: Tensor,
    weights: Tensor,
    given: Given,
    images: Sequence[tuple[TargetSettings, Tensor]],
) -> Tensor:
    """Return the direction (B, D) of texts (B, K, D) with weights (B, K)."""
    if blend == MIX:
        shares = weights[:, 1] / weights.sum(1)
        return torch.stack(
            [great_circle(pair[0], pair[1], float(share)) for pair, share in zip(texts, shares, strict=True)]
        )
    total = (weights[:, :, None] * texts).sum(1)
    if blend == SUM:
        for row, image in images:
            total = total + row.weight.start * whole_vectors(perceptor, image)
    difference = normalize(total, dim=1)
    if blend != CHANGE:
        return difference
    return great_circle(whole_vectors(perceptor, _needed(given.init)), difference, CHANGE_SHARE)


def scored(targets: Targets, extras: Sequence[tuple[TargetSettings, Encoded]]) -> Targets:
    """Return the targets by which pictures are scored: those of the texts, and others that pull, but not noise."""
    for row, each in extras:
        if row.weight.start > 0 and row.kind != NOISE:
            targets = _with(targets, each, row.weight.start)
    return targets


def _with(targets: Targets, extra: Encoded, weight: float) -> Targets:
    vectors, weights = [], []
    count = max(len(each) for each in extra.vectors.values())
    for k, (texts, shares) in enumerate(zip(targets.vectors, targets.weights, strict=True)):
        own = extra.vectors.get(k)
        added = texts.new_zeros(count, texts.shape[2]) if own is None else own
        share = shares.new_full((count,), 0.0 if own is None else weight / count)
        vectors.append(torch.cat([added.expand(len(texts), -1, -1), texts], 1))
        weights.append(torch.cat([share.expand(len(shares), -1), shares], 1))
    return _preceded(targets, vectors, weights, count)


def _preceded(targets: Targets, vectors: Sequence[Tensor], weights: Sequence[Tensor], count: int) -> Targets:
    """Return targets with these vectors and weights, of which the first `count` always count; padding stays last."""
    stops = torch.cat([torch.full_like(targets.stops[:, :1], -torch.inf).expand(-1, count), targets.stops], 1)
    courses = tuple((*[_always] * count, *row) for row in targets.courses)
    counts = tuple(each + count for each in targets.counts)
    rows = replace(targets, vectors=tuple(vectors), weights=tuple(weights))
    return replace(rows, stops=stops, courses=courses, counts=counts)


def _always(_progress: float) -> float:
    return 1.0

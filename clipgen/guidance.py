"""What pulls at the pictures: the prompts, as the perceptors read them in many views of each picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from clipgen.cutouts import Draw, draw_views, make_views
from clipgen.feature_prior import FeaturePrior, Start
from clipgen.job import Prompt
from clipgen.losses import prompt_loss, prompt_score, spherical_distance
from clipgen.perceptor import Perceptor
from clipgen.presets import CutoutSettings, FeaturePriorSettings, PerceptorSettings, Size
from clipgen.rng import generator_for
from clipgen.sketch import Sketcher

TRIALS = 4
"""Rounds of noise that decide which of what is imagined speaks most for the texts."""


@dataclass(frozen=True)
class ScheduledPerceptor:
    """A perceptor and when it guides."""

    perceptor: Perceptor
    settings: PerceptorSettings


@dataclass(frozen=True)
class ViewPlan:
    """How a picture is looked at."""

    count: int
    """Views a step."""
    size: Size
    """Width and height of the pictures."""
    settings: CutoutSettings


@dataclass(frozen=True)
class Imagination:
    """What knows what the perceptors see in pictures of a text."""

    prior: FeaturePrior
    settings: FeaturePriorSettings
    images: Tensor | None = None
    """(B, 3, H, W), where pictures start at init images: what is imagined keeps to them."""
    sketcher: Sketcher | None = None
    """Draws about what is imagined."""


class Guide:
    """Compares B pictures with the prompts of each.

    The texts that pull, pull towards a picture that is imagined of all texts, where there is an imagination, or else
    each towards itself. Pictures with fewer texts than others get texts of weight 0, which pull nowhere.
    """

    def __init__(
        self,
        perceptors: Sequence[ScheduledPerceptor],
        prompts: Sequence[Sequence[Prompt]],
        seeds: Sequence[int],
        plan: ViewPlan,
        device: torch.device,
        imagination: Imagination | None = None,
    ) -> None:
        self._perceptors = perceptors
        self._seeds = seeds
        self._plan = plan
        self._texts = [_encode(each.perceptor, prompts) for each in perceptors]
        self._weights = _padded([[prompt.weight for prompt in row] for row in prompts], device)
        self._stops = _padded([[prompt.stop for prompt in row] for row in prompts], device)
        self._own = self._weights  # of the texts that pull or push by themselves
        self._imagined = imagination and self._imagine(imagination)
        self._sketcher = imagination and imagination.sketcher

    def _imagine(self, imagination: Imagination) -> "_Imagined":
        """Imagine for each picture with texts that pull what there is to see in one of all its texts.

        The texts that pull then pull towards that; what it is pushed away from is imagined away.
        """
        prior, texts = imagination.prior, torch.cat(self._texts, 2)
        seen = self._features(imagination)
        aims, pulling = texts.new_zeros(len(texts), prior.length), (self._weights > 0).any(1)
        for row in pulling.nonzero()[:, 0].tolist():
            weights = self._weights[row]
            said, shares = weights != 0, weights / weights.clamp(min=0).sum()
            random = generator_for(self._seeds[row], 0, "imagination")
            start = None if seen is None else Start(seen[row], imagination.settings.init_noise)
            aims[row] = _imagine(imagination, texts[row, said], shares[said], start, random)
        self._own = self._weights * ~pulling[:, None]
        return _Imagined(prior, aims, self._weights.clamp(min=0))

    @torch.no_grad()
    def sketches(self) -> tuple[Tensor, Tensor] | None:
        """Draw about what was imagined, (B, 3, S, S) in [0, 1], and tell of which pictures anything was: (B,).

        None where there is nothing that draws or nothing that imagines.
        """
        if not (self._imagined and self._sketcher):
            return None
        return self._sketcher(self._imagined.aims).clamp(0, 1), (self._imagined.weights > 0).any(1)

    def _features(self, imagination: Imagination) -> Tensor | None:
        """Return those (B, E) of the images that the pictures start at, if they do."""
        if (images := imagination.images) is None:
            return None
        perceptors = [each.perceptor for each in self._perceptors]
        return imagination.prior.shorten([each.see(each.whole(images))[1] for each in perceptors])

    def compare(self, images: Tensor, step: int, total: int, views_at_once: int | None = None) -> tuple[Tensor, Tensor]:
        """Return losses (B,) and scores (B,) of images (B, 3, H, W), averaged over the perceptors that guide now.

        Loss and score are those of `prompt_loss` and `prompt_score`, over the views that (seed, step) draws. With fewer
        `views_at_once` than there are, each part is made again for the gradient, so that only one is in memory at a
        time.
        """
        draw = draw_views(self._seeds, step, self._plan.count, self._plan.size, self._plan.settings)
        progress = step / total
        now = [k for k, each in enumerate(self._perceptors) if each.settings.guides(progress)]
        perceptors, imagined = [self._perceptors[k].perceptor for k in now], self._imagined
        prior = imagined.prior if imagined else None
        if views_at_once is None or views_at_once >= self._plan.count:
            seen = see(images, draw, perceptors, prior)
        else:
            seen = see_in_parts(images, draw, perceptors, views_at_once, prior)
        losses, scores = [], []
        for k, vectors in zip(now, seen[: len(now)], strict=True):
            distances = spherical_distance(vectors[:, :, None], self._texts[k][:, None])
            losses.append(prompt_loss(distances, self._own, self._stops))
            scores.append(prompt_score(vectors.detach(), self._texts[k], self._weights))
        loss = torch.stack(losses).mean(0)
        if imagined:
            distances = imagined.prior.distance(seen[-1], imagined.aims)[:, :, None]
            loss = loss + prompt_loss(distances.expand(-1, -1, self._stops.shape[1]), imagined.weights, self._stops)
        return loss, torch.stack(scores).mean(0)


@dataclass(frozen=True)
class _Imagined:
    """What was imagined of each picture's texts, by which prior."""

    prior: FeaturePrior
    aims: Tensor
    """Features (B, E)."""
    weights: Tensor
    """(B, K): how much each text pulls towards them."""


def see(
    images: Tensor, draw: Draw, perceptors: Sequence[Perceptor], prior: FeaturePrior | None = None
) -> tuple[Tensor, ...]:
    """Return the vectors (B, n, D) of the views of images (B, 3, H, W), as each perceptor sees them.

    Last, where there is a prior that knows of features, those of the views: (B, n, E).
    """
    views = {size: make_views(images, draw, size) for size in {perceptor.size for perceptor in perceptors}}
    if prior:
        vectors, maps = zip(*(each.see(views[each.size]) for each in perceptors), strict=True)
        vectors = (*vectors, prior.shorten(maps))
    else:
        vectors = tuple(each.encode_images(views[each.size]) for each in perceptors)
    return tuple(each.unflatten(0, (len(images), -1)) for each in vectors)


def see_in_parts(
    images: Tensor, draw: Draw, perceptors: Sequence[Perceptor], size: int, prior: FeaturePrior | None = None
) -> tuple[Tensor, ...]:
    """Do so with `size` views of each picture in memory at a time."""
    starts = range(0, draw.drawn, size)
    parts = [checkpoint(see, images, draw.part(k, k + size), perceptors, prior, use_reentrant=False) for k in starts]
    return tuple(torch.cat(vectors, 1) for vectors in zip(*parts, strict=True))


def _imagine(
    imagination: Imagination, texts: Tensor, shares: Tensor, start: Start | None, random: torch.Generator
) -> Tensor:
    """Return the features (E,) of one picture of texts (K, D): of those imagined, the one that speaks most for them."""
    settings, prior = imagination.settings, imagination.prior
    noise, trials = (torch.randn(n, prior.length, generator=random).to(texts) for n in (settings.candidates, TRIALS))
    drawn = prior.imagine(texts, shares, noise, settings.init_scale if start else settings.scale, start)
    return drawn[prior.evidence(drawn, texts, shares, trials).argmax()]


def _encode(perceptor: Perceptor, prompts: Sequence[Sequence[Prompt]]) -> Tensor:
    """Return (B, K, D). Picture by picture, as a text's vector may be rounded differently in a larger batch."""
    with torch.no_grad():
        encoded = [perceptor.encode_texts([prompt.text for prompt in row]) for row in prompts]
    return pad_sequence(encoded, batch_first=True)


def _padded(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)

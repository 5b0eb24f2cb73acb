"""What pulls at the pictures: the prompts, as the perceptors read them in many views of each picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from clipgen.config.job import Prompt
from clipgen.config.presets import CutoutSettings, PerceptorSettings, Size
from clipgen.core.cutouts import Draw, draw_views, make_views
from clipgen.core.losses import prompt_loss, prompt_score, spherical_distance
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.unclip.imagination import Imagination
from clipgen.starter.unclip.prior import FeaturePrior
from clipgen.util.images import resized


@dataclass(frozen=True)
class ScheduledPerceptor:
    """A perceptor and when it guides."""

    perceptor: CLIPPerceptor
    settings: PerceptorSettings


@dataclass(frozen=True)
class ViewPlan:
    """How a picture is looked at."""

    count: int
    """Views a step."""
    size: Size
    """Width and height of the pictures."""
    settings: CutoutSettings


class Guide:
    """Compares B pictures with the prompts of each.

    The texts that pull, pull towards a picture that is imagined of all texts, where there is an imagination, and each
    towards itself. Pictures with fewer texts than others get texts of weight 0, which pull nowhere.
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
        self._prompts, self._seeds = prompts, seeds
        self._plan = plan
        self._texts = [_encode(each.perceptor, prompts) for each in perceptors]
        self._weights = _padded([[prompt.weight for prompt in row] for row in prompts], device)
        self._stops = _padded([[prompt.stop for prompt in row] for row in prompts], device)
        self._own = self._weights  # of the texts that pull or push by themselves
        self._imagined = imagination and self._imagine(imagination)

    @torch.no_grad()
    def _imagine(self, imagination: Imagination) -> "_Imagined":
        """Imagine for each picture with texts that pull what there is to see in one of all its texts.

        The texts that pull then pull towards that, and as much as the settings say each towards itself; what it is
        pushed away from is imagined away.
        """
        pulling = (self._weights > 0).any(1)
        prior, paintings = imagination.imaginer.prior, {}
        features = self._weights.new_zeros(len(pulling), prior.length)
        perceptors = [each.perceptor for each in self._perceptors]
        for row in pulling.nonzero()[:, 0].tolist():
            features[row], paintings[row] = imagination.imagine(row, perceptors, *self._said(row), self._seeds[row])
        pulls = self._weights.clamp(min=0)
        self._own = torch.where(pulling[:, None], imagination.settings.text_pull * pulls, self._weights)
        return _Imagined(imagination, features, paintings, pulls)

    def _said(self, row: int) -> tuple[list[Tensor], Tensor]:
        """Return the texts of one picture, as each perceptor reads them, and their shares (K,) in what is imagined."""
        said = [prompt for prompt in self._prompts[row] if prompt.weight]
        weights = torch.tensor([prompt.weight for prompt in said]).to(self._weights)
        read = [each.perceptor.text_states([prompt.text for prompt in said]) for each in self._perceptors]
        return read, weights / weights.clamp(min=0).sum()

    @property
    def paintings(self) -> Mapping[int, Tensor]:
        """By the number of the picture, a small picture (3, S, S) in [0, 1] of what was imagined of its texts."""
        return self._imagined.paintings if self._imagined else {}

    @torch.no_grad()
    def enlarge(self, images: Tensor, size: Size) -> Tensor:
        """Images (B, 3, H, W) at another size, width and height.

        Those that started at a painting are painted over and upsampled, where the settings say so.
        """
        enlarged, perceptors = resized(images, size), [each.perceptor for each in self._perceptors]
        if self._imagined and self._imagined.by.settings.repaint_noise:
            for row in self._imagined.paintings:
                features, seed = self._imagined.features[row], self._seeds[row]
                painting = self._imagined.by.repaint(images[row], features, perceptors, *self._said(row), seed)
                enlarged[row] = resized(painting[None], size)[0]
        return enlarged

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
            distances = imagined.prior.distance(seen[-1], imagined.features)[:, :, None]
            loss = loss + prompt_loss(distances.expand(-1, -1, self._stops.shape[1]), imagined.weights, self._stops)
        return loss, torch.stack(scores).mean(0)


@dataclass(frozen=True)
class _Imagined:
    """What was imagined of each picture's texts, and by what."""

    by: Imagination
    features: Tensor
    """(B, E)"""
    paintings: Mapping[int, Tensor]
    """(3, S, S), by the number of the picture."""
    weights: Tensor
    """(B, K): how much each text pulls towards them."""

    @property
    def prior(self) -> FeaturePrior:
        return self.by.imaginer.prior


def see(
    images: Tensor, draw: Draw, perceptors: Sequence[CLIPPerceptor], prior: FeaturePrior | None = None
) -> tuple[Tensor, ...]:
    """Return the vectors (B, n, D) of the views of images (B, 3, H, W), as each perceptor sees them.

    Last, where there is a prior that knows of features, those of the views: (B, n, E).
    """
    views = {size: make_views(images, draw, size) for size in {perceptor.size for perceptor in perceptors}}
    if prior:
        vectors, maps = zip(*(each.encode_with_maps(views[each.size]) for each in perceptors), strict=True)
        vectors = (*vectors, prior.shorten(maps))
    else:
        vectors = tuple(each.encode_images(views[each.size]) for each in perceptors)
    return tuple(each.unflatten(0, (len(images), -1)) for each in vectors)


def see_in_parts(
    images: Tensor, draw: Draw, perceptors: Sequence[CLIPPerceptor], size: int, prior: FeaturePrior | None = None
) -> tuple[Tensor, ...]:
    """Do so with `size` views of each picture in memory at a time."""
    starts = range(0, draw.drawn, size)
    parts = [checkpoint(see, images, draw.part(k, k + size), perceptors, prior, use_reentrant=False) for k in starts]
    return tuple(torch.cat(vectors, 1) for vectors in zip(*parts, strict=True))


def _encode(perceptor: CLIPPerceptor, prompts: Sequence[Sequence[Prompt]]) -> Tensor:
    """Return (B, K, D). Picture by picture, as a text's vector may be rounded differently in a larger batch."""
    with torch.no_grad():
        encoded = [perceptor.encode_texts([prompt.text for prompt in row]) for row in prompts]
    return pad_sequence(encoded, batch_first=True)


def _padded(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)

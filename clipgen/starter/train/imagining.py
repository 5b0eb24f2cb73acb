"""The recipes of what imagines a picture: its features, a sketch, a painting, and that at twice the size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch.nn.functional import adaptive_max_pool2d

from clipgen import weights
from clipgen.feature_prior import FeaturePrior, build_feature_prior
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.perceptor import Perceptor
from clipgen.sketch import build_sketcher
from clipgen.starter.grammar import Truth
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.features import FeatureTrainer, features, fresh_prior
from clipgen.starter.train.loop import train_module
from clipgen.starter.train.painting import PaintTrainer, Seen, latents, painted
from clipgen.starter.train.reading import readings
from clipgen.starter.train.recipe import CLIP_SEED, Bench, Recipe, guides_of
from clipgen.starter.train.sketching import SketchTrainer

WORN = 10  # for each picture of someone who wears something so many others
SHARES = (0.5, 0.1, 0.4)  # of what a painter learns from: any pictures, dressed ones, those told as if bare
HEED = 8.0  # how much more the errors count where something is worn
CHANGED = 30  # of 255: more than rounding
MOST = 0.3  # of a picture's cells, where something is worn


def feature_prior(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What draws what the guides see in the cells of pictures."""
    guides = guides_of(recipe.needs, bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    captions = _captions(guides, truths(CLIP_SEED, recipe.pictures), recipe)
    torch.manual_seed(recipe.plan.seed)
    if recipe.start:
        prior = build_feature_prior(bench.trained(recipe.start))
    else:
        prior = fresh_prior(guides, pictures, captions.shape[2])
    trainer = FeatureTrainer(recipe.plan, prior, features(guides, prior, pictures), captions, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("feature-prior", network.config, network.state_dict())


def sketcher(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What draws about how a picture of such features looks."""
    prior = build_feature_prior(bench.trained(recipe.needs[0]))
    guides = guides_of(recipe.needs[1:], bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    seen = features(guides, prior, pictures)
    trainer = SketchTrainer(recipe.plan, pictures, seen, math.isqrt(prior.cells), bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("sketcher", network.config, network.state_dict())


def painter(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What paints over sketches.

    What is worn is so small that what a prior imagines in cells hardly holds it, and only the text tells of it. So the
    painter also learns from pictures of someone who wears something, told but for the text what is seen without that.
    """
    count, worn = recipe.pictures, recipe.pictures // WORN
    plain = drawn_set(bench.data, count, 128, CLIP_SEED)
    dressed, bare = (
        drawn_set(bench.data, worn, 128, CLIP_SEED, relation="wearing", bare=bare) for bare in (False, True)
    )
    shown = truths(CLIP_SEED, worn, relation="wearing")
    prior, guides, network = _seers(recipe, bench)
    captions = [_captions(guides, truths(CLIP_SEED, count), recipe)]
    captions += [_captions(guides, shown, recipe, related) for related in (False, True)]
    known = Seen(
        latents(network, np.concatenate([plain, dressed, dressed]), bench.device),
        features(guides, prior, np.concatenate([plain, dressed, bare])),
        torch.cat(captions, 1),
        shares=np.repeat(np.array(SHARES) / (count, worn, worn), (count, worn, worn)),
        heed=HEED * changed(count, dressed, bare, 128 // network.stride),
    )
    return _trained(name, recipe, bench, known)


def upsampler(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What paints at twice the size over paintings: in training over what is left of pictures as latents."""
    small, large = (drawn_set(bench.data, recipe.pictures, size, CLIP_SEED) for size in (128, 256))
    prior, guides, network = _seers(recipe, bench)
    known = Seen(
        latents(network, large, bench.device),
        features(guides, prior, small),
        _captions(guides, truths(CLIP_SEED, recipe.pictures), recipe),
        painted(network, latents(network, small, bench.device), bench.device),
    )
    return _trained(name, recipe, bench, known)


def _seers(recipe: Recipe, bench: Bench) -> tuple[FeaturePrior, list[Perceptor], VQGANNetwork]:
    """The prior, which shortens what guides see in cells, the guides, and the VQGAN whose latents are painted."""
    prior, *guides, _, autoencoder = recipe.needs
    network = cast(VQGANNetwork, build_network(bench.trained(autoencoder))).eval().to(bench.device)
    return build_feature_prior(bench.trained(prior)), guides_of(guides, bench), network


def _trained(name: str, recipe: Recipe, bench: Bench, known: Seen) -> weights.Checkpoint:
    sketcher = build_sketcher(bench.trained(recipe.needs[-2]))
    trainer = PaintTrainer(recipe.plan, known, sketcher, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("painter", network.config, network.state_dict())


def _captions(
    guides: Sequence[Perceptor], shown: Sequence[Truth], recipe: Recipe, related: bool = False
) -> torch.Tensor:
    """Vectors (V, N, D) of true captions of pictures that show this, those of all guides side by side."""
    return torch.cat([readings(guide, shown, recipe.plan.seed, styled=True, related=related) for guide in guides], 2)


def changed(others: int, dressed: np.ndarray, bare: np.ndarray, side: int) -> torch.Tensor:
    """Where pictures (N, S, S, 3) uint8 differ, as 1 in cells (2 (others + 2 N), 1, side, side), else 0.

    In the order of `Seen`: 0 for so many others first, then for the pictures of both; then all once more, mirrored.
    Nowhere for a pair whose style makes everything different.
    """
    differ = np.abs(dressed.astype(np.int16) - bare).max(3) > CHANGED
    cells = adaptive_max_pool2d(torch.from_numpy(differ).float()[:, None], side)
    cells *= cells.mean((1, 2, 3), keepdim=True) < MOST
    one = torch.cat([torch.zeros(others, 1, side, side), cells, cells])
    return torch.cat([one, one.flip(3)])
